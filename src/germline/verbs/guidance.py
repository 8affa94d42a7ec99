"""What guidance will do to a chain, from its generation 0."""

from collections.abc import Sequence
from pathlib import Path

from germline import captioned, registry
from germline.chain import Chain
from germline.core import sealed
from germline.core.atomic import write_bytes
from germline.core.digest import Json
from germline.core.errors import BadInput
from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.guidance import SCALES, Prediction, foretold, leak, observed, predict, side_of
from germline.registry import plain
from germline.report.figures import Figure
from germline.report.foretold import foretold_figure, page
from germline.report.text import number
from germline.samplers import SamplePipeline
from germline.verbs.arguments import Paths, print_json, run_folders

FILE = "guidance.json"
AHEAD = 6  # generations that are foretold where fewer are finished


def guidance(
    runs: Paths, scales: tuple[float, ...] = SCALES, rows: int = 300, figure: Path | None = None, observe: bool = True, json: bool = False
) -> None:
    """Foretell from generation 0 which way each guidance scale takes a chain: blur, hold or exaggerate; and recommend one.

    Generation 0's model is sampled at each scale, and how far the class means lie apart is measured in units of its training set. At
    scale 1 that is h, and s* is the scale at which it is 1. The prediction is kept in guidance.json of the run and never changed; called
    again, it is read and held against the generations that are there. The model behind it is ours: theory/growth.py. Where every caption
    has one image, how much images of a caption differ is read off draws of the model before the chain, and intervals hold what that leaves
    open: theory/one_image.py.

    Examples:
      germline run chain-of-diffusion --generations 0 --out runs/chain
      germline guidance runs/chain
      germline run chain-of-diffusion --generations 5 --out runs/chain
      germline guidance runs/chain --figure guidance.html

    Args:
        runs: run folders, or folders that hold some (also their names in ./runs).
        scales: guidance scales to draw at, the first 1.
        rows: samples at each scale; they are cached beside the run, not in it.
        figure: write the prediction over the observed chain of one run to this HTML file.
        observe: measure the generations that are there.
        json: print JSON, of several runs a list.

    Raises:
        BadInput: a run that nothing can be foretold of, or a figure of several.
    """
    folders = run_folders(runs)
    if figure is not None and len(folders) > 1:
        raise BadInput(f"--figure draws one run, but there are {len(folders)}; name one of them.")
    found: list[dict[str, Json]] = []
    for path in folders:
        opened = registry.open_run(path)
        said = _foretold(opened, scales, rows)
        seen = _seen(opened, said) if observe else []
        found.append({"run": str(path), **said, "observed": [*seen], "observed_side": side_of(seen)})
        if figure is not None:
            write_bytes(figure, page(_drawn(said, seen), f"{opened.name}: foretold and observed").encode())
        if not json:
            for line in [*([f"{path.name}:"] if len(folders) > 1 else []), *text(said, seen)]:
                print(line, flush=True)
    if json:
        print_json(found[0] if len(found) == 1 else found)
    elif len(found) > 1:
        print(_right(found))


def _foretold(opened: registry.Run, scales: tuple[float, ...], rows: int) -> dict[str, Json]:
    """Return the prediction that lies in the run, or make one and seal it."""
    if opened.recipe is None:
        raise BadInput(f"{opened.chain.path} was adopted from folders: it has no sampler to draw other scales with.")
    asked: dict[str, Json] = {"scales": list(scales), "rows": rows}
    said = _kept(opened.chain, asked)
    if said is None:
        made, told = _predicted(opened.recipe, opened, scales, rows)
        about: dict[str, Json] = {"asked": asked, "generation_0": opened.chain[0].digest, "finished": len(opened.chain)}
        whole = (opened.recipe, opened.chain, opened.data, rows)
        said = {**about, "prediction": plain(made), "leak": captioned.leak(*whole) if "latents" in told else leak(*whole), **told}
        sealed.write(opened.chain.path / FILE, said)
    return said


def _predicted(
    recipe: Recipe[ClassModel], opened: registry.Run, scales: tuple[float, ...], rows: int
) -> tuple[Prediction, dict[str, Json]]:
    """Return the prediction, and what else is to be said of it: ``within`` captions, and ``latents`` where tau is of those."""
    chain, data = opened.chain, opened.data
    sampler: object = recipe.sampler
    latents: dict[str, Json] = {"latents": True} if isinstance(sampler, SamplePipeline) else {}
    if len(chain) and captioned.single(chain, data, rows):
        made, within = captioned.predict(recipe, chain, data, scales, rows)
        return made, {"within": plain(within), **latents}
    made = predict(recipe.sampler, chain, data, scales, rows)
    if latents:
        images = captioned.repeated(chain[0].training(data), rows)
        made = captioned.in_latents(made, recipe, images, images.condition)
    return made, latents


def _seen(opened: registry.Run, said: dict[str, Json]) -> list[float]:
    within = said.get("within")
    if isinstance(within, dict):
        return captioned.observed(opened.chain, opened.data, _number(within["share"]))
    return observed(opened.chain, opened.data)


def _drawn(said: dict[str, Json], seen: Sequence[float]) -> Figure:
    prediction, own = _prediction(said)
    ahead, most = max(AHEAD, len(seen)), _number(prediction["most"])
    curves = {f"scale {_number(at['scale']):g}": foretold(_number(at["growth"]), ahead, most) for at in _scales(prediction)}
    return foretold_figure(curves, foretold(_number(own["growth"]), ahead, most), seen)


def _right(found: Sequence[dict[str, Json]]) -> str:
    """Return how many of several runs took the side that was foretold of them before generation 1."""
    ahead = [one for one in found if one["observed_side"] is not None and one["finished"] == 1]
    right = sum(_prediction(one)[1]["likely"] == one["observed_side"] for one in ahead)
    late = len([one for one in found if one["finished"] != 1])
    return f"{right} of {len(ahead)} runs took the side foretold" + (f"; {late} were foretold late and are not counted" if late else "")


def _prediction(said: dict[str, Json]) -> tuple[dict[str, Json], dict[str, Json]]:
    """Return the prediction, and what it says of the run's own sampler."""
    prediction = said["prediction"]
    assert isinstance(prediction, dict)
    own = prediction["own"]
    assert isinstance(own, dict)
    return prediction, own


def text(said: dict[str, Json], seen: list[float]) -> list[str]:
    """Return a prediction in words, and what came of it."""
    (prediction, own), finished = _prediction(said), said["finished"]
    known = "before any generation after 0" if finished == 1 else f"when generations 0 to {int(_number(finished)) - 1} were finished"
    within, latents = said.get("within"), bool(said.get("latents"))
    kind = "captions with one image each" if isinstance(within, dict) else "classes"
    lines = [f"foretold {known}, from {prediction['rows']} rows at each scale in {prediction['classes']} {kind}"]
    if isinstance(within, dict):
        lines.append(
            f"within a caption: {100 * _number(within['share']):.0f} % of the data's variance, as far as draws of {within['by']} can tell"
            f" ({within['images']} images of {within['captions']} captions); intervals begin where images learned by heart would put them"
        )
    lines.append(f"h, what training absorbs: {_range(prediction['h'])}")
    lines.append(f"s*, the scale that holds: {_range(prediction['critical'])}")
    lines += [f"  scale {_number(at['scale']):g}: growth {_range(at, 'growth')}, {_side(at)}" for at in _scales(prediction)]
    like = "" if own["scale"] is None else f", as a constant {number(_number(own['scale']))}"
    lines.append(f"this run's own sampler: growth {_range(own, 'growth')}{like}, {_side(own)}")
    start = prediction["start"]
    schedule = "" if start is None else f", or exp_floor from {number(_number(start))} (a = 3, u = {'timestep' if latents else 'step'})"
    lines.append(f"recommended: a constant guidance scale of {number(_number(prediction['constant']))}{schedule}")
    critical = prediction["critical"]
    if isinstance(critical, dict) and critical["value"] is None:
        lines[-1] += " (the nearest drawn: s* lies beyond the scales)"
    if start is not None:
        whose = "of latents within a caption" if latents else "within a class"
        lines[-1] += f": equal s_eff at tau {number(_number(prediction['spread']))}, the spread {whose}"
    if said["leak"] is not None:
        lines.append(f"null-branch leak: {number(_number(said['leak']))} (1: fine-tuning moved unconditional samples all the way)")
    if seen:
        lines.append("observed displacement by generation: " + ", ".join(map(number, seen)))
    if (side := side_of(seen)) is not None:
        lines.append(f"observed side: {side}; foretold: {own['likely']}")
    return lines


def _kept(chain: Chain, asked: dict[str, Json]) -> dict[str, Json] | None:
    """Return the prediction that lies in the run, if one does.

    Raises:
        BadInput: it is of another generation 0, or of other scales or rows.
    """
    path = chain.path / FILE
    if not path.exists():
        return None
    said = sealed.read(path)
    if said["generation_0"] != chain[0].digest or said["asked"] != asked:
        what = "of another generation 0" if said["asked"] == asked else f"with {said['asked']}, not {asked}"
        raise BadInput(f"{path} holds a prediction {what}, and predictions are never changed. Ask as it was asked, or move that file away.")
    return said


def _scales(prediction: dict[str, Json]) -> list[dict[str, Json]]:
    found = prediction["scales"]
    assert isinstance(found, list)
    return [at for at in found if isinstance(at, dict)]


def _side(at: dict[str, Json]) -> str:
    return str(at["side"]) + (f" (rather {at['likely']})" if at["side"] == "hold" else "")


def _range(value: Json, key: str = "value") -> str:
    assert isinstance(value, dict)
    middle, low, high = (value[name] for name in (key, "low", "high"))
    ends = [("beyond the scales" if end is None else number(_number(end))) for end in (low, high)]
    between = "its interval lies beyond the scales on both sides" if low is high is None else " to ".join(ends)
    return f"{'not on these scales' if middle is None else number(_number(middle))} ({between})"


def _number(value: Json) -> float:
    assert isinstance(value, int | float)
    return float(value)
