"""Log-weights of rows."""
