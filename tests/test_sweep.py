"""A recipe swept over flags: arms that are ordinary runs, more seeds later, and what the study says at its end."""

import csv
import io
import json

import pyarrow.parquet as pq
import pytest

from germline import registry, sweep
from germline.chain import Chain
from germline.cli import main
from germline.features import Pixels
from germline.measure import measured
from germline.metrics import Coverage, RealShare

FLAGS = ["n=40", "images=64", "founder-images=64", "steps=1", "channels=16 32", "guidance-scale=1,1.5"]
STUDY = ["study", "replace", *(word for flag in FLAGS for word in ("--sweep", flag)), "--data", "digits", "--generations", "1"]
RUN = ["run", "replace", "--n", "40", "--images", "64", "--founder-images", "64", "--steps", "1", "--channels", "16", "32"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep at one seed, then at three, by the command line, with metrics that cost nothing."""
    folder = tmp_path_factory.mktemp("sweep") / "study"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "standard_metrics", lambda: [Coverage(Pixels()), RealShare()])
        assert main([*STUDY, "--out", str(folder)]) == 0
        first = {path.name: Chain(path)[1].digest for path in registry.runs_under(folder)}
        said = io.StringIO()
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr("sys.stdout", said)
            assert main([*STUDY, "--seeds", "3", "--out", str(folder), "--json"]) == 0
    return folder, first, json.loads(said.getvalue())


def test_more_seeds_go_on_in_the_folders_that_are_there(swept):
    folder, first, _ = swept
    assert set(first) == {"guidance-scale-1", "guidance-scale-1.5"}
    found = {path.name for path in registry.runs_under(folder)}
    assert found == {f"guidance-scale-{w}{seed}" for w in ("1", "1.5") for seed in ("", "-seed1", "-seed2")}
    assert all(Chain(folder / name)[1].digest == digest for name, digest in first.items())


def test_a_swept_arm_is_rebuilt_from_its_config_and_is_the_run_of_those_flags(swept, tmp_path):
    folder, first, _ = swept
    opened = registry.open_run(folder / "guidance-scale-1.5-seed2")
    assert opened.recipe.sampler.guidance_scale == 1.5
    assert opened.recipe.trainer.channels == (16, 32)
    assert opened.chain.config["names"]["recipe"] == "replace"
    alone = [*RUN, "--guidance-scale", "1.5", "--data", "digits", "--generations", "1", "--out", str(tmp_path / "alone")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "standard_metrics", lambda: [RealShare()])
        assert main(alone) == 0
    assert Chain(tmp_path / "alone")[1].digest == first["guidance-scale-1.5"]


def test_the_study_ends_with_the_comparison_over_seeds(swept):
    folder, _, said = swept
    (coverage,) = said["comparisons"]
    assert (coverage["metric"], coverage["against"], coverage["generation"]) == ("coverage", "guidance-scale-1", 1)
    arm = coverage["arms"][1]
    assert (arm["arm"], arm["seeds"], arm["value"]["n"]) == ("guidance-scale-1.5", [0, 1, 2], 3)
    values = [[v.value for v in measured(Chain(folder / f"{arm['arm']}{s}")[1]) if v.name == "coverage" and v.of == "samples"]
              for s in ("", "-seed1", "-seed2")]  # fmt: skip
    assert arm["value"]["mean"] == pytest.approx(sum(v for (v,) in values) / 3)


def test_the_table_holds_every_measurement_in_csv_and_in_parquet(swept, tmp_path, capsys):
    folder, _, _ = swept
    assert main(["table", str(folder), "--to", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    expected = [(path.name, g.number, v) for path in registry.runs_under(folder) for g in Chain(path).generations() for v in measured(g)]
    assert len(rows) == len(expected)
    for row, (run, number, v) in zip(rows, expected, strict=True):
        assert (row["run"], int(row["generation"]), row["metric"], row["of"]) == (run, number, v.name, v.of)
        assert (row["study"], row["data"], row["arm"] + (f"-seed{row['seed']}" if row["seed"] != "0" else "")) == ("", "digits", run)
        assert float(row["value"]) == v.value
        assert [row[name] for name in ("extractor", "n", "k", "d")] == ["" if x is None else str(x) for x in (v.extractor, v.n, v.k, v.d)]
        assert [float(row[name]) if row[name] else None for name in ("low", "high")] == [v.low, v.high]
    assert main(["table", str(folder), "--to", "parquet", "--out", str(tmp_path / "t.parquet")]) == 0
    there = pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert [(r["run"], r["value"], r["k"]) for r in there] == [(run, v.value, v.k) for run, _, v in expected]


def test_the_latex_table_has_an_arm_a_row_and_its_interval(swept, capsys):
    folder, _, _ = swept
    assert main(["table", str(folder), "--to", "latex", "--metrics", "coverage"]) == 0
    text = capsys.readouterr().out
    assert "arm & 0 & 1 \\\\" in text
    line = next(line for line in text.splitlines() if line.startswith("guidance-scale-1.5 & "))
    assert line.count("\\pm") == 2
    assert "over 3 seeds" in text


def test_the_comparison_of_the_table_says_who_is_the_reference(swept, capsys):
    folder, _, _ = swept
    assert main(["table", str(folder), "--against", "guidance-scale-1.5"]) == 0
    assert "minus guidance-scale-1.5" in capsys.readouterr().out
    assert main(["table", str(folder / "guidance-scale-1")]) == 0
    assert "no interval and no ordering" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--to", "parquet"], "give --out FILE"),
        (["--to", "csv", "--json"], "leave out --to csv"),
        (["--metrics", "coverage"], "go with --to"),
        (["--to", "csv", "--metrics", "coverage"], "--metrics is of --to latex"),
        (["--to", "markdown", "--metrics", "coverage"], "--metrics is of --to latex"),
        (["--to", "latex", "--metrics", "covrage"], "covrage was not measured"),
        (["--against", "nobody"], "No arm is named 'nobody'"),
    ],
)
def test_mistakes_with_the_table(swept, flags, says, capsys):
    assert main(["table", str(swept[0]), *flags]) == 1
    assert says in capsys.readouterr().err


def test_a_dry_run_counts_the_shared_generation_0_once_and_writes_nothing(tmp_path, capsys):
    assert main([*STUDY, "--seeds", "3", "--out", str(tmp_path / "none"), "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["arms"], plan["seeds"]) == (["guidance-scale-1", "guidance-scale-1.5"], 3)
    assert plan["images"] == 3 * (64 + 2 * 64)
    assert plan["rows"] == 3 * (40 + 40 + 2 * 40)  # two samplers: each draws its own generation 0
    assert 0 < plan["wall"] <= plan["seconds"]
    assert (plan["finished"], plan["whole"]) == (0, 12)
    assert not (tmp_path / "none").exists()


def test_a_dry_run_says_what_is_finished_already(swept, capsys):
    folder, _, _ = swept
    assert main([*STUDY, "--seeds", "4", "--out", str(folder), "--dry-run"]) == 0
    assert "12 of 16 generations are finished already" in capsys.readouterr().out


def test_a_study_is_planned_on_the_data_it_is_made_for(capsys):
    assert main(["study", "entropy-drives", "--generations", "1", "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["images"] == 38_400 * 5  # one founder of four arms, one generation of each
    assert plan["memory_each"] == pytest.approx(700e6, rel=0.01)  # the 8x8 digits take nothing
    assert registry.study_names()["demo"].data == "fashion-mnist"


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["replace", "--sweep", "guidance-scal=1,2"], "no flag of replace to sweep 'guidance-scal'. Did you mean guidance-scale"),
        (["replace", "--sweep", "steps=1.5"], "steps: '1.5' is no value of this flag; it takes int"),
        (["entropy", "--sweep", "method=greedi"], "'greedi' is no value of this flag"),
        (["replace", "--sweep", "steps=5,5"], "names a value twice"),
        (["replace", "--sweep", "guidance-scale=1,1.0"], "names a value twice"),
        (["replace", "--sweep", "n=1", "--sweep", "n=2"], "A flag is swept twice"),
        (["replace", "--sweep", "steps"], "takes a flag and its values"),
        (["replace", "--preset", "papr"], "Did you mean paper?"),
        (["replace", "--against", "replce"], "There is no arm 'replce'. Did you mean replace?"),
        (["demo", "--only", "real-onyl"], "There is no arm 'real-onyl'. Did you mean real-only?"),
        (["replace", "--seeds", "0"], "--seeds must be at least 1"),
        (["demo", "--sweep", "n=1,2"], "demo is a study: its arms are fixed"),
        (["dem"], "Did you mean demo"),
    ],
)
def test_mistakes_are_answered_with_what_was_meant(flags, says, capsys, tmp_path):
    assert main(["study", *flags, "--out", str(tmp_path / "none")]) == 1
    assert says in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_some_arms_of_a_study_are_planned_alone(capsys, tmp_path):
    assert main(["study", "redifine-toy", "--only", "constant-2", "both-2", "--seeds", "2", "--dry-run", "--out", str(tmp_path)]) == 0
    assert "2 arms, 2 seeds, generations 0 to 5: constant-2, both-2" in capsys.readouterr().out


def test_flags_of_every_recipe_can_be_swept_over_their_defaults():
    for recipe in set(registry.recipe_names()) - {"command"}:  # which has another's network
        assert {"n", "guidance-scale", "steps", "channels"} <= set(sweep.flags_of(recipe))
    arms = sweep.arms_of("entropy", ["clip=true,false", "tau=None,0.5"])
    assert [(kwargs["setup"].clip, kwargs["tau"]) for kwargs in arms.values()] == [(True, None), (True, 0.5), (False, None), (False, 0.5)]
    assert list(arms)[1] == "clip-true-tau-0.5"
