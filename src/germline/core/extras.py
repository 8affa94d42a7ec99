"""Libraries that are optional: imported where they are used, with an error that names the extra to install."""

import importlib
from types import ModuleType

from germline.core.errors import MissingExtra


def imported(who: str, library: str, extra: str) -> ModuleType:
    """Return a library of an extra. ``who`` needs it; errors begin with that.

    Raises:
        MissingExtra: it, or something that it needs, is not installed.
    """
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise MissingExtra(f"{who} needs {error.name}; install it with: pip install 'germline[{extra}]'") from error
