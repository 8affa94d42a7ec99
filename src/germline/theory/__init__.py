"""Closed forms: the oracles of the tests."""
