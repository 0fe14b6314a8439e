"""The Python peers: a few lines around each library, as a careful team would write them, one log line a request."""
