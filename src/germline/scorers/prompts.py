"""What a row was asked to show, in words."""

from __future__ import annotations

import html
import re
from typing import Literal

import numpy as np

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.extras import imported
from germline.core.pool import Pool

SLOT = "{class}"
Captions = Literal["read", "sent"]  # what a scorer does with captions; where they are sent, nobody here knows whether they are read


def told(who: str, pool: Pool, ctx: Context, template: str | None) -> list[str]:
    """Return each row's prompt; of a class, ``template`` with the class's name in the place of "{class}".

    Raises:
        BadInput: conditions are classes and there is no template, a template has no place for them, or a class is unknown.
    """
    if not np.issubdtype(pool.condition.dtype, np.integer):
        return [str(prompt) for prompt in pool.condition]
    classes = ctx.data.classes
    if template is None:
        raise BadInput(
            f"{who} compares images with prompts, but the conditions of {ctx.data.name} are classes; say how a class reads:"
            f' template="a photo of {SLOT}".'
        )
    if SLOT not in template:
        raise BadInput(f"{who}: the template {template!r} must hold {SLOT}, where the class's name goes.")
    if len(pool) and (pool.condition.min() < 0 or pool.condition.max() >= len(classes)):
        raise BadInput(f"{who}: condition {pool.condition.max()} is no class; {ctx.data.name} has {len(classes)} of them.")
    return [template.replace(SLOT, classes[label]) for label in pool.condition.tolist()]


def cleaned(prompt: str) -> str:
    """Return a prompt as OpenAI's tokenizer cleans it: ftfy, HTML entities undone twice, single blanks, lower case.

    Raises:
        MissingExtra: ftfy is not installed.
    """
    fixed = html.unescape(html.unescape(imported("A CLIP scorer", "ftfy", "rewards").fix_text(prompt)))
    return re.sub(r"\s+", " ", fixed).strip().lower()
