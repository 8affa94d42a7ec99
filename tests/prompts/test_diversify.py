"""Diversity and rounds: planted clusters, distinct rows, disjoint slices."""

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest

from germline.core.cache import Cache
from germline.core.errors import BadInput
from germline.prompts.diversify import BATCH, clusters, cost_of, diversify, one_pass
from germline.prompts.rounds import rounds


@dataclass(frozen=True)
class ByNumber:
    """A text "c n" lies near corner c, n hundredths away from it."""

    name: str = "by number"

    def __call__(self, texts):
        out = np.zeros((len(texts), 16), np.float32)
        for row, text in zip(out, texts, strict=True):
            corner, away = map(int, text.split())
            row[corner], row[15] = 1, away / 100
        return out / np.linalg.norm(out, axis=1, keepdims=True)


def table(texts):
    return pa.table({"prompt": list(texts)})


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_of_each_planted_cluster_the_middle_one_is_taken():
    """Corners 0..4 with rows at -2..2 hundredths: the centre is at 0, which is the row to take."""
    texts = [f"{corner} {away}" for away in (2, -1, 0, 1, -2) for corner in range(5)]
    found = diversify(table(texts), 5, ByNumber(), method="lloyd")
    assert found.kept["prompt"].to_pylist() == [f"{corner} 0" for corner in range(5)]
    assert found.kept["cluster_size"].to_pylist() == [5] * 5
    assert set(found.rejected["reason"].to_pylist()) == {"farther than the closest"}


def test_the_chosen_row_is_the_closest_of_its_cluster_and_every_cluster_has_one():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(500, 8)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    texts = [f"prompt {i}" for i in range(500)]
    for method in ("lloyd", "mini-batch"):
        found = clusters(features, texts, 60, 0, method)
        assert len(set(found.chosen)) == 60
        assert set(found.cluster[found.chosen]) == set(range(60))
        for row in found.chosen:
            assert found.distance[row] == found.distance[found.cluster == found.cluster[row]].min()


def test_a_pass_of_mini_batches_equals_scikit_learn_s():
    """Theirs with the reassignment of small clusters switched off: the same centres, and as many rows in each."""
    from sklearn.cluster import MiniBatchKMeans

    rng = np.random.default_rng(3)
    features = unit(rng.normal(size=(2 * BATCH + 100, 6)))
    order = rng.permutation(len(features))
    theirs = MiniBatchKMeans(30, init=features[:30], n_init=1, reassignment_ratio=0, compute_labels=False)
    for start in range(0, len(order), BATCH):
        theirs.partial_fit(features[order[start : start + BATCH]])
    ours = one_pass(features, order, {"centres": features[:30], "rows": np.zeros(30, np.int64)})
    np.testing.assert_allclose(ours["centres"], theirs.cluster_centers_, atol=2e-5)
    assert ours["rows"].sum() == len(features)


def test_killed_mini_batches_go_on_after_the_last_whole_pass(tmp_path):
    features = unit(np.random.default_rng(4).normal(size=(400, 8)))
    texts, begun = [str(i) for i in range(400)], []

    def progress(dies):
        @contextmanager
        def opened(what, total):
            begun.append(what)
            if what == dies:
                raise KeyboardInterrupt
            yield lambda more: None

        return opened

    third = "k-means, k = 30, pass 3 of 5"
    with pytest.raises(KeyboardInterrupt):
        clusters(features, texts, 30, 0, "mini-batch", progress(third), Cache(tmp_path))
    assert begun[-1] == third
    begun.clear()
    again = clusters(features, texts, 30, 0, "mini-batch", progress(None), Cache(tmp_path))
    assert begun == [f"k-means, k = 30, pass {number} of 5" for number in (3, 4, 5)] + ["nearest centres"]
    whole = clusters(features, texts, 30, 0, "mini-batch")
    np.testing.assert_array_equal(again.chosen, whole.chosen)
    np.testing.assert_array_equal(again.distance, whole.distance)
    assert not list(tmp_path.rglob("*.unfinished"))
    begun.clear()
    clusters(features, texts, 30, 0, "mini-batch", progress(None), Cache(tmp_path))
    assert begun == ["nearest centres"], "finished centres are kept"
    clusters(features[::-1].copy(), texts, 30, 0, "mini-batch", progress(None), Cache(tmp_path))
    assert len(begun) > 2, "and belong to these rows in this order"


def test_clusters_do_not_depend_on_which_call_made_them_and_do_on_the_seed():
    rng = np.random.default_rng(2)
    features = rng.normal(size=(300, 8)).astype(np.float32)
    texts = [str(i) for i in range(300)]
    a, b, c = (clusters(features, texts, 20, seed, "mini-batch").chosen.tolist() for seed in (0, 0, 1))
    assert a == b
    assert a != c


def test_of_equally_close_rows_the_hash_decides_whatever_the_order():
    """All rows of a corner are equal: which is taken must not change when the file is turned round."""
    features = np.repeat(np.eye(4, dtype=np.float32), 5, axis=0)
    texts = [f"prompt {i}" for i in range(20)]
    one = {texts[i] for i in clusters(features, texts, 4, 0, "lloyd").chosen}
    two = {texts[::-1][i] for i in clusters(features[::-1].copy(), texts[::-1], 4, 0, "lloyd").chosen}
    assert one == two


def test_empty_clusters_are_seeded_anew_with_distinct_rows():
    """Three places and ten centres: seven centres get nothing, and take the rows farthest from where they are."""
    features = np.repeat(np.eye(3, dtype=np.float32), [8, 8, 8], axis=0)
    texts = [f"prompt {i}" for i in range(24)]
    found = clusters(features, texts, 10, 0, "mini-batch")
    assert found.reseeded >= 7
    assert len(set(found.chosen)) == 10
    assert set(found.cluster[found.chosen]) == set(range(10))


def test_more_than_there_are_is_refused_and_all_is_everything():
    texts = [f"{c} 0" for c in range(6)]
    with pytest.raises(BadInput, match="Asked for 7 of 6 distinct prompts"):
        diversify(table(texts), 7, ByNumber())
    assert diversify(table(texts), 6, ByNumber()).kept["prompt"].to_pylist() == texts


def test_the_paper_s_size_takes_mini_batches_and_says_what_it_costs():
    cost = cost_of(172_000, 40_000, "auto")
    assert cost["method"] == "mini-batch"
    assert cost["multiply_adds"] == 6 * 172_000 * 40_000 * 384
    assert cost["bytes"] < 4 << 30
    assert cost_of(1_000, 100, "auto")["method"] == "lloyd"


def test_rounds_are_disjoint_and_do_not_depend_on_the_file_s_order():
    texts = [f"prompt {i}" for i in range(50)]
    found = rounds(table(texts), 4, 10, seed=1)
    dealt = found.kept.to_pylist()
    assert [row["round"] for row in dealt] == [r for r in range(4) for _ in range(10)]
    assert len({row["prompt"] for row in dealt}) == 40
    assert set(found.rejected["prompt"].to_pylist()) == set(texts) - {row["prompt"] for row in dealt}
    assert rounds(table(texts[::-1]), 4, 10, seed=1).kept["prompt"].equals(found.kept["prompt"])
    assert not rounds(table(texts), 4, 10, seed=2).kept["prompt"].equals(found.kept["prompt"])


def test_rounds_of_too_few_or_repeated_prompts_are_refused():
    with pytest.raises(BadInput, match="8 rounds of 5 prompts need 40, but there are 30"):
        rounds(table([f"prompt {i}" for i in range(30)]), 8, 5)
    with pytest.raises(BadInput, match="could be in two rounds; run germline prompts clean"):
        rounds(table(["a red fox", "A red  fox"]), 2)
