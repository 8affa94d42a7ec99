"""One number a row, more is better."""
