"""People's votes on images: a page on this machine, votes that are only ever added to, and what they come to."""
