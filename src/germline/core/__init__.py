"""Pools, places, protocols: what every part shares. Imports without torch."""
