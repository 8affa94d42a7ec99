"""The loop; its help needs none of what runs it, so that is imported later."""

from collections.abc import Sequence

from germline import registry

EXAMPLES = (
    "germline run replace",
    "germline run entropy --guidance-scale 2 --out runs/entropy",
    "germline run fresh --data photos/ --size 32 --dry-run",
)


def run(arguments: Sequence[str]) -> None:
    """Run a recipe generation after generation, resume it, measure every generation."""
    if not arguments or arguments[0] in ("-h", "--help"):
        return print(usage())
    from germline.verbs.run_loop import go

    go(arguments)


def usage() -> str:
    """Return the help of ``germline run``, examples first."""
    names = "\n".join(f"  {name:22}{text}" for name, text in registry.recipe_summaries().items())
    return (
        "usage: germline run RECIPE [flags]\n\nExamples:\n  "
        + "\n  ".join(EXAMPLES)
        + f"\n\nRecipes (germline run RECIPE --help says more):\n{names}"
    )
