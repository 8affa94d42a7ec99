"""A row of weight 0 is as if left out: on the gradient of the whole training set, in pieces and over two processes too."""

import numpy as np
import pytest
import torch

from germline.core.cache import Cache
from germline.core.context import Context
from germline.core.pool import Pool
from germline.pipelines import lora as low_rank
from germline.pipelines.lora import Lora
from germline.pipelines.opened import open_pipeline
from germline.pipelines.processes import Processes
from germline.trainers.tune_pipeline import Loss, _pieces
from germline.trainers.tuning_rows import Latents, Seen, TuningRows, weights
from tiny_pipelines import saved

pytest.importorskip("peft", reason="extra: t2i")
NOTHING = -300.0  # its exponential is 0 in float32, and it is no row that the trainer leaves out before


def part_of(seen, rows):
    rows = np.array(rows)
    told = {name: values[rows] for name, values in seen.told.items()}
    return Seen(seen.rows[rows], seen.x0[rows], seen.eps[rows], seen.t[rows], told, seen.weight[rows])


def with_weights(seen, log_weight, norm):
    weight = weights(torch.from_numpy(log_weight), norm)[seen.rows]
    return Seen(seen.rows, seen.x0, seen.eps, seen.t, seen.told, weight)


@pytest.mark.parametrize(("norm", "factor"), [("mean_one", 1), ("count", 3 / 4)], ids=["mean_one", "count"])
@pytest.mark.parametrize("kind", ["sd1", "sd3"])
@pytest.mark.parametrize(("processes", "pieces"), [(1, 1), (1, 3), (2, 1), (2, 2)])
def test_weight_zero_is_leaving_out_up_to_the_number_of_rows(kind, processes, pieces, norm, factor, tmp_path):
    opened = open_pipeline(saved(kind, tmp_path / kind))
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    ctx = Context(0, 0, None, cache=Cache(tmp_path / "cache"), scratch=tmp_path / "scratch")
    log_weight = np.array([0.0, NOTHING, -0.7, -0.2])
    pool = Pool.of(images, np.array(["a cat", "a dog", "red", "b"])).weighed(log_weight)
    seen = TuningRows(opened, pool, Latents(opened.folder, None, opened.size), 0.0, True, ctx, norm).at(range(4))
    assert sorted(seen.rows) == [0, 1, 2, 3], "the whole set, each row once"

    def gradient(batch):
        network = low_rank.copied_with(opened.network, Lora(4))
        random = np.random.default_rng(3)
        low_rank.restore(network, {n: random.normal(size=a.shape, scale=0.1).astype("f") for n, a in low_rank.arrays(network).items()})
        loss_of, whole = Loss(network, opened.process, "fp32"), range(len(batch.rows))
        for rank in range(processes):  # what each adds is summed over processes
            for piece in _pieces(Processes(rank, processes).share(whole), pieces):
                (loss_of(part_of(batch, piece)) * (len(piece) / len(whole))).backward()
        return torch.cat([p.grad.flatten() for p in low_rank.parameters(network).values()])

    weighed = gradient(seen)
    left = part_of(with_weights(seen, np.where(log_weight == NOTHING, -np.inf, log_weight), norm), np.flatnonzero(seen.rows != 1))
    assert (weighed - factor * gradient(left)).abs().max() < 1e-6
    assert (weighed - gradient(with_weights(seen, np.zeros(4), norm))).abs().max() > 1e-4, "weights do something here"
