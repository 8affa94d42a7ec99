"""What makes a model."""
