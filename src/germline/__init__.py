"""germline: diffusion models that train on what they make.

``Loop`` and ``Recipe`` are imported when first asked for, so that what needs no torch starts without it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from germline.core.recipe import Recipe
    from germline.loop import Loop

__all__ = ["Loop", "Recipe"]


def __getattr__(name: str) -> object:
    if name == "Loop":
        from germline.loop import Loop

        return Loop
    if name == "Recipe":
        from germline.core.recipe import Recipe

        return Recipe
    raise AttributeError(f"module 'germline' has no attribute {name!r}")
