"""The parts of ``train_emoji_pipeline.py`` and ``train_emoji_encoder.py``."""
