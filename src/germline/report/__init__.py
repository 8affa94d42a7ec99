"""Measurements to one static HTML page."""
