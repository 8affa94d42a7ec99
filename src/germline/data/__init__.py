"""Named data sets and plain folders, as splits of pools."""
