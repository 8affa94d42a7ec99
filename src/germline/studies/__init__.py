"""One results page a file."""
