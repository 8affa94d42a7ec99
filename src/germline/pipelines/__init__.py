"""Pretrained text-to-image pipelines as diffusers saves them: opened, told prompts, changed by training. Knows nothing of loops."""
