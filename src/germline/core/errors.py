"""What can go wrong for a user, each with a message that says who, what was expected, what came, and what to do."""


class GermlineError(Exception):
    """A problem that the user can cure; the command line prints its message without a traceback."""


class BadInput(GermlineError, ValueError):
    """Data or a setting that cannot be used; the message names the file or field, the row and the remedy."""


class RunConflict(GermlineError):
    """The run folder belongs to another recipe, seed, data set or process."""


class Corrupt(GermlineError):
    """A file of a run is missing or differs from the hash in its record."""


class MissingExtra(GermlineError, ImportError):
    """An optional library is absent; the message names the extra to install."""


def reason(error: Exception) -> str:
    """Return the first line of an error's message; its name where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
