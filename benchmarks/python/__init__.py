"""The Python peers, written as a careful team would: our own few lines around each library, one log line a request."""
