"""`make doctor`: what is wrong, or probably not meant so, in settings, rules, the live Hanko and an API."""
