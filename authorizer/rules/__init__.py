"""Rules: who may call what."""
