"""A row of weight 0 is as if left out: on the gradient of the whole training set, in pieces and over two processes too."""

import os
import subprocess
import sys
from pathlib import Path

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
from germline.trainers import TunePipeline
from germline.trainers.tune_pipeline import Loss, _pieces
from germline.trainers.tuning import Tuning
from germline.trainers.tuning_rows import Latents, Seen, TuningRows, weights
from tiny_pipelines import saved

pytest.importorskip("peft", reason="extra: t2i")
NOTHING = -300.0  # its exponential is 0 in float32, and it is no row that the trainer leaves out before
NORMS = pytest.mark.parametrize(("norm", "factor"), [("mean_one", 1), ("count", 3 / 4)], ids=["mean_one", "count"])
LOG_WEIGHT = np.array([0.0, NOTHING, -0.7, -0.2])
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
POOL = Pool.of(IMAGES, np.array(["a cat", "a dog", "red", "b"])).weighed(LOG_WEIGHT)


def part_of(seen, rows):
    rows = np.array(rows)
    told = {name: values[rows] for name, values in seen.told.items()}
    return Seen(seen.rows[rows], seen.x0[rows], seen.eps[rows], seen.t[rows], told, seen.weight[rows])


def with_weights(seen, log_weight, norm):
    weight = weights(torch.from_numpy(log_weight), norm)[seen.rows]
    return Seen(seen.rows, seen.x0, seen.eps, seen.t, seen.told, weight)


def trainer_of(folder, norm, accumulate):
    """One step over the whole training set, each row once: of a LoRA of Stable Diffusion 3, or all weights of Stable Diffusion 1."""
    lora = Lora(4) if folder.name == "sd3" else None
    return TunePipeline(folder, images=4, batch=4, accumulate=accumulate, lora=lora, precision="fp32", weight_norm=norm)


def stepped(trainer, ctx):
    """Return the gradients that the trainer takes its one step along, over all processes."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tuning, "_move", lambda self, share: found.update({n: p.grad.clone() for n, p in self.parameters.items()}))
        trainer(POOL, None, ctx)
    return torch.cat([gradient.flatten() for gradient in found.values()])


def without_the_row(trainer, ctx):
    """Return the gradients of the three other rows, which begin from the same noise, computed at once and without weights of 0."""
    opened = open_pipeline(trainer.base)
    network, tuning = trainer._begin(opened, None, ctx)
    seen = TuningRows(opened, POOL, Latents(trainer.base, None, opened.size), 0.0, True, ctx, trainer.weight_norm).at(range(4))
    others = with_weights(seen, np.where(LOG_WEIGHT == NOTHING, -np.inf, LOG_WEIGHT), trainer.weight_norm)
    Loss(network, opened.process, "fp32")(part_of(others, np.flatnonzero(seen.rows != 1))).backward()
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in tuning.parameters.values()]
    return torch.cat([gradient.flatten() for gradient in grads])


@NORMS
@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("kind", ["sd1", "sd3"])
def test_the_trainer_steps_as_if_a_row_of_weight_zero_were_left_out(kind, accumulate, norm, factor, tmp_path):
    trainer = trainer_of(saved(kind, tmp_path / kind), norm, accumulate)
    ctx = Context(0, 0, None, cache=Cache(tmp_path / "cache"), scratch=tmp_path / "scratch")
    expected = factor * without_the_row(trainer, ctx)
    assert expected.abs().max() > 1e-3
    assert (stepped(trainer, ctx) - expected).abs().max() < 1e-6


SCRIPT = """
import sys
from pathlib import Path
import torch
from germline.core.cache import Cache
from germline.core.context import Context
from germline.pipelines.processes import processes
from test_row_weights import stepped, trainer_of
folder, norm, accumulate = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
place = folder.parent
found = stepped(trainer_of(folder, norm, accumulate), Context(0, 0, None, cache=Cache(place / "own"), scratch=place / "scratch"))
assert processes().count == 2
torch.save(found, place / f"{processes().rank}.pt")
"""


@pytest.mark.slow
@NORMS
@pytest.mark.parametrize(("kind", "accumulate"), [("sd1", 2), ("sd3", 1)])
def test_two_processes_step_as_if_it_were_left_out(kind, accumulate, norm, factor, tmp_path):
    folder, script = saved(kind, tmp_path / kind), tmp_path / "step.py"
    script.write_text(SCRIPT)
    here = Path(__file__).parent
    places = os.pathsep.join(map(str, (here, here.parent, here.parents[1] / "src")))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": places}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script)]
    done = subprocess.run([*command, str(folder), norm, str(accumulate)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert torch.equal(first, second)
    ctx = Context(0, 0, None, cache=Cache(tmp_path / "cache"), scratch=tmp_path / "scratch")
    expected = factor * without_the_row(trainer_of(folder, norm, accumulate), ctx)
    assert (first - expected).abs().max() < 1e-6


@NORMS
@pytest.mark.parametrize("kind", ["sd1", "sd3"])
@pytest.mark.parametrize(("processes", "pieces"), [(1, 1), (1, 3), (2, 1), (2, 2)])
def test_weight_zero_is_leaving_out_up_to_the_number_of_rows(kind, processes, pieces, norm, factor, tmp_path):
    opened = open_pipeline(saved(kind, tmp_path / kind))
    ctx = Context(0, 0, None, cache=Cache(tmp_path / "cache"), scratch=tmp_path / "scratch")
    seen = TuningRows(opened, POOL, Latents(opened.folder, None, opened.size), 0.0, True, ctx, norm).at(range(4))
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
    left = part_of(with_weights(seen, np.where(LOG_WEIGHT == NOTHING, -np.inf, LOG_WEIGHT), norm), np.flatnonzero(seen.rows != 1))
    assert (weighed - factor * gradient(left)).abs().max() < 1e-6
    assert (weighed - gradient(with_weights(seen, np.zeros(4), norm))).abs().max() > 1e-4, "weights do something here"
