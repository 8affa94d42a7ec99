"""Templates filled in: how every page becomes HTML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from germline.core.digest import Json
from germline.report import figures
from germline.report.composition import colour
from germline.report.text import number

HERE = Path(__file__).parent


def rendered(template: str, values: Mapping[str, object]) -> str:
    """Return the template as HTML. It sees ``values`` and the style sheet, as ``css``; all text but that is escaped."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": number, "short": short}
    environment.globals |= {"colour": figures.colour, "marker": figures.marker, "made_colour": colour}
    return environment.get_template(template).render({"css": own("page.css"), **values})


def own(file: str) -> Markup:
    """Return a file of this folder as it is: there is nothing of a user's in it."""
    return Markup((HERE / file).read_text())


def short(value: Json) -> Json:
    """Return a figure's JSON with six digits that matter in every number: more are not seen, and are half of its bytes."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: short(inner) for key, inner in value.items()}
    return [short(inner) for inner in value] if isinstance(value, list) else value
