"""germline evaluate on tiny pipelines: equal noise, kills, conflicts, the verb."""

import json
import multiprocessing
import os
import re
import signal
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

import germline.evaluate.drawing
from conftest import gaussian_recipe, gaussian_splits
from germline import registry
from germline.cli import main
from germline.core import digest, sealed
from germline.core.errors import BadInput, RunConflict
from germline.core.pool import Pool
from germline.core.recipe import Recipe
from germline.core.splits import Splits
from germline.evaluate.drawing import Task, draw, left
from germline.evaluate.evaluation import evaluate, plan
from germline.evaluate.questions import questions
from germline.evaluate.subjects import Changes, of_pipeline, of_run, selectors_among
from germline.loop import Loop
from germline.mixers import Replace
from germline.pipelines.lora import Lora
from germline.samplers import Rounds, SamplePipeline
from germline.scorers import Function
from germline.trainers import Import, TunePipeline
from germline.verbs.evaluate import names_of
from tiny_pipelines import SIDE, saved

ASKED = [f"a cat of kind {i}" for i in "abcdefghijkl"]
KINDS = ["fur"] * 6 + ["claw"] * 6
REPLACING = germline.core.atomic.replacing


def bright(images, conditions):
    return images.mean((1, 2, 3)) / 255


def red(images, conditions):
    return images[..., 0].mean((1, 2)) / 255


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return saved("sd1", tmp_path_factory.mktemp("pipelines") / "sd1")


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    file = tmp_path_factory.mktemp("prompts") / "asked.jsonl"
    file.write_text("\n".join(json.dumps({"prompt": p, "Category": k}) for p, k in zip(ASKED, KINDS, strict=True)))
    return file


@pytest.fixture(scope="module")
def run(base, tmp_path_factory):
    """The base as it is, and a round that was tuned at a rate that shows; rows chosen by brightness."""
    images = np.random.default_rng(0).integers(0, 255, (4, SIDE, SIDE, 3), np.uint8)
    pool = Pool.of(images, np.array(["a dog", "a cow", "a cat", "a fox"]))
    data = Splits("four", (), pool, pool, pool, pool)
    tuner = TunePipeline(base, images=8, batch=2, lora=Lora(4), learning_rate=0.03)
    recipe = Recipe(Import(base), Replace(), tuner, SamplePipeline(4, steps=2, guidance_scale=3.0), scorers=(Function(bright, "bright"),))
    loop = Loop.at(tmp_path_factory.mktemp("runs") / "tuned", recipe, data)
    list(loop.run(1))
    return registry.Run("tuned", loop.chain, recipe, data)


def rounds(run, scorers=(), only=(), **changes):
    return of_run(run.name, run.chain, run.data, run.recipe.sampler, run.recipe.scorers, only, Changes(**changes), scorers)


def content(folder):
    return {str(p.relative_to(folder)): digest.of_file(p) for p in sorted(folder.rglob("*")) if p.is_file()}


def test_all_models_draw_from_equal_noise_that_is_no_training_images(run, base, asked, tmp_path):
    task = Task(questions([asked]), 2)
    first, last = (draw(task, subject, tmp_path / subject.name) for subject in rounds(run))
    plain = draw(task, of_pipeline("sd1", base, Changes(steps=2, guidance_scale=3.0), None), tmp_path / "sd1")
    assert np.array_equal(first.images[:], plain.images[:]), "round 0 is the base, drawn in the same way"
    assert not np.array_equal(first.images[:], last.images[:])
    assert first.condition.tolist() == [prompt for prompt in ASKED for _ in range(2)]
    assert not np.array_equal(first.images[[0]], first.images[[1]]), "a prompt's images are of different noise"
    few = draw(replace(task, questions=questions([asked]).spread(2)), rounds(run)[0], tmp_path / "few")
    # Rows in a batch of another size are rounded otherwise on some processors, by a level of 255 at most.
    apart = np.abs(few.images[[0, 1]].astype(int) - first.images[[0, 1]])
    assert apart.max() <= 1, "row i does not depend on how many there are"
    # The chain's own samples of the same prompts begin elsewhere.
    samples = run.chain[0].samples
    own = replace(task, questions=replace(questions([asked]).spread(4), prompts=tuple(map(str, samples.condition))), images_a_prompt=1)
    assert not np.array_equal(draw(own, rounds(run)[0], tmp_path / "own").images[:], samples.images[:])


def test_differences_are_those_of_the_scores_in_the_table(run, asked, tmp_path):
    scorers = [Function(bright, "bright"), Function(red, "red")]
    found = evaluate(Task(questions([asked]), 2), rounds(run, scorers), scorers, tmp_path)
    table = pq.read_table(tmp_path / "scores.parquet").to_pandas()
    assert len(table) == 2 * 24
    for name, score in (("bright", bright), ("red", red)):
        by = table.groupby(["round", "prompt"])[name].mean().unstack("round")
        (line,) = [x for x in found.lines if (x.scorer, x.subject, x.category) == (name, "tuned-001", "all")]
        assert line.difference.value == pytest.approx((by[1] - by[0]).mean(), abs=1e-12)
        assert line.better == pytest.approx((by[1] > by[0]).mean())
        assert (line.prompts, line.against) == (12, "tuned-000")
        images = found.pools["tuned-001"].images[:]
        assert table[table["round"] == 1][name].to_numpy() == pytest.approx(score(images, None), abs=1e-12)
    assert table[table["round"] == 0]["category"].tolist() == [k for k in KINDS for _ in range(2)]
    said = sealed.read(tmp_path / "evaluation.json")
    assert said["scorers"]["bright"]["selecting"] == ["tuned-000", "tuned-001"]
    assert said["scorers"]["red"]["selecting"] == []
    assert [s["model"] for s in said["subjects"]] == [run.chain[number].file_digest("model.safetensors") for number in (0, 1)]


def test_another_scorer_is_added_and_nothing_is_drawn_again(run, asked, tmp_path, monkeypatch):
    task = Task(questions([asked]), 1)
    evaluate(task, rounds(run, only=(0,)), [Function(bright, "bright")], tmp_path)
    before = (tmp_path / "images" / "tuned-000" / "samples.npy").stat().st_mtime_ns
    monkeypatch.setattr(SamplePipeline, "_latents", None)
    evaluate(task, rounds(run, only=(0,)), [Function(bright, "bright"), Function(red, "red")], tmp_path)
    assert (tmp_path / "images" / "tuned-000" / "samples.npy").stat().st_mtime_ns == before
    assert {"bright", "red"} <= set(pq.read_schema(tmp_path / "scores.parquet").names)


def test_the_model_that_arms_share_is_drawn_once(run, asked, tmp_path, monkeypatch):
    task, (first, last) = Task(questions([asked]), 1), rounds(run)
    shared = [first, last, replace(first, arm="other")]
    assert plan(task, shared, [], tmp_path).left == 2 * task.rows
    draw(task, first, tmp_path / "images" / "tuned-000")
    assert plan(task, shared, [], tmp_path).left == task.rows
    monkeypatch.setattr(SamplePipeline, "_latents", None)
    twin = draw(task, shared[2], tmp_path / "images" / "other-000")
    assert content(tmp_path / "images" / "other-000") == content(tmp_path / "images" / "tuned-000")
    assert twin.images[:].shape[0] == task.rows


def test_other_prompts_seeds_or_models_do_not_mix(run, asked, tmp_path):
    task, (first, last) = Task(questions([asked]).spread(2), 1), rounds(run)
    draw(task, first, tmp_path / "a")
    for other, subject, what in (
        (replace(task, seed=1), first, "seed"),
        (replace(task, questions=questions([asked]).spread(3)), first, "prompts"),
        (task, last, "model"),
        (task, replace(first, sampler=replace(first.sampler, steps=3)), "sampler"),
    ):
        with pytest.raises(RunConflict, match=f"images of another {what}"):
            draw(other, subject, tmp_path / "a")


def killed_in(block, moment, folder, asked, base):
    """Draw, and be killed at a moment of writing a block."""
    place = germline.evaluate.drawing

    @contextmanager
    def dying(path):
        mine = path.name == f"rows_{block:08d}.npz" or (block < 0 and path.name == "samples.npy")
        if mine and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        with REPLACING(path) as temporary:
            yield temporary
            if mine and moment == "during":
                os.kill(os.getpid(), signal.SIGKILL)
        if mine and moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    place.replacing = dying
    asking(folder, asked, base)


def asking(folder, asked, base):
    germline.evaluate.drawing.BLOCK = 8
    subject = of_pipeline("sd1", base, Changes(steps=1, batch=4), None)
    return evaluate(Task(questions([asked]), 2), [subject], [Function(bright, "bright")], folder)


@pytest.fixture(scope="module")
def whole(asked, base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(germline.evaluate.drawing, "BLOCK", 8)
        asking(folder, asked, base)
    return content(folder)


@pytest.mark.parametrize(("block", "moment"), [(8, "during"), (16, "after"), (-1, "during"), (-1, "after")])
def test_killed_and_asked_again_the_bytes_are_the_same(block, moment, whole, asked, base, tmp_path, monkeypatch):
    process = multiprocessing.get_context("fork").Process(target=killed_in, args=(block, moment, tmp_path, asked, base))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (tmp_path / "evaluation.json").exists()
    monkeypatch.setattr(germline.evaluate.drawing, "BLOCK", 8)
    task, subject = Task(questions([asked]), 2), of_pipeline("sd1", base, Changes(steps=1, batch=4), None)
    assert left(task, subject, tmp_path / "images" / "sd1-000") == {8: 16, 16: 0, -1: 0}[block]
    asking(tmp_path, asked, base)
    assert content(tmp_path) == whole


def test_a_damaged_block_is_drawn_again(whole, asked, base, tmp_path, monkeypatch):
    process = multiprocessing.get_context("fork").Process(target=killed_in, args=(16, "before", tmp_path, asked, base))
    process.start()
    process.join()
    block = tmp_path / "images" / "sd1-000" / "scratch" / "rows_00000000.npz"
    block.write_bytes(block.read_bytes()[:-100])
    monkeypatch.setattr(germline.evaluate.drawing, "BLOCK", 8)
    asking(tmp_path, asked, base)
    assert content(tmp_path) == whole


def ask(monkeypatch, run, *arguments):
    monkeypatch.setattr(registry, "open_run", lambda path: run)
    return main(["evaluate", str(run.chain.path), *map(str, arguments)])


def test_rounds_of_new_prompts_are_evaluated_as_the_sampler_that_draws_them(run):
    wrapped = replace(run, recipe=replace(run.recipe, sampler=Rounds(run.recipe.sampler)))
    assert [(one.digest, one.sampler) for one in rounds(wrapped)] == [(one.digest, one.sampler) for one in rounds(run)]


def test_the_verb_says_what_it_will_take_and_writes_nothing(run, base, asked, tmp_path, monkeypatch, capsys):
    out = tmp_path / "eval"
    flags = [base, "--prompts", asked, "--images-a-prompt", 3, "--by", f"{__name__}:bright", "--steps", 2, "--out", out]
    assert ask(monkeypatch, run, *flags, "--dry-run", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    amounts = {"prompts": 12, "images": 108, "left": 108, "evaluations": 108 * 4, "scores": 108, "bytes": 108 * 3 * SIDE**2}
    assert said == {"models": ["tuned-000", "tuned-001", "sd1-000"], "scorers": ["bright"], **amounts}
    assert ask(monkeypatch, run, *flags, "--dry-run") == 0
    text = capsys.readouterr().out
    for line in (
        "Models: 3, tuned-000",
        "Prompts: 12 of ",
        "Images: 108 in all, 0 MB; 108 are to be drawn with 432",
        "Scorers: bright: 108 scores",
    ):
        assert line in text
    assert not out.exists()
    assert ask(monkeypatch, run, *flags, "--dry-run", "--json", "--generations", "last") == 0
    assert json.loads(capsys.readouterr().out)["models"] == ["tuned-000", "tuned-001", "sd1-000"]


def test_emoji_are_scored_by_what_is_shipped_where_no_scorer_is_named(run, base, asked, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("germline.verbs.evaluate.there", lambda: ())
    of_emoji = replace(run, data=replace(run.data, name="emoji"))
    flags = ["--prompts", asked, "--images-a-prompt", 1, "--out", tmp_path / "eval", "--dry-run"]
    for given, more, scorers in ((of_emoji, [], 2), (of_emoji, ["emoji"], 2), (of_emoji, [base], 0), (run, [], 0)):
        assert ask(monkeypatch, given, *more, *flags) == 0
        text = capsys.readouterr().out
        told = (
            "dual_encoder, dual_encoder_held_out: "
            if scorers
            else "none, the hub left no scorer's weights here; name scorers, such as --by clip"
        )
        assert f"Scorers: {told}" in text


def test_the_verb_draws_scores_and_shows(run, base, asked, tmp_path, monkeypatch, capsys):
    out, hostile = tmp_path / "eval", tmp_path / "hostile.jsonl"
    hostile.write_text(asked.read_text() + '\n{"prompt": "a <script>alert(1)</script>", "Category": "<b>"}')
    flags = [base, "--prompts", hostile, "--images-a-prompt", 1, "--by", f"{__name__}:bright,{__name__}:red,name=reds", "--out", out]
    assert ask(monkeypatch, run, *flags, "--steps", 1) == 0
    shown = capsys.readouterr().out
    assert "bright (chose rows of tuned)" in shown
    assert re.search(r"tuned-001.*\[.*\].*%", shown)
    page = (out / "evaluation.html").read_text()
    assert "<script" not in page
    assert "a &lt;script&gt;" in page
    assert page.count("data:image/png") == 3 * 12, "twelve prompts, three models"
    assert "It chose training rows of tuned" in page
    assert "<polyline" in page
    assert ask(monkeypatch, run, *flags, "--steps", 1, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert {line["subject"] for line in said["lines"]} == {"tuned-000", "tuned-001", "sd1-000"}
    assert {line["category"] for line in said["lines"]} == {"all", "fur", "claw", "<b>"}
    assert {line["against"] for line in said["lines"]} == {None, "tuned-000"}


def test_what_cannot_be_asked_says_why(run, asked, tmp_path, monkeypatch, capsys):
    gaussian = Loop.at(tmp_path / "run", gaussian_recipe(20), gaussian_splits(20, 4))
    list(gaussian.run(0))
    with pytest.raises(BadInput, match="made by DrawGaussian, which takes no prompts"):
        of_run("g", gaussian.chain, gaussian.data, gaussian.recipe.sampler, (), (), Changes(), ())
    with pytest.raises(BadInput, match="has generations 0 to 1, and no 5"):
        rounds(run, only=(5,))
    with pytest.raises(BadInput, match="Two scorers have the name bright; name one anew"):
        plan(Task(questions([asked]), 1), rounds(run), [Function(bright, "bright"), Function(red, "bright")], tmp_path)
    with pytest.raises(BadInput, match="Two models have the name tuned-000"):
        plan(Task(questions([asked]), 1), [*rounds(run), *rounds(run)], [], tmp_path)
    assert ask(monkeypatch, run, "--images-a-prompt", 0) == 1
    assert "--images-a-prompt must be at least 1" in capsys.readouterr().err
    assert main(["evaluate"]) == 1
    assert "Name a run folder or a pipeline" in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path / "nothing"), "--by", f"{__name__}:bright"]) == 1
    assert "neither a folder here nor a pipeline" in capsys.readouterr().err


def test_commas_part_scorers_but_not_their_fields():
    assert names_of(["clip,hps_v2.1:/w.pt,resize=legacy,precision=bf16", "pickscore"]) == (
        "clip",
        "hps_v2.1:/w.pt,resize=legacy,precision=bf16",
        "pickscore",
    )


def test_a_scorer_is_known_again_whatever_it_is_called():
    assert selectors_among([Function(bright, "x"), Function(red, "bright")], [Function(bright, "bright")]) == ("x",)


def test_the_prompts_take_no_memory_of_images():
    black = germline.evaluate.drawing.asked(questions(["parti"]), 512).real.images._sources[-1].images
    assert black.strides[0] == 0, "one image, seen 1,632 times"
