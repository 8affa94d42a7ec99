"""The verbs of the command line, one a file. Each is a function; its arguments are its flags, its docstring their help."""

from collections.abc import Callable

from germline.core.shelf import Shelf

VERBS: Shelf[Callable[..., None]] = Shelf(
    "germline.verbs",
    (
        "ls",
        "show",
        "run",
        "study",
        "measure",
        "verdict",
        "guidance",
        "calibrate",
        "best",
        "table",
        "report",
        "grid",
        "check",
        "fork",
        "export",
        "adopt",
        "cite",
        "doctor",
        "evaluate",
        "score",
        "select",
        "audit",
        "prompts",
        "vote",
        "serve",
    ),
)
