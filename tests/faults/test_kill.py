"""SIGKILL at any moment, then the same command: the last record is byte-identical to that of a run never disturbed."""

from collections import Counter

import pytest
from killing import MOMENTS, fine_tuned, gaussian, kill_at, network, table

from germline.chain import Chain

STAGES = {
    "choose": "choice.parquet",
    "train": "model.safetensors",
    "sample, a block": "rows_",
    "sample": "samples.npy",
    "record": "record.json",
}


def test_forty_kills_of_a_closed_form_chain(tmp_path):
    list(gaussian(tmp_path / "calm").run(2))
    hits = Counter()
    for generation in (0, 2):
        for stage, name in STAGES.items():
            for moment in MOMENTS:
                hits[stage, moment] += kill_at(gaussian, tmp_path / "killed", 2, name, generation, moment)
    print(table(hits, STAGES))
    assert all(hits[stage, moment] for stage in STAGES for moment in MOMENTS), table(hits, STAGES)
    *_, last = gaussian(tmp_path / "killed").run(2)
    assert last.digest == Chain(tmp_path / "calm")[2].digest
    leftovers = [path.name for path in (tmp_path / "killed").rglob("*") if path.name.endswith(".tmp") or path.name == "scratch"]
    assert leftovers == []


UNET_STAGES = {"train, a checkpoint": "train.safetensors", "sample, a block": "rows_"}


@pytest.mark.slow
def test_eight_kills_of_a_network_chain(tmp_path):
    list(network(tmp_path / "calm").run(1))
    hits = Counter()
    for stage, name in UNET_STAGES.items():
        for moment in MOMENTS:
            hits[stage, moment] += kill_at(network, tmp_path / "killed", 1, name, 1, moment)
    print(table(hits, UNET_STAGES))
    assert all(hits[stage, moment] for stage in UNET_STAGES for moment in MOMENTS), table(hits, UNET_STAGES)
    *_, last = network(tmp_path / "killed").run(1)
    assert last.digest == Chain(tmp_path / "calm")[1].digest


CHAIN_STAGES = {
    "base, a checkpoint": ("train.safetensors", -1),
    "fine-tune, a checkpoint": ("train.safetensors", 1),
    "between": ("model.safetensors", 1),
    "sample, a block": ("rows_", 1),
}


@pytest.mark.slow
def test_sixteen_kills_of_a_chain_of_diffusion(tmp_path):
    """In the training of its base, in a fine-tuning, in sampling, and between the two."""
    list(fine_tuned(tmp_path / "undisturbed" / "calm").run(1))
    hits = Counter()
    for stage, (name, generation) in CHAIN_STAGES.items():
        for moment in MOMENTS:
            hits[stage, moment] += kill_at(fine_tuned, tmp_path / "disturbed" / "killed", 1, name, generation, moment)
    print(table(hits, CHAIN_STAGES))
    assert all(hits[stage, moment] for stage in CHAIN_STAGES for moment in MOMENTS), table(hits, CHAIN_STAGES)
    *_, last = fine_tuned(tmp_path / "disturbed" / "killed").run(1)
    assert last.digest == Chain(tmp_path / "undisturbed" / "calm")[1].digest
