"""The command line as a user meets it, on the 8x8 digits."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from germline import registry
from germline.chain import Chain
from germline.cli import main
from germline.verbs import VERBS

TINY = ["--data", "digits", "--images", "128", "--founder-images", "128", "--n", "120", "--steps", "2", "--channels", "16", "32"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A tiny run of entropy selection, made by the command line itself."""
    folder = tmp_path_factory.mktemp("cli")
    assert main(["run", "entropy", *TINY, "--generations", "1", "--out", str(folder / "run"), "--json"]) == 0
    return folder / "run"


def test_no_arguments_print_examples_first(capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    assert text.index("Examples:") < text.index("Verbs")
    assert all(f"  {verb}" in text for verb in VERBS)


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"run"}))
def test_every_verb_has_help(verb, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([verb, "--help"])
    assert exit_.value.code == 0
    assert f"germline {verb}" in capsys.readouterr().out


@pytest.mark.parametrize("recipe", registry.recipe_names())
def test_every_recipe_has_help_with_examples_first(recipe, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["run", recipe, "--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert text.index("Examples:") < text.index("--seed")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["runn"], "There is no verb 'runn'. Did you mean run?"),
        (["run", "entrpy"], "There is no recipe 'entrpy'. Did you mean entropy?"),
        (["run", "entropy", "--preset", "papr"], "There is no preset of entropy 'papr'. Did you mean paper?"),
        (["run", "entropy", "--data", "fashon-mnist"], "Did you mean fashion-mnist"),
        (["show", "nothing-like-it"], "nothing-like-it is no run folder"),
        (["study", "dem"], "Did you mean demo or demo-t2i?"),
        (["check", "nowhere"], "nowhere is no run folder"),
        (["check", str(Path(__file__).parent)], "tests holds no run"),
        (["check"], "Name a run folder"),
    ],
)
def test_mistakes_are_answered_with_what_was_meant(arguments, says, capsys):
    assert main(arguments) == 1
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("verb", [["check"], ["show"], ["best"], ["export", "--out", "o"]])
def test_verbs_of_runs_do_not_offer_recipes_but_show_does(verb, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([verb[0], "entrpy", *verb[1:]]) == 1
    said = capsys.readouterr().err
    assert ("Did you mean entropy?" in said) == (verb == ["show"])
    assert ("There are no runs in ./runs yet; germline run replace makes one." in said) == (verb != ["show"])


@pytest.mark.parametrize("verb", [["export", "--out", "new"], ["best", "--out", "new"], ["fork", "--generation", "0", "--out", "new"]])
def test_verbs_of_one_run_take_none_of_several_by_chance(finished, verb, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        (tmp_path / "two" / name).parent.mkdir(exist_ok=True)
        shutil.copytree(finished, tmp_path / "two" / name)
    assert main([verb[0], "two", *verb[1:]]) == 1
    assert "two holds 2 runs; name one of them: two/a, two/b." in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("command", [["run", "entropy", *TINY], ["study", "demo", "--data", "digits"]], ids=lambda words: words[0])
def test_fewer_than_no_generations_are_refused_before_anything_is_written(command, tmp_path, capsys):
    assert main([*command, "--generations", "-1", "--out", str(tmp_path / "run")]) == 1
    assert "but -1 were asked for" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_mistyped_flag_is_answered_with_what_was_meant(capsys):
    with pytest.raises(SystemExit):
        main(["run", "replace", "--guidance-scal", "2"])
    assert "--guidance-scale" in capsys.readouterr().err


def test_dry_run_costs_and_writes_nothing(tmp_path, capsys):
    assert main(["run", "replace", *TINY, "--out", str(tmp_path / "run"), "--dry-run", "--json"]) == 0
    cost = json.loads(capsys.readouterr().out)["cost"]
    assert cost["images"] == 128 * 6
    assert cost["rows"] == 120 * 6
    assert cost["seconds"] > 0
    assert not (tmp_path / "run").exists()


def test_json_is_one_object_a_generation(finished, capsys):
    assert main(["run", "entropy", *TINY, "--generations", "1", "--out", str(finished), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["generation"] for line in lines] == [0, 1]
    names = {value["name"] for value in lines[1]["values"]}
    assert {"FD-classifier", "coverage", "entropy", "generalisation_score", "agreement", "real_share"} <= names


def test_raising_generations_goes_on_and_another_flag_is_refused(finished, capsys):
    before = Chain(finished)[1].digest
    assert main(["run", "entropy", *TINY, "--generations", "2", "--out", str(finished)]) == 0
    assert Chain(finished)[1].digest == before
    assert len(Chain(finished)) == 3
    assert main(["run", "entropy", *TINY, "--guidance-scale", "3", "--out", str(finished)]) == 1
    assert "guidance_scale: 2.0 there, 3.0 here" in capsys.readouterr().err


def test_the_verbs_rebuild_a_run_from_its_folder(finished, tmp_path, capsys):
    assert main(["measure", str(finished), "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert main(["show", str(finished), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    key = lambda value: json.dumps(value, sort_keys=True)
    for there, here in zip(measured["generations"], shown["generations"], strict=True):
        assert sorted(there, key=key) == sorted(here, key=key)
    assert main(["check", str(finished)]) == 0
    assert "are as they were written" in capsys.readouterr().out
    assert main(["report", str(finished), "--out", str(tmp_path / "page.html")]) == 0
    assert "entropy" in (tmp_path / "page.html").read_text()


def test_measuring_again_gives_the_same_numbers(finished, capsys):
    assert main(["measure", str(finished), "--json"]) == 0
    first = capsys.readouterr().out
    assert main(["measure", str(finished), "--json", "--again"]) == 0
    assert capsys.readouterr().out == first


@pytest.mark.parametrize("what", ["samples", "training"])
def test_export_writes_every_row_of_what_was_asked(finished, tmp_path, what, capsys):
    assert main(["export", str(finished), "--what", what, "--generation", "1", "--out", str(tmp_path / what)]) == 0
    assert len(list((tmp_path / what).rglob("*.png"))) == 120
    assert main(["export", str(finished), "--what", what, "--out", str(tmp_path / what)]) == 1
    assert str(tmp_path / what) in capsys.readouterr().err


def test_fork_goes_on_with_another_recipe(finished, tmp_path):
    assert main(["fork", str(finished), "--generation", "0", "--out", str(tmp_path / "fork")]) == 0
    assert main(["run", "real-only", *TINY, "--generations", "1", "--out", str(tmp_path / "fork")]) == 0
    assert Chain(tmp_path / "fork")[0].digest == Chain(finished)[0].digest


def test_a_damaged_run_is_named_with_exit_code_1(finished, tmp_path, capsys):
    main(["fork", str(finished), "--generation", "0", "--out", str(tmp_path / "fork")])
    damaged = tmp_path / "fork" / "gen_000" / "choice.parquet"
    content = damaged.read_bytes()
    damaged.unlink()  # a hard link: the original must stay whole
    damaged.write_bytes(content[:-1] + b"X")
    main(["run", "real-only", *TINY, "--generations", "0", "--out", str(tmp_path / "fork")])
    assert re.search(r"gen_000/choice.parquet is damaged", capsys.readouterr().err)


def test_a_python_run_says_why_verbs_cannot_rebuild_it(tmp_path, capsys):
    from conftest import gaussian_recipe, gaussian_splits
    from germline.loop import Loop

    list(Loop.at(tmp_path / "run", gaussian_recipe(20), gaussian_splits(20, 4)).run(0))
    assert main(["measure", str(tmp_path / "run")]) == 1
    assert "was made in Python" in capsys.readouterr().err


def test_the_command_is_a_module_too():
    done = subprocess.run([sys.executable, "-m", "germline.cli", "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: germline VERB")


LIGHT = {"torch", "sklearn", "scipy.stats"}
BARE = LIGHT | {"numpy", "tyro", "pyarrow"}


@pytest.mark.parametrize(
    ("arguments", "without"),
    [
        (["--help"], BARE),
        (["runn"], BARE),
        *((words, LIGHT) for words in (["run", "--help"], ["study", "--help"], ["show", "--help"], ["ls"], ["prompts", "--help"])),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_help_and_listings_wait_for_no_library_that_they_do_not_use(arguments, without, tmp_path):
    done = subprocess.run([sys.executable, "-c", loading(arguments, without)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == (arguments == ["runn"]), done.stderr
    assert done.stdout.endswith("loaded:\n")


def test_a_runs_numbers_are_shown_without_torch(finished):
    code = loading(["show", str(finished), "--json"], {"torch"})
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    shown, _, loaded = done.stdout.rpartition("loaded:")
    assert (done.returncode, loaded) == (0, "\n"), done.stderr
    assert json.loads(shown)["generations"]


def loading(arguments, of):
    """Return a program that is the command, and then says which of the libraries it has loaded. tyro imports what lies in sys.modules."""
    told = f"atexit.register(lambda: print('loaded:', *sorted({of!r} & sys.modules.keys()), sep=''))"
    return f"import atexit, sys; {told}; from germline.cli import main; sys.exit(main({arguments!r}))"
