"""RSIDiff and its baseline: what the flags compose, and two rounds of real pipelines with every published scorer."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from germline import registry
from germline.cli import main
from germline.core.errors import BadInput
from germline.data.emoji_files import GROUPS, ROUNDS
from germline.features import Pixels
from germline.loop import Loop
from germline.mixers import First, Given, Replace
from germline.pipelines.opened import SHIPPED as SHIPPED_FOLDERS
from germline.recipes.preference_setup import FirstRound, Scoring
from germline.recipes.rsidiff import SHIPPED, embedded, rsidiff, sd3
from germline.recipes.sft import embedded as sft
from germline.scorers import Support, TrajectoryVariance
from germline.selectors import Capped, Preference, Then, Top, Uniform, Voted
from germline.verbs import study
from germline.verbs.study import StudyData

pytest.importorskip("peft", reason="extra: t2i")


def test_the_papers_numbers():
    made = rsidiff(setup=replace(SHIPPED, images_a_prompt=1))
    assert (made.sampler.n, made.selector.n) == (5_000, 300)
    assert [one.name for one in made.scorers] == ["clip", "aesthetic_v2", "hps_v2"] == list(made.selector.by)
    (weighter,) = made.weighters
    assert (weighter.beta, weighter.sigma2, weighter.distance, made.trainer.weight_norm) == (35, 2, "mse", "count")
    tune = registry.presets("rsidiff")["sd14"].func.__defaults__[-1]
    assert (tune.images, tune.batch, tune.learning_rate, tune.rank) == (30 * 300, 12, 1e-6, None)
    assert (sd3.keywords["n"], sd3.keywords["kept"], sd3.keywords["setup"].images / 12) == (13_000, 1_000, 2_000)


@pytest.mark.parametrize(
    ("flags", "selector"),
    [({}, Preference), ({"choose": "random"}, Capped), ({"choose": "farthest", "kept": 24}, Then), ({"weights": "none"}, Preference)],
)
def test_each_part_may_be_left_out(flags, selector):
    made = embedded(**flags)
    assert isinstance(made.selector, selector)
    assert bool(made.scorers) == (flags.get("choose") != "random")
    assert bool(made.weighters) == (flags.get("weights") != "none")
    assert made.founder == embedded().founder
    assert made.sampler == embedded().sampler


def test_scores_are_combined_as_the_flags_say():
    plain = embedded().selector
    assert (plain.mode, plain.weights, plain.floors, plain.cap, plain.allow_fewer) == ("rank_sum", None, None, 1, False)
    told = Scoring(score_weights=(2.0, 1.0), floors=(0.2, 0.1), floors_are="quantiles", allow_fewer=True)
    made = embedded(scorers=("dual_encoder", "realness"), combine="thresholds", cap=2, scoring=told).selector
    assert made == Preference(64, ("dual_encoder", "realness"), "thresholds", (2.0, 1.0), (0.2, 0.1), "quantiles", 2, True)
    with pytest.raises(BadInput, match="floors go with thresholds"):
        embedded(combine="thresholds")


def test_a_template_is_filled_with_captions_and_not_with_whole_prompts():
    assert embedded(template="a photo of {noun}").sampler.prompts is None
    assert embedded().sampler.prompts == ROUNDS


def test_presets_say_how_many_rounds_and_what_data_they_are_made_for():
    assert [registry.generations("rsidiff", preset) for preset in ("sd14", "sd3", "embedded")] == [8, 3, 5]
    assert [registry.generations("sft", preset) for preset in ("sd14", "paper")] == [8, 1]
    assert study.data_of("rsidiff", "embedded", StudyData()).data == "emoji"


def test_more_than_is_on_offer_cannot_be_kept():
    with pytest.raises(BadInput, match="--kept 8 is more than the 6 images that are on offer"):
        embedded(n=6, kept=8)
    assert embedded(n=6, kept=8, cap=2).selector.n == 8


def test_what_tells_hallucinations_goes_by_name():
    recipe = embedded(scorers=("trajectory_variance", "support:pixels", "support"))
    variance, near, far = recipe.scorers
    assert isinstance(variance, TrajectoryVariance)
    assert variance.sampler == recipe.sampler
    assert near == Support(Pixels())
    assert isinstance(far, Support)


def test_a_random_choice_obeys_the_cap_where_prompts_have_more_images_than_it():
    assert embedded(choose="random").selector == Capped(Uniform(64), 1)
    assert embedded(choose="random", cap=8).selector == Uniform(64)
    assert embedded(choose="random", setup=replace(SHIPPED, images_a_prompt=1)).selector == Uniform(64)


def test_a_choice_of_the_better_half_needs_more_than_is_kept():
    with pytest.raises(BadInput, match=r"--choose farthest takes rows of the better half of what is on offer, 32, but --kept is 64"):
        embedded(choose="farthest")
    assert embedded(choose="farthest", cap=2).selector.first.n == 64


@pytest.mark.parametrize(
    ("weights", "distance", "scaled"), [("mse", "mse", False), ("l2", "l2", False), ("mse_scaled", "mse", True), ("l2_scaled", "l2", True)]
)
def test_distances_are_named_with_their_scale(weights, distance, scaled):
    (weighter,) = embedded(weights=weights).weighters
    assert (weighter.distance, weighter.extractor.scaled) == (distance, scaled)


def test_latent_space_filtering_reads_the_bases_network_and_labels_by_groups_of_emoji():
    made = embedded(choose="lsf", kept=24)
    first, probe = made.scorers
    assert first.name == "dual_encoder"
    assert (probe.groups, probe.scorer.fit_on, probe.name) == (GROUPS, "judge", "confidence")
    assert {space.path for space in probe.scorer.spaces} == {SHIPPED_FOLDERS["emoji"]}
    assert made.selector == Then(replace(embedded(kept=24).selector, n=32), Top(24, "confidence"))


def test_a_redifine_schedule_goes_with_it():
    made = embedded(
        choose="farthest", kept=24, setup=replace(SHIPPED, guidance_schedule="exp_floor", guidance_scale=4.0, condition_drop=0.2)
    )
    assert made.sampler.sampler.guidance_scale.kind == "exp_floor"
    assert made.trainer.condition_drop == 0.2


def test_votes_are_of_a_pool():
    with pytest.raises(BadInput, match="--ratings are of the images in --pool; give it too"):
        FirstRound(ratings="votes.csv")
    assert isinstance(embedded().mixer, Replace)
    made = embedded(first=FirstRound("mine", "votes.csv", rated_from=3))
    assert made.mixer == Given(Replace())
    assert made.selector == Voted(Preference(64, ("ratings",), "thresholds", floors=(3,), allow_fewer=True), embedded().selector)
    assert embedded(first=FirstRound("mine")).selector == embedded().selector, "without votes the scorers choose"


def test_the_baseline_sees_as_many_rows_a_round_of_the_first_rounds_images():
    assert sft().trainer.images == embedded().trainer.images
    assert sft().sampler == embedded().sampler
    assert embedded().sampler.evaluations() == 2 * SHIPPED.steps, "guidance asks twice"
    assert isinstance(sft().mixer, First)
    assert sft().selector is None


def test_the_shipped_prompts_are_nine_disjoint_rounds_of_captions_that_no_scorer_saw():
    rounds = pq.read_table(embedded().sampler.prompts).to_pylist()
    assert np.bincount([row["round"] for row in rounds]).tolist() == [384] * 9
    assert len({row["prompt"].casefold() for row in rounds}) == 9 * 384
    told = {row["prompt"] for row in rounds}
    data = registry.DataFlags(data="emoji").load()
    assert len(told & {str(text) for text in data.real.condition}) > 300
    assert not told & {str(text) for text in [*data.judge.condition, *data.held_out.condition]}


def test_weights_that_are_not_here_are_asked_for_before_anything_is_sampled(tmp_path, monkeypatch):
    monkeypatch.setattr("germline.scorers.published.here", lambda name: None)
    with pytest.raises(BadInput, match=r"hps_v2 needs its published weights.*xswu/HPSv2.*--scorers hps_v2:PATH"):
        Loop.at(tmp_path / "run", rsidiff(scorers=("hps_v2",), setup=SHIPPED), registry.DataFlags(data="emoji", real=24).load())
    assert not (tmp_path / "run").exists()


def test_a_round_of_the_shipped_model_by_the_command(tmp_path, capsys):
    prompts = tmp_path / "rounds.parquet"
    told = [f"{animal} number {k}" for k in range(6) for animal in ("cat", "dog", "owl", "fox")]
    pq.write_table(pa.table({"prompt": told, "round": [k // 8 for k in range(24)]}), prompts)
    flags = [
        "--n",
        "8",
        "--images-a-prompt",
        "2",
        "--kept",
        "3",
        "--images",
        "12",
        "--batch",
        "4",
        "--steps",
        "2",
        "--real",
        "24",
        "--beta",
        "1",
        "--sigma2",
        "4",
        "--prompts",
        str(prompts),
    ]
    main(["run", "rsidiff", *flags, "--generations", "1", "--out", str(tmp_path / "run"), "--json"])
    assert not capsys.readouterr().err.count("error:")
    record = json.loads((tmp_path / "run" / "gen_001" / "record.json").read_text())
    choice = pq.read_table(tmp_path / "run" / "gen_001" / "choice.parquet").to_pandas()
    chosen = choice[choice["order"] >= 0]
    assert record["images_seen"] == 12
    assert len(chosen) == 3
    best = choice.groupby("condition")["dual_encoder"].max().nlargest(3)
    assert sorted(chosen["dual_encoder"]) == sorted(best), "the best image of each of the three best prompts"
    assert (choice["log_weight"] <= 0).all()
    samples = pq.read_table(tmp_path / "run" / "gen_001" / "samples.parquet")["condition"].to_pylist()
    assert samples == [prompt for prompt in told[8:16] for _ in range(2)]
    assert main(["calibrate", str(tmp_path / "run"), "--keep", "0.5", "--tail", "0.9", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    base = said["generations"]["0"]
    assert said["used"] == {"beta": 1.0, "sigma2": 4.0}
    assert said["proposed"]["beta"] <= base["distance, 50 %"]
    assert set(said["generations"]) == {"0", "1"}


def test_calibrate_is_for_runs_that_weigh_by_distance(tmp_path, capsys):
    flags = ["--n", "20", "--founder-images", "64", "--channels", "16", "32", "--real", "60", "--data", "digits"]
    assert main(["run", "replace", *flags, "--generations", "0", "--out", str(tmp_path / "run"), "--json"]) == 0
    capsys.readouterr()
    assert main(["calibrate", str(tmp_path / "run")]) == 1
    assert "does not weigh rows by their distance to generation 0" in capsys.readouterr().err
