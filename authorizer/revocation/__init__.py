"""Revocation: Hanko's webhooks end sessions before their tokens expire."""
