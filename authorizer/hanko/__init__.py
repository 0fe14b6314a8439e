"""The Hanko side: what Hanko says. It knows nothing of the APIs in front of it."""
