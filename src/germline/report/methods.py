"""One paragraph for the methods section of a paper, every number of it read from a run's configuration and measurements."""

from collections.abc import Sequence

from germline.core.digest import Json
from germline.report.effective import effective
from germline.report.tidy import Record

Fields = dict[str, Json]
# What the start of our own trainer stands for: where it goes on from older weights, it halves the rate.
STARTS = {
    "scratch": "from scratch",
    "sequential": "from the last generation's weights at half the learning rate",
    "base": "from generation 0's weights at half the learning rate",
}
TRAINING = {
    "start": "{}",
    "channels": "channels {}",
    "objective": "objective {}",
    "optimiser": "optimiser {}",
    "learning_rate": "learning rate {}",
    "batch": "batch {}",
    "ema": "EMA {}",
    "label_drop": "label drop {}",
    "condition_drop": "condition drop {}",
}
SAID = ("precision", "sigma_min", "sigma_max")  # elsewhere in the paragraph
SAMPLING = {
    "n": "{} a generation",
    "solver": "solver {}",
    "steps": "{} steps",
    "schedule": "noise schedule {}",
    "guidance_scale": "guidance w = {} (1 = none)",
}


def paragraph(runs: Sequence[Record]) -> str:
    """Return the sentences about the runs of one arm; what their configuration does not say is left out."""
    first = runs[0]
    parts = _fields(first.config.get("parts"))
    said = [
        _data(first),
        *(_adopted() if "adopted" in first.names else _recipe(parts, first.names)),
        _length(runs),
        *_measured(first),
        _machine(first),
    ]
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


def _recipe(parts: Fields, names: Json = None) -> list[str]:
    said = []
    if founder := _fields(parts.get("founder")):
        said.append(f"Generation 0 was trained {_on(founder)}{_listed(founder, TRAINING)}.")
    if trainer := _fields(parts.get("trainer")):
        said.append(f"Each later generation was trained {_on(trainer)}{_listed(trainer, TRAINING)}.")
    if sampler := _fields(parts.get("sampler")):
        said.append(f"Samples were drawn by {_name(sampler)}{_listed(sampler, SAMPLING)}{_sigmas(sampler)}.")
    if guidance := effective(parts, names):
        said.append(f"Guidance was scheduled, {guidance.schedule}, which amounts to a constant scale of {guidance.numbers}.")
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
    known = [text.format(_start(part) if key == "start" else _text(part[key])) for key, text in words.items() if part.get(key) is not None]
    # Fields of a part that wraps another one, and of parts of other packages.
    other = [f"{key} = {_text(part[key])}" for key in part if key not in {*words, *SAID, "part", "version", "images"}]
    return "".join(f", {text}" for text in [*known, *(text for text in other if not text.endswith("= none"))])


def _sigmas(sampler: Fields) -> str:
    low, high = sampler.get("sigma_min"), sampler.get("sigma_max")
    return "" if low is None or high is None else f", sigma from {_text(high)} to {_text(low)}"


def _described(part: Fields) -> str:
    fields = [f"{key} = {_text(value)}" for key, value in part.items() if key not in ("part", "version")]
    return _name(part) + (f" ({', '.join(fields)})" if fields else "")


def _start(part: Fields) -> str:
    start = str(part["start"])
    return STARTS.get(start, start) if part.get("part") == "germline.trainers.denoiser:TrainDenoiser" else f"start {start}"


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
    return f"The chain has {held}, for seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}."


def _measured(run: Record) -> list[str]:
    """Return what was measured in words, names together whose conditions are equal."""
    last = next((values for values in reversed(run.values) if values), ())
    named: dict[str, list[str]] = {}
    for value in last:
        if value.of == "samples":
            about = [*([f"features {value.extractor}"] if value.extractor else []), f"n = {value.n:,}"]
            about += [f"{name} = {size:,}" for name, size in (("d", value.d), ("k", value.k)) if size is not None]
            named.setdefault(", ".join(about), []).append(value.name)
    said = [f"{', '.join(names)} ({about})" for about, names in named.items()]
    return [f"Measured of the samples: {'; '.join(said)}."] if said else []


def _machine(run: Record) -> str:
    execution, versions = _fields(run.config.get("execution")), _fields(run.config.get("versions"))
    said = [
        f"{what}: {', '.join(f'{key} {_text(value)}' for key, value in found.items())}."
        for what, found in (("Execution", execution), ("Versions", versions))
        if found
    ]
    return " ".join(said)


def _fields(value: Json) -> Fields:
    return value if isinstance(value, dict) else {}
