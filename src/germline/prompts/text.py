"""A prompt as plain text: one Unicode form, no HTML, no control characters, single blanks."""

import html
import re
import unicodedata

ATTRIBUTE = r"""\s+[a-z-]+\s*=\s*(?:"[^"]*"|'[^']*'|[^\s<>"']+)"""
TAG = re.compile(rf"</?[a-z][a-z0-9]*(?:{ATTRIBUTE})*\s*/?>", re.I)  # <b>, </i>, <br/>, <a href=x>; not <lora:name>, not a<b and c>d
COMMENT = re.compile(r"<!--.*?-->", re.S)
JOINERS = "\u200c\u200d"  # they hold emoji and several scripts together
WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def plain_text(text: str) -> str:
    """Return the text with HTML undone (twice: crawled text is often escaped twice), in NFC, without invisible characters.

    Source: the order of the steps is ours. HTML is undone before NFC, since an entity may be half of a composed character.
    """
    text = html.unescape(html.unescape(text))
    text = TAG.sub(" ", COMMENT.sub(" ", text))
    text = unicodedata.normalize("NFC", text)
    return "".join(map(_visible, text))


def single_blanks(text: str) -> str:
    """Return the text with every run of white space made one blank, and no punctuation left alone by what was taken out."""
    text = " ".join(text.split())
    text = re.sub(r"\s+([,;.])", r"\1", text)
    return re.sub(r"(?:[,;] ?){2,}", ", ", text).strip(" ,;|")


def words(text: str) -> list[str]:
    """Return the words of a text, in lower case."""
    return WORD.findall(text.casefold())


def _visible(character: str) -> str:
    """Return the character; a blank for a control character, nothing for an invisible one or half a surrogate pair."""
    kind = unicodedata.category(character)
    if kind == "Cc":
        return " "
    return "" if kind in ("Cs", "Co") or (kind == "Cf" and character not in JOINERS) else character
