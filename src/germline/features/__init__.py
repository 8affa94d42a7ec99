"""Extractors: images to feature vectors."""
