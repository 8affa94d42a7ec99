"""germline doctor, on tiny pipelines of the real architectures and tiny reward models."""

import json

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

import tiny_scorers
from conftest import gaussian_splits
from germline import doctor
from germline.cli import main
from germline.core.context import Context
from germline.core.errors import GermlineError
from germline.pipelines.lora import Lora
from germline.samplers import SamplePipeline
from germline.scorers import Function, published
from germline.trainers import TunePipeline
from tiny_pipelines import SIDE, saved

CTX = Context(0, 0, gaussian_splits(4, 4))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("pipelines")
    return {kind: saved(kind, root / kind) for kind in ("sd1", "sd3")}


def seen(capsys):
    out = capsys.readouterr()
    return json.loads(out.out), out.err


@pytest.mark.parametrize(("kind", "flags"), [("sd1", ["--full", "--batch", "2"]), ("sd3", ["--card", "24", "--precision", "fp32"])])
def test_the_verb_draws_trains_and_reckons(kind, flags, folders, capsys, monkeypatch):
    monkeypatch.setattr(published, "WEIGHTS", {})
    more = ["--steps", "2", "--images", "600", "--rows", "30", "--generations", "2", *flags]
    assert main(["doctor", "--model", str(folders[kind]), *more, "--json"]) == 0
    found, err = seen(capsys)
    assert "name some with --scorer" in err
    assert (found["kind"], found["size"], found["evaluations"]) == (kind, SIDE, 4)
    assert found["batch"] == (2 if kind == "sd1" else 8)
    assert {"python", "torch", "diffusers", "transformers", "peft", "numpy"} <= found["versions"].keys()
    assert found["device"].startswith("cpu, ")
    rates = [found[phase]["images_per_second"] for phase in ("sampling", "training")]
    assert found["hours"] == pytest.approx(3 * (30 / rates[0] + 600 / rates[1]) / 3600), "generations 0 to 2"
    assert found["sampling"]["peak"] > 1e7
    from germline.pipelines.opened import open_pipeline

    network = open_pipeline(folders[kind]).network
    if kind == "sd1":
        assert found["trained"] == sum(parameter.numel() for parameter in network.parameters())
    else:
        lora = {name: module for name, module in network.named_modules() if name.endswith(Lora.ATTENTION + Lora.JOINT)}
        assert found["trained"] == 16 * sum(sum(module.weight.shape) for module in lora.values())
        assert found["precision"] == ["fp32", "bf16"]


def test_the_page_says_what_a_person_needs(folders, capsys):
    assert (
        main(["doctor", "--model", str(folders["sd1"]), "--steps", "1", "--guidance-scale", "1", "--scorer", "test_doctor:brightness"]) == 0
    )
    out = capsys.readouterr().out
    lines = {line[:12].strip(): line[12:] for line in out.splitlines()}
    assert lines["model"].endswith("sd1: sd1, 32 x 32 pixels")
    assert "images a second" in lines["sampling"]
    assert "1 evaluations an image" in lines["sampling"]
    assert "hours for generations 0 to 5, each training on 8,000 images and sampling 1,000" in lines["a run"]
    assert "for the image drawn" in lines["brightness"]


def brightness(images, conditions):
    return images.mean((1, 2, 3)) / 255


def test_a_scorer_is_run_on_the_image_that_was_drawn(folders):
    tuner, sampler = TunePipeline(folders["sd1"], batch=1, lora=Lora(1)), SamplePipeline(1, steps=1)
    kept = []

    def remembered(images, conditions):
        kept.append((images.copy(), list(conditions)))
        return brightness(images, conditions)

    report = doctor.examine(tuner, sampler, "a cat", [Function(remembered, name="bright")])
    (scored,) = report.scorers
    assert kept[-1][1] == ["a cat"]
    assert scored.score == pytest.approx(kept[-1][0][-1].mean() / 255, abs=1e-6)
    assert report.hours > doctor.Run(5, 8_000, 1_000).hours(doctor.replace(report, scorers=())), "scores take time too"


def test_a_head_is_held_against_laions_ten_numbers(tmp_path):
    scorer = tiny_scorers.aesthetic(tmp_path)
    check = published.aesthetic(scorer)
    assert check.passed
    np.testing.assert_allclose(check.found, check.expected, atol=1e-4)
    widths = (768, 1024, 128, 64, 16, 1)
    tensors = {
        f"layers.{layer}.weight": np.zeros((b, a), np.float32) for layer, a, b in zip((0, 2, 4, 6, 7), widths, widths[1:], strict=False)
    }
    tensors |= {name.replace("weight", "bias"): np.full(len(array), 5, np.float32) for name, array in tensors.items()}
    save_file(tensors, tmp_path / "other.safetensors")
    other = published.aesthetic(doctor.replace(scorer, head=tmp_path / "other.safetensors"))
    assert (other.passed, other.found) == (False, (5.0,) * 10)


def test_published_pictures_are_scored_with_their_prompt(tmp_path):
    """A scorer by that name that knows the numbers passes; one that does not fails, and the verb says so."""
    for number in range(1, 5):
        folder = tmp_path / "assets" / "images"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 10 * number, np.uint8)).save(folder / f"{number}.webp", lossless=True)
    known, prompts = {10: 0.5812, 20: 0.2745, 30: -1.4132, 40: -2.0296}, []

    def right(images, conditions):
        prompts.extend(conditions)
        return np.array([known[int(image.flat[0])] for image in images])

    (check,) = published.checks(Function(right, name="imagereward"), tmp_path, CTX)
    assert (check.passed, check.found) == (True, tuple(known.values()))
    assert set(prompts) == {"a painting of an ocean with clouds and birds, day time, low depth field effect"}
    (check,) = published.checks(Function(brightness, name="imagereward"), tmp_path, CTX)
    assert check.passed is False
    (check,) = published.checks(Function(brightness, name="imagereward"), None, CTX)
    assert (check.passed, check.found) == (None, None)
    (check,) = published.checks(Function(brightness, name="hps_v2.1"), tmp_path, CTX)
    assert check.found is None, "demo_image.jpg is not there"
    assert list(published.checks(Function(brightness, name="clip"), tmp_path, CTX)) == []


def imagereward(images, conditions):
    return np.zeros(len(images))


def test_other_numbers_than_the_published_ones_end_with_an_error(folders, tmp_path, capsys):
    for number in range(1, 5):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / f"{number}.webp")
    more = ["--steps", "1", "--batch", "1", "--scorer", "test_doctor:imagereward", "--pictures", str(tmp_path)]
    assert main(["doctor", "--model", str(folders["sd1"]), *more]) == 1
    out = capsys.readouterr()
    assert "published 0.5812, 0.2745, -1.4132, -2.0296" in out.out
    assert "NOT EQUAL" in out.out
    assert "imagereward does not give its published numbers" in out.err


@pytest.mark.parametrize("name", ["torchvision", "timm"])
def test_a_library_that_breaks_imports_is_named(name, tmp_path, monkeypatch):
    assert doctor.environment() == ()
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    (said,) = doctor.environment()
    assert f"{name}  does not import beside torch" in said
    assert "operator torchvision::nms does not exist" in said
    assert f"pip uninstall {name}" in said


def test_a_model_that_cannot_be_opened_is_told_with_what_breaks_imports(folders, tmp_path, monkeypatch):
    with pytest.raises(GermlineError, match="has no model_index.json"):
        doctor.examine(TunePipeline(tmp_path), SamplePipeline(1), "a cat")
    monkeypatch.setattr(doctor, "environment", lambda: ("torchvision 0.1 does not import",))

    def broken(*_):
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(doctor, "open_pipeline", broken)
    with pytest.raises(GermlineError, match="The model cannot be opened: operator .*\ntorchvision 0.1 does not import"):
        doctor.examine(TunePipeline(folders["sd1"]), SamplePipeline(1), "a cat")


def test_training_that_changes_nothing_is_an_error(folders, monkeypatch):
    real = TunePipeline.__call__

    def lazy(self, *args):
        made = real(self, *args)
        return doctor.replace(made, arrays={name: np.zeros_like(array) for name, array in made.arrays.items()})

    monkeypatch.setattr(TunePipeline, "__call__", lazy)
    with pytest.raises(GermlineError, match="nothing has changed; the learning rate, or the precision, is too low"):
        doctor.examine(TunePipeline(folders["sd1"], batch=1, lora=Lora(1)), SamplePipeline(1, steps=1), "a cat")
