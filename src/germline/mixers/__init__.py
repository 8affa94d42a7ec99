"""Which rows are on offer to a generation."""
