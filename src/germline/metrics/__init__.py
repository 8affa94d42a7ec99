"""What is measured of a generation."""
