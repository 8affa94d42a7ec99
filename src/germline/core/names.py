"""What a part is called in results."""


def name_of(part: object) -> str:
    """Return the part's ``name``, or its class in lower case: "pixels", "pca64-pixels"."""
    return str(getattr(part, "name", type(part).__name__.lower()))
