"""Prompts put to every round of a run, or to several pipelines: images from equal noise, scores, differences in pairs."""
