"""`make doctor`: what is wrong, or probably a mistake, in settings, rules, the live Hanko and an API."""
