"""What an extractor is called in the names of metrics."""

from germline.core.protocols import Extractor


def name_of(extractor: Extractor) -> str:
    """Return the extractor's ``name``, or its class in lower case."""
    return str(getattr(extractor, "name", type(extractor).__name__.lower()))
