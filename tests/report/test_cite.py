"""What is cited is what the run names, and the paragraph's numbers are the configuration's."""

import copy
import json
import re
from pathlib import Path

import pytest

import germline
from germline.core.measurement import Measurement
from germline.report.citations import ARXIV, PAPERS, bibtex, cited, entry
from germline.report.methods import paragraph
from germline.report.tidy import Record
from germline.verbs.cite import cite

FOLDERS = ("recipes", "selectors", "mixers", "metrics", "weighters", "trainers", "samplers")
NAMED = sorted({n for f in FOLDERS for p in (Path(germline.__file__).parent / f).glob("*.py") for n in ARXIV.findall(p.read_text())})
TRAINER = {
    "part": "germline.trainers.denoiser:TrainDenoiser",
    "version": 1,
    "images": 6_400,
    "channels": [16, 32],
    "objective": "edm",
    "optimiser": "adamw",
    "learning_rate": 0.0003,
    "ema": 0.98,
    "start": "sequential",
}
SAMPLER = {
    "part": "germline.samplers.denoised:Denoised",
    "version": 1,
    "n": 580,
    "solver": "dpmpp_2m",
    "steps": 11,
    "schedule": "karras",
    "guidance_scale": 2.5,
}
CONFIG = {
    "parts": {
        "part": "germline.core.recipe:Recipe",
        "source": "arXiv 2404.01413",
        "founder": TRAINER | {"images": 51_200, "start": "scratch"},
        "trainer": TRAINER,
        "sampler": SAMPLER,
        "mixer": {"part": "germline.mixers.replace:Replace", "version": 1},
        "selector": {"part": "germline.selectors.farthest:Farthest", "version": 1, "n": 290},
    },
    "names": {"arm": "greedy", "data": {"data": "fashion-mnist", "real": 1_234}},
    "execution": {"precision": "fp32", "threads": 1},
    "versions": {"germline": "0.1.0", "torch": "2.13.0"},
}
VALUES = ((Measurement("FD", 3.0, "samples", 580, "classifier", None, 64),),)


def record(config=CONFIG, seed=0):
    return Record("greedy", seed, config, VALUES)


def test_keys_are_unique_and_braces_balance():
    text = bibtex([*PAPERS, *NAMED, "9999.99999"], "0.1.0")
    keys = re.findall(r"^@\w+\{([^,]+),", text, re.M)
    assert len(keys) == len(set(keys)) == len({*PAPERS, *NAMED}) + 2
    depths = [0]
    for character in text:
        depths.append(depths[-1] + {"{": 1, "}": -1}.get(character, 0))
    assert min(depths) == depths[-1] == 0


@pytest.mark.parametrize("number", NAMED)
def test_every_number_in_the_parts_has_an_entry(number):
    assert f"eprint = {{{number}}}" in entry(number)
    assert ("author" in entry(number)) == (number in PAPERS)


def test_cited_is_what_parts_settings_and_data_name():
    found = cited([CONFIG["parts"], CONFIG["names"]])
    assert found >= {"2404.01413", "2509.16499", "2307.01850", "2211.01095", "2206.00364", "2207.12598", "1711.05101", "1708.07747"}
    unguided = copy.deepcopy(CONFIG)
    unguided["parts"]["sampler"]["guidance_scale"] = 1.0
    assert "2207.12598" not in cited(unguided["parts"]["sampler"])
    assert cited({"part": "no.such.package:Part"}) == set()


def test_the_paragraph_has_the_numbers_of_the_configuration():
    text = paragraph([record(), record(seed=3)])
    for said in ("51,200", "6,400", "1,234", "16 and 32", "0.0003", "EMA 0.98", "11 steps", "w = 2.5", "n = 290", "d = 64", "seeds 0, 3"):
        assert said in text


@pytest.mark.parametrize(
    "part, field, value, said",
    [
        ("founder", "images", 777, "777 images"),
        ("trainer", "channels", [8, 24], "8 and 24"),
        ("trainer", "learning_rate", 0.0125, "learning rate 0.0125"),
        ("trainer", "condition_drop", 0.2, "condition drop 0.2"),
        ("sampler", "steps", 37, "37 steps"),
        ("sampler", "guidance_scale", 1.0, "w = 1.0"),
        ("selector", "n", 91, "n = 91"),
    ],
)
def test_a_changed_field_changes_the_paragraph(part, field, value, said):
    changed = copy.deepcopy(CONFIG)
    changed["parts"][part][field] = value
    assert said in paragraph([record(changed)])
    assert said not in paragraph([record()])


def test_what_a_warm_start_does_to_the_rate_is_said_of_our_trainer_only():
    text = paragraph([record()])
    assert "51,200 images seen, from scratch" in text
    assert "6,400 images seen, from the last generation's weights at half the learning rate" in text
    theirs = copy.deepcopy(CONFIG)
    theirs["parts"]["trainer"]["part"] = "mine:Trainer"
    assert "images seen, start sequential" in paragraph([record(theirs)])


def test_names_of_equal_conditions_stand_together_and_k_keeps_values_apart():
    values = [Measurement("coverage", 0.5, "samples", 580, "classifier", k, 64) for k in (1, 5)]
    values += [Measurement("entropy", 1.0, "samples", 580, "classifier", 1, 64), Measurement("duplicates", 0.0, "samples", 580)]
    text = paragraph([Record("greedy", 0, CONFIG, (tuple(values),))])
    assert (
        "Measured of the samples: coverage, entropy (features classifier, n = 580, d = 64, k = 1);"
        " coverage (features classifier, n = 580, d = 64, k = 5); duplicates (n = 580)." in text
    )


def test_the_sigmas_are_said_in_the_order_in_which_they_are_run_through():
    changed = copy.deepcopy(CONFIG)
    changed["parts"]["sampler"] |= {"sigma_min": 0.02, "sigma_max": 40.0}
    text = paragraph([record(changed)])
    assert "sigma from 40.0 to 0.02." in text
    assert "sigma_m" not in text


def test_what_is_not_there_is_left_out():
    bare = {"parts": {"trainer": {"part": "mine:Trainer"}}, "data": "abcdef0123456789"}
    text = paragraph([Record("x", 0, bare, ((),))])
    assert "abcdef012345" in text
    assert not re.search("guidance|EMA|images seen|Measured|versions", text)


def test_an_adopted_chain_says_that_it_has_no_trainer():
    adopted = {"parts": {"part": "germline.adopt:Adoption"}, "names": {"adopted": {"name": "mine"}, "data": {"data": "mine"}}}
    text = paragraph([Record("x", 0, adopted, ((), ()))])
    assert "trainer and sampler are not recorded" in text
    assert "selector" not in text


def test_the_verb_prints_one_json(tmp_path, capsys):
    from germline.core import sealed

    for seed in (0, 1):
        run = tmp_path / f"greedy-seed{seed}"
        (run / "gen_000").mkdir(parents=True)
        sealed.write(run / "config.json", CONFIG | {"seed": seed, "data": "abc"})
    cite((tmp_path,), json=True)
    told = json.loads(capsys.readouterr().out)
    assert "2509.16499" in told["arxiv"]
    assert len(told["methods"]) == 1
    assert "seeds 0, 1" in told["methods"][0]
