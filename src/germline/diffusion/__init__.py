"""The small diffusion core: pure torch, knows nothing of loops."""
