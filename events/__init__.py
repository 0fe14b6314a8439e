"""One sample event per shape, as AWS sends it, and the script that signs a fresh token into it."""
