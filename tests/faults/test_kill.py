"""SIGKILL at any moment, then the same command: the last record is byte-identical to that of a run never disturbed."""

from collections import Counter

from germline.chain import Chain
from killing import MOMENTS, gaussian, kill_at, table

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
