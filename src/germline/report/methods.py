"""One paragraph for the methods section of a paper, every number of it read from a run's configuration and measurements."""

from collections.abc import Sequence

from germline.core.digest import Json
from germline.report.tidy import Record

Fields = dict[str, Json]
TRAINING = {
    "start": "start {}",
    "channels": "channels {}",
    "objective": "objective {}",
    "optimiser": "optimiser {}",
    "learning_rate": "learning rate {}",
    "batch": "batch {}",
    "ema": "EMA {}",
    "label_drop": "label drop {}",
}
SAMPLING = {
    "n": "{} rows a generation",
    "solver": "solver {}",
    "steps": "{} steps",
    "schedule": "noise schedule {}",
    "sigma_min": "sigma from {}",
    "sigma_max": "to {}",
    "guidance_scale": "guidance w = {} (1 = none)",
}


def paragraph(runs: Sequence[Record]) -> str:
    """Return the sentences about the runs of one arm; what their configuration does not say is left out."""
    first = runs[0]
    parts = _fields(first.config.get("parts"))
    said = [_data(first), *(_adopted() if "adopted" in first.names else _recipe(parts)), _length(runs), *_measured(first), _machine(first)]
    return " ".join(sentence for sentence in said if sentence)


def _data(run: Record) -> str:
    flags = _fields(run.names.get("data"))
    if "data" not in flags:
        return f"The data set has the digest {str(run.config.get('data'))[:12]}."
    more = [f"{key} = {_text(flags[key])}" for key in ("real", "size") if flags.get(key) is not None]
    return f"The data set is named {flags['data']}" + (f" ({', '.join(more)})." if more else ".")


def _adopted() -> list[str]:
    return [
        "The images of every generation were made by another program and adopted from folders; its trainer and sampler are not recorded."
    ]


def _recipe(parts: Fields) -> list[str]:
    said = []
    if founder := _fields(parts.get("founder")):
        said.append(f"Generation 0 was trained {_on(founder)}{_listed(founder, TRAINING)}.")
    if trainer := _fields(parts.get("trainer")):
        said.append(f"Each later generation was trained {_on(trainer)}{_listed(trainer, TRAINING)}.")
    if sampler := _fields(parts.get("sampler")):
        said.append(f"Samples were drawn by {_name(sampler)}{_listed(sampler, SAMPLING)}.")
    if mixer := _fields(parts.get("mixer")):
        said.append(f"The rows on offer were those of the mixer {_described(mixer)}.")
    for what in ("scorers", "weighters"):
        listed = parts.get(what)
        if isinstance(listed, list) and listed:
            said.append(f"The {what} were {'; '.join(_described(_fields(part)) for part in listed)}.")
    selector = _fields(parts.get("selector"))
    said.append(f"Rows were selected by {_described(selector)}." if selector else "No selector was used.")
    return said


def _on(trainer: Fields) -> str:
    images = trainer.get("images")
    return f"by {_name(trainer)}" + (f" on {images:,} images seen" if isinstance(images, int) else "")


def _listed(part: Fields, words: dict[str, str]) -> str:
    known = [text.format(_text(part[key])) for key, text in words.items() if part.get(key) is not None]
    # Fields of a part that wraps another one, and of parts of other packages.
    other = [f"{key} = {_text(part[key])}" for key in part if key not in {*words, "part", "version", "images", "precision"}]
    return "".join(f", {text}" for text in [*known, *(text for text in other if not text.endswith("= none"))])


def _described(part: Fields) -> str:
    fields = [f"{key} = {_text(value)}" for key, value in part.items() if key not in ("part", "version")]
    return _name(part) + (f" ({', '.join(fields)})" if fields else "")


def _text(value: Json) -> str:
    if isinstance(value, dict):
        return _described(value) if "part" in value else ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return " and ".join(_text(item) for item in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _name(part: Fields) -> str:
    return str(part.get("part", "")).rpartition(":")[2]


def _length(runs: Sequence[Record]) -> str:
    seeds = sorted({run.seed for run in runs})
    lengths = sorted({len(run.values) for run in runs})
    count = " to ".join(str(length) for length in dict.fromkeys((lengths[0], lengths[-1])))
    held = f"{count} generation{'s' * (count != '1')}, generation 0 included"
    return f"The chain has {held}, for the seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}."


def _measured(run: Record) -> list[str]:
    last = next((values for values in reversed(run.values) if values), ())
    spoken = []
    for value in last:
        if value.of == "samples":
            about = [f"n = {value.n:,}", *([f"d = {value.d:,}"] if value.d else []), *([str(value.extractor)] if value.extractor else [])]
            spoken.append(f"{value.name} ({', '.join(about)})")
    return [f"Measured of the samples: {'; '.join(dict.fromkeys(spoken))}."] if spoken else []


def _machine(run: Record) -> str:
    execution, versions = _fields(run.config.get("execution")), _fields(run.config.get("versions"))
    said = [f"{key} {_text(value)}" for key, value in execution.items()] + [f"{name} {version}" for name, version in versions.items()]
    return f"Execution and versions: {', '.join(said)}." if said else ""


def _fields(value: Json) -> Fields:
    return value if isinstance(value, dict) else {}
