"""The syntax of image generators' interfaces in crawled prompts: weights, LoRAs, parameters, sampler settings. All of it is ours."""

import re
from collections.abc import Mapping

_NUMBERS = (
    "aspect|ar|version|v|quality|q|stylize|s|seed|sameseed|chaos|c|iw|niji|testp|test|creative|uplight|upbeta|upanime|hd|w|h|video|stop|tile"
    "|weird|raw|fast|relax|turbo|repeat|r|sref|cref|cw|sw|n|beta|vibefast|vibe"
)
REMOVED: Mapping[str, tuple[re.Pattern[str], str]] = {
    # what a picture's embedded settings hold after the prompt
    "settings": (re.compile(r"\s*(?:\bNegative prompt:|\bSteps: ?\d+, ?Sampler:).*", re.S | re.I), ""),
    "address": (re.compile(r"<?https?://[^\s<>]+>?"), " "),
    "lora": (re.compile(r"<(?:lora|lyco|locon|hypernet|embedding|ti):[^<>]*>", re.I), " "),
    # --ar 3:2, --v 5, --style raw, --no hands, feet; phones make one dash of two. What --no leaves out goes on to the next parameter.
    "parameter": (
        re.compile(
            rf"(?:^|(?<=\s))(?:--|[—–])(?:(?:{_NUMBERS})(?![a-z_-])(?:\s*[\d.:,/x]+(?=\s|$|[—–-]))?|(?:style|profile|p)\s+\S+|no\s(?:(?!(?:--|[—–])\w).)*)",
            re.S | re.I,
        ),
        " ",
    ),
    "schedule": (re.compile(r"\[[^\[\]:|]*:([^\[\]:|]*):\s*[\d.]+\s*\]"), r"\1"),  # [from:to:0.5] ends as "to"
    "weight": (re.compile(r"\(([^()]*?):\s*-?\d*\.?\d+\s*\)"), r"\1"),
    "emphasis": (re.compile(r"\(\(+([^()]*)\)\)+|\[\[+([^\[\]]*)\]\]+|\{\{+([^{}]*)\}\}+|\{([^{}|]*)\}"), r"\1\2\3\4"),
    "multiprompt": (re.compile(r"::(?:\s*-?\d+(?:\.\d+)?)?(?=[\s,.]|$)"), " "),
    "break": (re.compile(r"\bBREAK\b"), ","),
    "escape": (re.compile(r"\\([()\[\]])"), r"\1"),
}
UNDECIDABLE = re.compile(r"__[\w/-]+__|\{[^{}]*\|[^{}]*\}|\[[^\[\]]*\|[^\[\]]*\]|<[a-z_]+:[^<>]*>|\$\{[^}]*\}|\{\d*\}", re.I)


def without_markup(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the text without interface syntax, and the names of what was taken out.

    ``(word:1.2)`` and ``((word))`` leave the word, ``<lora:name:0.8>`` and ``--ar 3:2`` nothing. Weights are nested, so each pattern is
    used until it finds no more.
    """
    found = []
    for name, (pattern, by) in REMOVED.items():
        text, count = pattern.subn(by, text)
        if count:
            found.append(name)
        while count:
            text, count = pattern.subn(by, text)
    return text, tuple(found)


def undecidable(text: str) -> str | None:
    """Return syntax that leaves open what was drawn, such as ``{red|blue}`` or ``__colour__``; None where there is none."""
    match = UNDECIDABLE.search(text)
    return match[0] if match else None
