"""The Hanko side: what Hanko says. It knows nothing of AWS."""
