"""A recipe's parts, or a run's numbers."""

from pathlib import Path

from germline import registry
from germline.chain import Chain
from germline.core import digest
from germline.measure import measured
from germline.report.effective import effective, of_config
from germline.report.terminal import print_measurements, print_parts
from germline.verbs.arguments import Name, print_json, run_folders


def show(name: Name, json: bool = False) -> None:
    """Show a recipe's parts and presets, or a run's numbers.

    Examples:
      germline show entropy
      germline show runs/demo

    Args:
        name: a recipe, or a run folder (also its name in ./runs).
        json: print JSON.
    """
    if registry.is_recipe(name):
        for preset in registry.presets(name):
            parts = digest.describe(registry.function_of(name)(**registry.defaults(name, preset)))
            guidance = effective(parts)
            if json:
                print_json({"preset": preset, "parts": parts, "guidance": guidance and guidance.to_json()})
            else:
                print_parts(f"{name}, preset {preset}", parts)
        return
    for path in run_folders([Path(name)], [*registry.recipe_names()]):
        rows = [(generation.number, measured(generation)) for generation in Chain(path).generations()]
        guidance = of_config(Chain(path).config)
        if json:
            values = [[value.to_json() for value in values] for _, values in rows]
            print_json({"run": str(path), "guidance": guidance and guidance.to_json(), "generations": values})
            continue
        print_measurements(str(path), rows)
        if guidance is not None:
            print(f"guidance: {guidance.text}")
