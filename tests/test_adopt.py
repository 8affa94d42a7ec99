"""Chains of other programs: the same numbers as the run they were exported from, and no number that nobody knows."""

import json
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest

from conftest import gaussian_recipe
from germline import registry
from germline.adopt import Paths, adopted_data, read, write
from germline.chain import Chain
from germline.cli import main
from germline.core.errors import BadInput, Corrupt, GermlineError, RunConflict
from germline.core.pool import UNKNOWN, Pool, Source
from germline.core.splits import NAMES
from germline.core.verdict import Verdict
from germline.data import digits, export
from germline.features import Classifier, Pixels
from germline.judge import steps_of
from germline.loop import Loop
from germline.measure import measure
from germline.metrics import Ages, Agreement, Coverage, Entropy, Frechet, Generalisation, RealShare
from germline.mixers import Accumulate
from germline.report.arms import groups
from germline.selectors import Uniform
from germline.verdict import verdict

JUDGE = Classifier(images=1_280)
METRICS = [
    Frechet(JUDGE),
    Coverage(Pixels()),
    Entropy(JUDGE),
    Generalisation(),
    Generalisation(JUDGE),
    Agreement(JUDGE),
    RealShare(),
    Ages(),
]
N = 80
SIZES = {"real": 100, "reserve": 50, "judge": 200, "held_out": 100}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A run of three generations whose training sets hold rows of everything so far; and its images, exported."""
    place, data = tmp_path_factory.mktemp("own"), digits(SIZES)
    recipe = gaussian_recipe(N, Accumulate(), selector=Uniform(N))
    loop = Loop.at(place / "run", recipe, data)
    list(loop.run(2))
    for g in loop.chain.generations():
        export(g.samples, data.classes, place / f"s{g.number}")
        np.savez(place / f"s{g.number}.npz", images=g.samples.images[:], labels=g.samples.condition)
        export(g.training(data), data.classes, place / f"t{g.number}")
    for name in NAMES:
        export(getattr(data, name), data.classes, place / name)
    return place, loop.chain, data


def paths(place, trained=3, **changes) -> Paths:
    splits = {name: place / name for name in ("reserve", "judge", "held_out")}
    made, training = (tuple(place / f"{of}{g}" for g in range(3)) for of in "st")
    return replace(Paths(place / "real", made, training[3 - trained :], **splits), **changes)


def numbers(chain, data) -> list:
    return [measure(generation, data, METRICS) for generation in chain.generations()]


def said(chain, data) -> Verdict:
    return verdict(steps_of(chain.generations(), data), chain.context(2, data), JUDGE, replace(JUDGE, seed=1))


def test_the_numbers_are_exactly_those_of_the_run_itself(own, tmp_path):
    place, chain, data = own
    adopted = write(read(paths(place)), tmp_path / "adopted")
    theirs = adopted_data(adopted)
    assert theirs.digest == data.digest
    for mine, there in zip(chain.generations(), adopted.generations(), strict=True):
        assert (there.training(theirs).origin == mine.training(data).origin).all()
        assert (there.samples.images[:] == mine.samples.images[:]).all()
        assert (there.samples.condition == mine.samples.condition).all()
    assert numbers(adopted, theirs) == numbers(chain, data)
    assert said(adopted, theirs) == said(chain, data)


def test_weights_and_another_format_come_back_too(own, tmp_path):
    place, chain, data = own
    training = chain[2].training(data)
    weighed = training.weighed(np.linspace(-3, 0, len(training)))
    export(weighed, data.classes, tmp_path / "t2", "parquet")
    export(weighed, data.classes, tmp_path / "t2-folder")
    for name in ("t2", "t2-folder"):
        found = read(paths(place, training=(place / "t0", place / "t1", tmp_path / name))).training[2]
        assert (found.origin == weighed.origin).all()
        np.testing.assert_allclose(found.log_weight, weighed.log_weight, rtol=1e-15)


def test_rows_are_known_by_content_alone(own, tmp_path):
    """Without the metadata of an export: arrays, shuffled, some rows strange."""
    place, chain, data = own
    rng = np.random.default_rng(0)
    for g in range(3):
        samples = chain[g].samples
        np.savez(tmp_path / f"s{g}.npz", images=samples.images[:], labels=samples.condition)
    training = chain[2].training(data).take(rng.permutation(N))
    strange = rng.integers(0, 256, (7, 8, 8, 1)).astype(np.uint8)
    images, labels = np.concatenate([training.images[:], strange, strange[:2]]), np.concatenate([training.condition, np.zeros(9, np.int64)])
    np.savez(tmp_path / "t2.npz", images=images, labels=labels)
    made = tuple(tmp_path / f"s{g}.npz" for g in range(3))
    found = read(paths(place, generations=made, training=(place / "t0", place / "t1", tmp_path / "t2.npz")))
    assert (found.training[2].origin[:N] == training.origin).all()
    assert found.training[2].origin[N:].tolist() == [[UNKNOWN, i] for i in [*range(7), 0, 1]]
    assert "T_2: 9 of 89 rows match neither" in found.notes[0]
    chain = write(found, tmp_path / "adopted")
    splits = adopted_data(chain)
    assert (chain[2].training(splits).images[:] == images).all()
    with pytest.warns(UserWarning, match="the origin of 9 of 89 rows of T_g is unknown"):
        values = measure(chain[2], splits, [RealShare(), Ages()])
    assert [value.name for value in values] == ["ess", "mean_age"]
    known = training.generation[training.generation >= 0]
    assert values[1].value == pytest.approx((2 - known).mean())


def test_the_first_training_set_is_r_only_where_r_is_not_cut(own):
    place, _, data = own
    whole = read(paths(place, trained=2))
    assert (whole.training[0].origin == data.real.origin).all()
    cut = read(paths(place, trained=2, judge=None))
    assert cut.training[0] is None
    assert "judge were cut from R" in cut.notes[0]
    with pytest.raises(BadInput, match="1 training sets do not fit 3 generations"):
        read(paths(place, trained=1))


def test_what_needs_an_unknown_training_set_is_left_out_and_nothing_else(own, tmp_path):
    place, chain, data = own
    adopted = write(read(paths(place, training=())), tmp_path / "adopted")
    with pytest.raises(BadInput, match="What generation 1 was trained on is unknown"):
        adopted[1].training(data)
    with pytest.warns(UserWarning, match="generation 1 goes on without") as notes:
        here = measure(adopted[1], adopted_data(adopted), METRICS)
    lost = {"ess", "generalisation_score", "mean_age", "real_share"}
    assert [str(note.message).split("without ")[1].split(":")[0].split(", ") for note in notes] == [sorted(lost)]
    assert here == [value for value in measure(chain[1], data, METRICS) if value.of != "training" and value.name not in lost]


def test_a_cut_takes_whole_shares_of_every_class(own):
    place, _, data = own
    found = read(Paths(place / "real", (place / "s0",)), judge_share=0.5, held_out_share=0.2).data
    assert [len(getattr(found, name)) for name in NAMES] == [30, 0, 50, 20]
    assert np.bincount(found.judge.condition).tolist() == [5] * 10
    rows = np.concatenate([getattr(found, name).origin[:, 1] for name in NAMES])
    assert sorted(rows) == list(range(100))
    as_bytes = lambda images: sorted(image.tobytes() for image in images)
    assert as_bytes(found.real.sources[-1].images) == as_bytes(data.real.images[:])
    with pytest.raises(BadInput, match="leave some of it"):
        read(Paths(place / "real", (place / "s0",)), judge_share=0.8, held_out_share=0.2)
    with pytest.raises(BadInput, match=r"class '0' has 10 images, too few to cut judge .* raise --judge-share"):
        read(Paths(place / "real", (place / "s0",)), judge_share=0.01)


def test_another_size_another_class_and_missing_labels(own, tmp_path):
    place, chain, _ = own
    images = chain[0].samples.images[:]
    np.savez(tmp_path / "large.npz", images=np.repeat(np.repeat(images, 2, 1), 2, 2), labels=chain[0].samples.condition)
    with pytest.raises(BadInput, match=r"16 x 16, but the real ones are 8 x 8 .* --size 8"):
        read(paths(place, generations=(tmp_path / "large.npz",), training=()))
    assert read(paths(place, generations=(tmp_path / "large.npz",), training=()), size=8).samples[0].images.shape == (N, 8, 8, 1)
    export(chain[0].samples, (*"012345678", "zebra"), tmp_path / "zebra")
    with pytest.raises(BadInput, match="has the class 'zebra', which the real images do not have"):
        read(paths(place, generations=(tmp_path / "zebra",), training=()))
    np.save(tmp_path / "bare.npy", images)
    bare = read(paths(place, generations=(tmp_path / "bare.npy",), training=()))
    assert set(bare.samples[0].condition) == {-1}
    adopted = write(bare, tmp_path / "bare")
    with pytest.warns(UserWarning, match="have no label"):
        assert measure(adopted[0], adopted_data(adopted), [Agreement(JUDGE)]) == []


def test_a_lost_class_and_colour_keep_their_places(own, tmp_path):
    place, chain, data = own
    samples = chain[0].samples
    export(samples.take(samples.condition % 3 == 1), data.classes, tmp_path / "few")
    found = read(paths(place, generations=(tmp_path / "few",), training=())).samples[0]
    assert sorted(set(found.condition)) == [1, 4, 7]
    colour = np.repeat(data.real.images[:], 3, axis=3)
    np.savez(tmp_path / "rgb.npz", images=colour, labels=data.real.condition)
    mixed = read(Paths(tmp_path / "rgb.npz", (tmp_path / "few",)))
    assert mixed.samples[0].images.shape[1:] == mixed.data.image_shape == (8, 8, 3)


def test_a_class_that_r_has_no_row_of_is_named_by_the_other_splits(own, tmp_path):
    place, _, data = own
    names = tuple(f"digit {i}" for i in range(10))
    export(data.real.take(data.real.condition != 4), names, tmp_path / "real")
    export(data.judge, names, tmp_path / "judge")
    export(data.held_out, names, tmp_path / "held_out")
    found = read(Paths(tmp_path / "real", (place / "s0.npz",), judge=tmp_path / "judge", held_out=tmp_path / "held_out"))
    assert found.data.classes == names
    assert (found.data.judge.condition == data.judge.condition).all()


def test_the_judge_compares_like_with_like_and_does_without_labels(own, tmp_path):
    place, chain, data = own
    half = write(read(paths(place, trained=2, judge=place / "judge", held_out=None)), tmp_path / "half")
    assert [generation.training_known for generation in half.generations()] == [False, True, True]
    assert [step.training for step in steps_of(half.generations(), adopted_data(half))] == [None] * 3
    for g in range(3):
        np.save(tmp_path / f"s{g}.npy", chain[g].samples.images[:])
    bare = write(read(paths(place, training=(), generations=tuple(tmp_path / f"s{g}.npy" for g in range(3)))), tmp_path / "bare")
    axes = {axis.name for axis in said(bare, data).axes}
    assert axes == {"fidelity", "diversity", "novelty"}
    assert {axis.name for axis in said(chain, data).axes} == axes | {"agreement"}


def test_prompts_and_no_labels_at_all(tmp_path):
    rng = np.random.default_rng(0)
    images = lambda n: rng.integers(0, 256, (n, 4, 4, 3)).astype(np.uint8)
    for name in ("real", "made"):
        export(Pool.of(images(40), np.array([f"a cat, {i}" for i in range(40)])), (), tmp_path / name)
        np.save(tmp_path / f"{name}.npy", images(40))
    worded = read(Paths(tmp_path / "real", (tmp_path / "made",)))
    assert worded.data.classes == ()
    assert worded.samples[0].condition[3] == "a cat, 3"
    again = adopted_data(write(worded, tmp_path / "run"))
    assert again.digest == worded.data.digest
    bare = read(Paths(tmp_path / "real.npy", (tmp_path / "made.npy",)))
    assert bare.data.classes == ("all",)
    assert set(bare.samples[0].condition) == {0}


def test_a_damaged_picture_is_named_or_left_out(own, tmp_path):
    place, *_ = own
    shutil.copytree(place / "s0", tmp_path / "s0")
    victim = next((tmp_path / "s0").rglob("*.png"))
    victim.write_bytes(victim.read_bytes()[:60])
    damaged = paths(place, generations=(tmp_path / "s0",), training=())
    with pytest.raises(BadInput, match=rf"{victim.name}.*--skip-bad"):
        read(damaged)
    with pytest.warns(UserWarning, match="1 unreadable files were left out"):
        assert len(read(damaged, skip_bad=True).samples[0]) == N - 1


def test_every_flipped_byte_of_an_adopted_run_is_found(own, tmp_path):
    place, *_ = own
    chain = write(read(paths(place)), tmp_path / "adopted")
    files = [path for path in (tmp_path / "adopted").rglob("*") if path.is_file()]
    assert sorted(chain.check()) == sorted(files)
    for path in files:
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 4]) + whole[len(whole) // 2 + 1 :])
        with pytest.raises(Corrupt, match=path.name):
            chain.check()
        path.write_bytes(whole)
    (tmp_path / "adopted" / "data" / "images.npy").unlink()
    with pytest.raises(Corrupt, match=r"images.npy is missing.*adopt it again"):
        chain.check()


def test_it_is_there_whole_or_not_at_all_and_overwrites_nothing(own, tmp_path, monkeypatch):
    place, *_ = own
    found = read(paths(place))

    def full(*_):
        assert list(tmp_path.iterdir()), "it is being written"
        assert registry.runs_under(tmp_path) == [], "what a kill would leave is no run"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Chain, "seal", full)
    with pytest.raises(GermlineError, match="No space left on device"):
        write(found, tmp_path / "adopted")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    write(found, tmp_path / "adopted")
    with pytest.raises(RunConflict, match="is there already"):
        write(found, tmp_path / "adopted")


def test_there_is_no_going_on(own, tmp_path, capsys):
    place, _, data = own
    write(read(paths(place)), tmp_path / "adopted")
    with pytest.raises(RunConflict, match="it has no trainer"):
        Loop.at(tmp_path / "adopted", gaussian_recipe(N), data)
    assert main(["fork", str(tmp_path / "adopted"), "--generation", "0", "--out", str(tmp_path / "fork")]) == 1
    assert "it has no trainer, so fork cannot go on with it" in capsys.readouterr().err


@pytest.mark.parametrize("known", [True, False], ids=["T_g known", "T_g unknown"])
def test_the_verbs_work_on_it_wherever_it_is_moved(own, tmp_path, capsys, monkeypatch, known):
    place, *_ = own
    monkeypatch.setattr(registry, "standard_metrics", lambda: [Coverage(Pixels()), Entropy(Pixels()), Generalisation(), RealShare()])
    flags = [word for g in range(3) for word in ("--generation", str(place / f"s{g}"))]
    flags += [word for g in range(3) for word in ("--train", str(place / f"t{g}")) if known]
    flags += ["--judge", str(place / "judge"), "--held-out", str(place / "held_out"), "--arm", "theirs", "--seed", "3"]
    here = tmp_path / "runs" / "adopted"
    command = ["adopt", "--real", str(place / "real"), *flags, "--out", str(here)]
    assert main([*command, "--dry-run"]) == 0
    assert "trained on: 100 real" in capsys.readouterr().out or not known
    assert not here.exists()
    assert main([*command, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["generations"][1]["samples"] == N
    assert (said["generations"][0]["training"] == {"real": 100}) is known
    here = here.rename(tmp_path / "moved")
    assert main(["measure", str(here), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)["generations"]
    assert any(value["name"] == "generalisation_score" for value in values[1]) is known
    assert main(["check", str(here)]) == 0
    assert main(["show", str(here)]) == 0
    assert main(["table", str(here), "--to", "csv"]) == 0
    assert "theirs" in capsys.readouterr().out
    assert main(["table", str(here)]) == 0
    assert main(["report", str(here), "--out", str(tmp_path / "page.html")]) == 0
    assert "was adopted: another program made it" in (tmp_path / "page.html").read_text()
    assert main(["export", str(here), "--out", str(tmp_path / "out")]) == 0
    assert main(["export", str(here), "--what", "training", "--out", str(tmp_path / "training")]) == (0 if known else 1)


def test_chains_of_one_arm_are_its_seeds_and_stand_beside_the_run_itself(own, tmp_path):
    place, chain, data = own
    found = read(paths(place))
    chains = [write(found, tmp_path / f"seed{seed}", seed=seed, arm="theirs") for seed in (0, 1)]
    runs = [(each.path.name, each, adopted_data(each)) for each in chains]
    (group,) = groups([*runs, ("own", chain, data)])
    assert {arm.name: len(arm) for arm in group.arms} == {"theirs": 2, "own": 1}


def test_export_of_the_splits_is_what_adopt_reads(own, tmp_path, capsys):
    place, _, data = own
    write(read(paths(place)), tmp_path / "adopted")
    assert main(["export", str(tmp_path / "adopted"), "--what", "data", "--out", str(tmp_path / "data")]) == 0
    again = {name: tmp_path / "data" / name for name in NAMES}
    assert read(Paths(**again, generations=(place / "s0",))).data.digest == data.digest
    assert main(["export", str(tmp_path / "adopted"), "--what", "data", "--generation", "1", "--out", str(tmp_path / "no")]) == 1


def test_an_image_in_two_places_is_told_apart_by_order_and_noted(own, tmp_path):
    place, chain, data = own
    twice = np.concatenate([chain[0].samples.images[:3], data.real.images[:2]])
    np.savez(tmp_path / "s0.npz", images=twice, labels=np.arange(5))
    np.savez(tmp_path / "t1.npz", images=np.concatenate([twice, twice]), labels=np.tile(np.arange(5), 2))
    found = read(paths(place, generations=(tmp_path / "s0.npz", place / "s1"), training=(tmp_path / "t1.npz",)))
    origin = found.training[1].origin
    assert origin[:, 0].tolist() == [0] * 8 + [-1] * 2
    assert origin[:8, 1].tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
    assert any("4 of 10 rows have an image that several" in note for note in found.notes)
    assert isinstance(found.data.real.sources[-1], Source)


def test_held_out_rows_in_a_training_set_are_noted(own, tmp_path):
    place, _, data = own
    export(data.held_out.take(np.arange(20)), data.classes, tmp_path / "t0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read(paths(place, generations=(place / "s0",), training=(tmp_path / "t0",)))
    assert any("T_0 holds 20 rows of the held-out split" in note for note in found.notes)
