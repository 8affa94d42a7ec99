"""Fine-tuning a pipeline: the step is diffusers' own, weights and pieces mean what they say, an interruption leaves no trace."""

import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from germline.core.cache import Cache
from germline.core.context import Context, Execution
from germline.core.errors import BadInput, GermlineError, MissingExtra
from germline.core.pool import Pool
from germline.pipelines import lora as low_rank
from germline.pipelines.lora import Lora
from germline.pipelines.opened import open_pipeline
from germline.pipelines.processes import Processes
from germline.pipelines.texts import NULL, told
from germline.pipelines.tuned import Tuned
from germline.trainers import Import, TunePipeline, tune_pipeline
from germline.trainers.tune_pipeline import Loss, _pieces
from germline.trainers.tuning import Tuning, share
from germline.trainers.tuning_rows import Latents, TuningRows
from tiny_pipelines import KINDS, saved, without_t5

diffusers = pytest.importorskip("diffusers", reason="extra: t2i")
pytest.importorskip("peft", reason="extra: t2i")

PROMPTS = ("a cat", "a dog", "red", "b")
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
POOL = Pool.of(IMAGES, np.array(PROMPTS))
LORA = Lora(4)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("pipelines")
    return {kind: saved(kind, root / kind) for kind in KINDS}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return Cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def ctx(tmp_path, cache):
    return Context(0, 0, None, cache=cache, scratch=tmp_path / "gen_000" / "scratch")


@pytest.fixture
def small(folders):
    return TunePipeline(folders["sd1"], images=14, batch=4, lora=LORA, learning_rate=1e-2, condition_drop=0.3, ema=0.9, warm_up=2)


def apart(a, b):
    """The largest difference between two models' arrays."""
    assert a.arrays.keys() == b.arrays.keys()
    return max(float(np.abs(a.arrays[name] - b.arrays[name]).max()) for name in a.arrays)


def rows_of(trainer, pool, ctx):
    opened = open_pipeline(trainer.base)
    return opened, TuningRows(opened, pool, Latents(trainer.base, None, opened.size), trainer.condition_drop, trainer.cached, ctx)


def theirs(kind, opened):
    """The loss of a row by the library's own scheduler."""
    if kind.startswith("sd3"):
        scheduler = diffusers.FlowMatchEulerDiscreteScheduler.from_pretrained(opened.folder / "scheduler")

        def noised(x0, eps, t):
            return torch.cat([scheduler.scale_noise(x0[i : i + 1], at(t[i]), eps[i : i + 1]) for i in range(len(t))])

        def at(t):  # the scheduler only knows the times that it was set to
            scheduler.timesteps, scheduler.sigmas = t[None], t[None] / 1000
            scheduler._begin_index = None
            return t[None]

        return noised, lambda x0, eps, t: eps - x0
    config = diffusers.DDPMScheduler.load_config(opened.folder / "scheduler")
    scheduler = diffusers.DDPMScheduler.from_config(config)
    wanted = scheduler.get_velocity if scheduler.config.prediction_type == "v_prediction" else lambda x0, eps, t: eps
    return (lambda x0, eps, t: scheduler.add_noise(x0, eps, t.long())), lambda x0, eps, t: wanted(x0, eps, t.long())


@pytest.mark.parametrize("kind", ["sd1", "v", "sdxl", "sd3", "sd3-t5"])
def test_a_weighted_step_is_that_of_the_librarys_scheduler_and_peft(kind, folders, ctx, tmp_path):
    """Loss and gradients of every LoRA factor, at equal noise, against the plainest way through diffusers and peft."""
    folder = folders["sd1" if kind == "v" else kind]
    if kind == "v":
        import json
        import shutil

        folder = Path(shutil.copytree(folder, tmp_path / "v"))
        file = folder / "scheduler" / "scheduler_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"prediction_type": "v_prediction"}))
    weights = np.array([0.5, 2.0, 1.0, 0.25])
    trainer = TunePipeline(folder, lora=Lora(4, alpha=2.0))
    opened, rows = rows_of(trainer, POOL.weighed(np.log(weights)), ctx)
    seen = rows.at(range(8))

    def fresh():
        network = low_rank.copied_with(opened.network, trainer.lora)
        random = np.random.default_rng(3)
        low_rank.restore(network, {n: random.normal(size=a.shape, scale=0.1).astype("f") for n, a in low_rank.arrays(network).items()})
        return network

    ours = fresh()
    loss = Loss(ours, opened.process, "fp32")(seen)
    loss.backward()

    network, (noised, wanted) = fresh(), theirs(kind, opened)
    prompts = [str(POOL.condition[row]) for row in seen.rows]
    pipeline = diffusers.DiffusionPipeline.from_pretrained(folder, local_files_only=True, **without_t5(kind))
    args = {"device": "cpu", "num_images_per_prompt": 1, "do_classifier_free_guidance": False}
    if kind.startswith("sd3"):
        text, _, pooled, _ = pipeline.encode_prompt(prompts, None, None, **args)
        more = {"pooled_projections": pooled}
    elif kind == "sdxl":
        text, _, pooled, _ = pipeline.encode_prompt(prompts, **args)
        more = {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": torch.tensor([[32.0, 32, 0, 0, 32, 32]] * 8)}}
    else:
        text, more = pipeline.encode_prompt(prompts, **args)[0], {}
    output = (
        network(noised(seen.x0, seen.eps, seen.t), seen.t, encoder_hidden_states=text.detach(), **more).sample
        if not kind.startswith("sd3")
        else network(noised(seen.x0, seen.eps, seen.t), timestep=seen.t, encoder_hidden_states=text.detach(), **more).sample
    )
    each = torch.nn.functional.mse_loss(output, wanted(seen.x0, seen.eps, seen.t), reduction="none").mean((1, 2, 3))
    expected = (each * torch.tensor((weights / weights.mean())[seen.rows], dtype=torch.float32)).mean()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for (name, a), b in zip(low_rank.parameters(ours).items(), low_rank.parameters(network).values(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-3, atol=1e-6, msg=name)
    silent = [name for name, factor in low_rank.parameters(network).items() if not factor.grad.any()]
    assert all("3.attn.add_q_proj" in name for name in silent), "what SD3's last block says of the text goes nowhere"
    untouched = [p.grad for n, p in ours.named_parameters() if "lora_" not in n]
    assert all(grad is None for grad in untouched)


def test_a_row_of_weight_2_is_a_row_twice(small, ctx):
    opened, rows = rows_of(small, POOL, ctx)
    seen, loss = rows.at(range(4)), Loss(opened.network, opened.process, "fp32")

    def of(places, weight):
        told = {name: values[places] for name, values in seen.told.items()}
        picked = replace(seen, x0=seen.x0[places], eps=seen.eps[places], t=seen.t[places], told=told, weight=torch.tensor(weight))
        return loss(picked).item() * len(places)

    assert of([0, 1, 2, 3], [1.0, 2.0, 1.0, 1.0]) == pytest.approx(of([0, 1, 1, 2, 3], [1.0] * 5), rel=1e-6)
    assert of([0, 1, 2, 3], [1.0, 0.0, 1.0, 1.0]) == pytest.approx(of([0, 2, 3], [1.0] * 3), rel=1e-6)


def test_rows_of_minus_infinity_are_as_if_not_there(small, ctx):
    weighed = POOL.weighed(np.array([0.0, -np.inf, 1.0, 0.0]))
    assert apart(small(weighed, None, ctx), small(weighed.take([0, 2, 3]), None, ctx)) == 0
    assert apart(small(POOL.weighed(np.full(4, -300.0)), None, ctx), small(POOL, None, ctx)) == 0


def test_pieces_of_a_step_add_up_to_it(small, ctx):
    """Accumulation, the last step with fewer rows, and the weights of each piece."""
    weighed, small = POOL.weighed(np.array([0.0, 1.0, -1.0, 2.0])), replace(small, learning_rate=1e-3)
    whole = small(weighed, None, ctx)
    close = 1e-5  # sums in another order, which Adam magnifies; a hundredth of the rate, by which a wrong sum would be off
    assert apart(replace(small, accumulate=2)(weighed, None, ctx), whole) < close
    assert apart(replace(small, accumulate=3)(weighed, None, ctx), whole) < close
    assert [list(piece) for piece in _pieces(range(7, 10), 4)] == [[7], [8], [9]]
    shares = [Processes(rank, 3).share(range(10, 15)) for rank in range(3)]
    assert [place for part in shares for place in part] == [10, 11, 12, 13, 14]


def test_activation_checkpoints_change_nothing(small, ctx):
    assert apart(replace(small, checkpointing=True)(POOL, None, ctx), small(POOL, None, ctx)) < 1e-6


def test_encoded_once_or_every_time_is_the_same(small, ctx):
    assert apart(replace(small, cached=False)(POOL, None, ctx), small(POOL, None, ctx)) < 1e-5


@pytest.mark.slow
def test_two_processes_are_one(folders, small, ctx, tmp_path):
    """torchrun starts two; 22 images in steps of 3 leave a process without a row in the last step."""
    trainer = replace(small, batch=3, images=22)
    script = tmp_path / "train.py"
    script.write_text(
        "import sys, numpy as np\n"
        "sys.path.insert(0, sys.argv[3])\n"
        "from pathlib import Path\n"
        "from safetensors.numpy import save_file\n"
        "from test_tune_pipeline import LORA, POOL\n"
        "from germline.core.context import Context\n"
        "from germline.trainers import TunePipeline\n"
        "from germline.pipelines.processes import processes\n"
        "trainer = TunePipeline(Path(sys.argv[1]), images=22, batch=3, lora=LORA, learning_rate=1e-2,"
        " condition_drop=0.3, ema=0.9, warm_up=2)\n"
        "out = Path(sys.argv[2])\n"
        "weighed = POOL.weighed(np.array([0.0, 1.0, -1.0, 2.0]))\n"
        "model = trainer(weighed, None, Context(0, 0, None, scratch=out / 'scratch'))\n"
        "assert processes().count == 2\n"
        "save_file(dict(model.arrays), out / f'{processes().rank}.safetensors')\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script)]
    here = Path(__file__).parent
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": f"{here.parent}:{here.parents[1] / 'src'}"}
    done = subprocess.run(
        [*command, str(folders["sd1"]), str(tmp_path), str(here)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    alone = trainer(POOL.weighed(np.array([0.0, 1.0, -1.0, 2.0])), None, ctx)
    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert max(np.abs(first[name] - alone.arrays[name]).max() for name in first) < 1e-5


class Killed(Exception):
    pass


def killer(after):
    """Progress that kills the process, so to say, once ``after`` images are seen."""

    @contextmanager
    def progress(what, total):
        seen = 0

        def advance(more):
            nonlocal seen
            seen += more
            if "train" in what and seen >= after:
                raise Killed

        yield advance

    return progress


@pytest.mark.parametrize(
    ("change", "after", "every"),
    [
        ({}, 8, 1),
        ({}, 12, 2),  # killed between checkpoints
        ({"lora": None, "learning_rate": 1e-3, "accumulate": 2}, 4, 1),
        ({"precision": "fp16", "schedule": "cosine"}, 8, 1),
        ({"precision": "bf16", "min_snr": 5.0}, 12, 2),
    ],
    ids=["lora", "between", "full", "fp16", "bf16"],
)
def test_killed_and_resumed_is_the_same_to_the_bit(small, ctx, monkeypatch, change, after, every):
    trainer, counted = replace(small, **change), iter(range(1, 1000))
    monkeypatch.setattr(tune_pipeline, "CHECKPOINT_SECONDS", 1e9)  # however busy the machine is
    whole = trainer(POOL, None, ctx)
    assert not (ctx.scratch / tune_pipeline.CHECKPOINT).exists()
    monkeypatch.setattr(tune_pipeline, "CHECKPOINT_SECONDS", -1.0)
    monkeypatch.setattr(tune_pipeline, "CHECKPOINT_SHARE", 1e9)
    save = Tuning.save
    monkeypatch.setattr(Tuning, "save", lambda self, *args: save(self, *args) if next(counted) % every == 0 else None)
    with pytest.raises(Killed):
        trainer(POOL, None, replace(ctx, progress=killer(after)))
    assert (ctx.scratch / tune_pipeline.CHECKPOINT).exists()
    seen = []

    @contextmanager
    def counting(what, total):
        yield seen.append if "train" in what else lambda more: None

    assert apart(trainer(POOL, None, replace(ctx, progress=counting)), whole) == 0
    assert 4 <= seen[0] <= after
    assert sum(seen) == trainer.images


def test_a_checkpoint_holds_weights_mean_and_optimiser_to_the_bit(small, ctx, tmp_path):
    """The state itself, not only what comes of it."""
    model = open_pipeline(small.base)
    network = low_rank.copied_with(model.network, LORA)
    low_rank.draw(network, np.random.default_rng(0))

    def made():
        copy = {name: torch.nn.Parameter(p.detach().clone()) for name, p in low_rank.parameters(network).items()}
        return Tuning(copy, copy, 1e-2, 0.01, 0.9, False, None, False, False)

    one, other = made(), made()
    for number in range(3):
        one.add(sum((p * (number + i)).square().sum() for i, p in enumerate(one.parameters.values())))
        one.step(torch.tensor(1.0), 1.0, number, Processes())
    one.save(tmp_path / "state", "key", 3)
    assert other.load(tmp_path / "state", "another") == 0
    assert other.load(tmp_path / "state", "key") == 3
    ours, theirs = {**one._weights(), **one._momenta()[0]}, {**other._weights(), **other._momenta()[0]}
    assert ours.keys() == theirs.keys()
    assert len(ours) == 5 * len(one.parameters), "weight, mean, two momenta and a count each"
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_checkpoint_of_another_training_is_not_taken_up(small, ctx, monkeypatch):
    whole = small(POOL, None, replace(ctx, seed=1, scratch=ctx.scratch / "other"))
    monkeypatch.setattr(tune_pipeline, "CHECKPOINT_SECONDS", -1.0)
    with pytest.raises(Killed):
        small(POOL, None, replace(ctx, progress=killer(8)))
    assert apart(small(POOL, None, replace(ctx, seed=1)), whole) == 0


def test_eight_bit_momenta_are_saved_with_their_plain_numbers(small, ctx, monkeypatch):
    """A stand-in with the layout of bitsandbytes' state: bytes, tables, and a step that is a plain int."""

    class AdamW8bit(torch.optim.SGD):
        def __init__(self, parameters, lr, betas, weight_decay):
            super().__init__(parameters, lr=lr)

        def step(self):
            for parameter in self.param_groups[0]["params"]:
                state = self.state[parameter]
                if not state:
                    state.update(step=0, state1=torch.zeros(parameter.numel(), dtype=torch.uint8))
                state["step"] += 1
                assert type(state["step"]) is int
                state["state1"] = (state["state1"].int() * 3 + 7 + state["step"]).remainder(256).to(torch.uint8)
                with torch.no_grad():
                    parameter.sub_(1e-4 * state["state1"].view_as(parameter))

    module = type(sys)("bitsandbytes.optim")
    module.AdamW8bit = AdamW8bit
    monkeypatch.setitem(sys.modules, "bitsandbytes", type(sys)("bitsandbytes"))
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", module)
    trainer = replace(small, eight_bit=True)
    whole = trainer(POOL, None, ctx)
    monkeypatch.setattr(tune_pipeline, "CHECKPOINT_SECONDS", -1.0)
    with pytest.raises(Killed):
        trainer(POOL, None, replace(ctx, progress=killer(8)))
    assert apart(trainer(POOL, None, ctx), whole) == 0


@pytest.mark.parametrize("kind", ["sd1", "sdxl", "sd3"])
def test_a_dropped_prompt_is_the_empty_one_of_guidance(kind, folders, ctx):
    trainer = TunePipeline(folders[kind], condition_drop=0.5)
    opened, rows = rows_of(trainer, POOL, ctx)
    seen, null = rows.at(range(40)), told(opened, [NULL])
    plain = told(opened, [str(POOL.condition[row]) for row in seen.rows])
    text = seen.told["encoder_hidden_states"]
    dropped = torch.tensor([torch.equal(row, null["encoder_hidden_states"][0]) for row in text])
    assert 0.25 < dropped.float().mean() < 0.75
    for name, values in seen.told.items():
        expected = torch.where(dropped.view(-1, *[1] * (values.ndim - 1)), null[name], plain[name])
        torch.testing.assert_close(values, expected, rtol=0, atol=1e-5)
    assert (
        rows_of(replace(trainer, condition_drop=0.0), POOL, ctx)[1]
        .at(range(40))
        .told["encoder_hidden_states"]
        .sub(plain["encoder_hidden_states"])
        .abs()
        .max()
        < 1e-5
    )
    if kind == "sdxl":
        assert not null["encoder_hidden_states"].any(), "XL was trained to see zeros"


def test_a_row_draws_afresh_each_time_and_the_same_in_every_batch(small, ctx):
    _, rows = rows_of(small, POOL, ctx)
    whole, part = rows.at(range(12)), rows.at(range(5, 9))
    for name in ("x0", "eps", "t"):
        assert torch.equal(getattr(whole, name)[5:9], getattr(part, name))
    for row in range(4):
        draws = whole.x0[whole.rows == row]
        assert len(draws) == 3
        assert not torch.equal(draws[0], draws[1])
    later = rows_of(small, POOL, replace(ctx, generation=1))[1].at(range(12))
    assert not torch.equal(later.eps, whole.eps)


def test_latents_are_draws_of_the_law_that_the_vae_tells(small, ctx):
    opened, rows = rows_of(small, POOL.take([0]), ctx)
    seen = rows.at(range(400))
    x = torch.from_numpy(IMAGES[:1]).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        law = opened.vae.encode(x).latent_dist
    scale = opened.vae.config.scaling_factor
    z = (seen.x0 / scale - law.mean) / law.std
    assert abs(z.mean().item()) < 0.01
    assert abs(z.std().item() - 1) < 0.01


def test_base_anchored_generations_start_from_equal_weights(small, ctx):
    first = small(POOL, None, ctx)
    still = replace(small, images=1, batch=1, learning_rate=1e-12, weight_decay=0.0, ema=0.0, warm_up=0)
    anchored = [still(POOL, first, replace(ctx, generation=g)) for g in (1, 2, 5)]
    assert max(apart(anchored[0], other) for other in anchored[1:]) < 1e-9
    base, network = open_pipeline(small.base).network, anchored[0].network()
    x, t, text = torch.randn(2, 4, 16, 16), torch.tensor([5, 900]), torch.randn(2, 77, 16)
    with torch.no_grad():
        torch.testing.assert_close(network(x, t, text).sample, base(x, t, text).sample, rtol=0, atol=1e-6)
    stored = small.restore(dict(sorted(small.arrays(first).items())))  # as they come from a file, in another order
    onward = replace(still, start="sequential", ema=1 - 1e-9)(POOL, stored, replace(ctx, generation=1))
    assert apart(onward, first) < 1e-6, "raw weights and their mean go on from the last generation's"
    assert apart(replace(still, start="sequential")(POOL, Import(small.base)(POOL, None, ctx), ctx), anchored[0]) < 1e-9


def test_frozen_parts_stay_as_they_were(folders, ctx):
    for kind, lora in (("sd1", LORA), ("sd1", None), ("sd3", LORA)):
        opened = open_pipeline(folders[kind])
        modules = {"network": opened.network, "vae": opened.vae, **dict(enumerate(opened.text_encoders))}
        before = {(m, n): p.clone() for m, module in modules.items() for n, p in module.state_dict().items()}
        TunePipeline(folders[kind], images=8, lora=lora, learning_rate=1e-2)(POOL, None, ctx)
        assert open_pipeline(folders[kind]) is opened
        after = {(m, n): p for m, module in modules.items() for n, p in module.state_dict().items()}
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)
        assert not any(p.requires_grad for module in modules.values() for p in module.parameters())


def test_the_running_mean_moves_and_is_what_is_sampled_from(small, ctx):
    trainer = replace(small, images=8, batch=4, ema=0.9, warm_up=0)
    start = replace(trainer, images=1, batch=1, learning_rate=1e-12, weight_decay=0.0, ema=0.0)(POOL, None, ctx).arrays
    one, two = replace(trainer, images=4)(POOL, None, ctx), trainer(POOL, None, ctx)
    for name in start:
        mean = start[name]
        for step, model in enumerate((one, two)):
            decay = min(0.9, (1 + step) / (10 + step))
            mean = decay * mean + (1 - decay) * model.arrays[name]
        np.testing.assert_allclose(two.arrays[f"ema.{name}"], mean, atol=1e-6)
    up = next(name for name in start if name.endswith("up"))
    assert np.abs(two.arrays[f"ema.{up}"] - start[up]).max() > 1e-4
    np.testing.assert_array_equal(low_rank.arrays(two.network())[up], two.arrays[f"ema.{up}"])
    np.testing.assert_array_equal(low_rank.arrays(Tuned(two.base, two.last(), two.lora).network())[up], two.arrays[up])


def test_models_survive_their_arrays_and_know_their_base(small, folders, ctx, tmp_path):
    for lora in (LORA, None):
        trainer = replace(small, lora=lora, images=4)
        model = trainer(POOL, None, ctx)
        arrays = dict(trainer.arrays(model))
        save_file(arrays, tmp_path / "model.safetensors")
        again = trainer.restore(load_file(tmp_path / "model.safetensors"))
        assert apart(again, model) == 0
        x, t, text = torch.randn(2, 4, 16, 16), torch.tensor([5, 900]), torch.randn(2, 77, 16)
        with torch.no_grad():
            assert torch.equal(again.network()(x, t, text).sample, model.network()(x, t, text).sample)
            assert not torch.equal(model.network()(x, t, text).sample, model.base.network(x, t, text).sample)
        with pytest.raises(BadInput, match="changes a pipeline of sha256"):
            replace(trainer, base=folders["sd1-2022"]).restore(arrays)


def test_an_imported_pipeline_is_the_base_itself(folders, ctx):
    founder = Import(folders["sd1"])
    model = founder(POOL, None, ctx)
    assert [*founder.arrays(model)] == ["base"]
    again = founder.restore(founder.arrays(model))
    assert again.base is model.base
    assert again.arrays == {}
    x, t, text = torch.randn(1, 4, 16, 16), torch.tensor([5]), torch.randn(1, 77, 16)
    with torch.no_grad():
        assert torch.equal(again.network()(x, t, text).sample, model.base.network(x, t, text).sample)
    assert founder.images == 0


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_learns_four_images(kind, folders, ctx):
    trainer = TunePipeline(
        folders[kind],
        images=240,
        batch=8,
        lora=Lora(8, targets=("to_q", "to_k", "to_v", "to_out.0", "proj_out", "net.2")),
        learning_rate=3e-2,
    )
    opened, rows = rows_of(trainer, POOL, replace(ctx, seed=9))
    seen = rows.at(range(32))
    model = trainer(POOL, None, ctx)
    with torch.no_grad():
        before, after = (Loss(network, opened.process, "fp32")(seen).item() for network in (opened.network, model.network()))
    assert after < 0.95 * before, (before, after)


def test_the_whole_network_learns_four_images(folders, ctx):
    trainer = TunePipeline(folders["sd1"], images=120, batch=4, lora=None, learning_rate=1e-2)
    opened, rows = rows_of(trainer, POOL, replace(ctx, seed=9))
    seen = rows.at(range(32))
    model = trainer(POOL, None, ctx)
    assert all(name.startswith("unet.") for name in model.arrays)
    with torch.no_grad():
        before, after = (Loss(network, opened.process, "fp32")(seen).item() for network in (opened.network, model.network()))
    assert after < 0.7 * before


def test_the_layout_of_2022_trains_to_the_same_bits(folders, ctx):
    trainers = [TunePipeline(folders[kind], images=12, lora=LORA, learning_rate=1e-2) for kind in ("sd1", "sd1-2022")]
    new, old = (trainer(POOL, None, ctx) for trainer in trainers)
    assert apart(new, old) == 0


def test_the_rate_rises_stays_and_falls():
    assert [share(step, 10, 4, "constant") for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    cosine = [share(step, 10, 0, "cosine") for step in range(10)]
    assert cosine[0] == 1
    assert cosine[5] == pytest.approx(0.5)
    assert 0 < cosine[9] < 0.03


def test_min_snr_weighs_as_the_library_does(folders, ctx):
    """diffusers.training_utils.compute_snr and the formula of its example, for eps and v."""
    from diffusers.training_utils import compute_snr

    opened = open_pipeline(folders["sd1"])
    scheduler = diffusers.DDPMScheduler.from_config(diffusers.DDPMScheduler.load_config(opened.folder / "scheduler"))
    t = torch.tensor([0, 50, 300, 700, 999])
    snr = compute_snr(scheduler, t)
    capped = torch.stack([snr, torch.full_like(snr, 5.0)], 1).min(1)[0]
    for target, expected in (("epsilon", capped / snr), ("v_prediction", capped / (snr + 1))):
        loss = Loss(opened.network, replace(opened.process, target=target), "fp32", 5.0)
        torch.testing.assert_close(loss._min_snr(t.float(), 5.0), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_trains_float32_weights(precision, small, ctx):
    whole = small(POOL, None, ctx)
    half = replace(small, precision=precision)(POOL, None, ctx)
    assert {array.dtype for array in half.arrays.values()} == {np.dtype(np.float32)}
    assert 0 < apart(half, whole) < 0.05
    auto = small(POOL, None, replace(ctx, execution=Execution(precision="bf16")))
    assert precision != "bf16" or apart(auto, half) == 0


def test_previews_lie_beside_the_record_and_change_nothing(small, ctx):
    from PIL import Image

    shown = replace(small, previews=("a cat", "red"), preview_every=6)
    model = shown(POOL, None, ctx)
    assert sorted(path.name for path in ctx.scratch.parent.glob("*.png")) == ["preview_00000008.png", "preview_00000012.png"]
    with Image.open(ctx.scratch.parent / "preview_00000008.png") as picture:
        assert picture.size == (64, 32)
    assert apart(model, small(POOL, None, ctx)) == 0


def test_errors_say_what_to_do(small, folders, ctx, monkeypatch, tmp_path):
    with pytest.raises(BadInput, match="batch must be at least 1, but is 0"):
        replace(small, batch=0)
    with pytest.raises(BadInput, match=r"accumulate must be between 1 and batch \(4\), but is 5"):
        replace(small, accumulate=5)
    with pytest.raises(BadInput, match="there is no folder .*gone"):
        replace(small, base=tmp_path / "gone")
    with pytest.raises(BadInput, match="needs prompts, but the conditions are int64 such as .* --data FOLDER"):
        small(Pool.of(IMAGES), None, ctx)
    with pytest.raises(BadInput, match="no row with a finite log-weight"):
        small(POOL.weighed(np.full(4, -np.inf)), None, ctx)
    with pytest.raises(BadInput, match="of Stable Diffusion 1 and 2 only, but this is sd3; give a Lora"):
        TunePipeline(folders["sd3"], lora=None)(POOL, None, ctx)
    with pytest.raises(BadInput, match="min_snr is for DDPM's noise"):
        TunePipeline(folders["sd3"], min_snr=5.0)(POOL, None, ctx)
    with pytest.raises(BadInput, match="needs targets that the network has: .*nothing_like_it"):
        replace(small, lora=Lora(2, targets=("nothing_like_it",)))(POOL, None, ctx)
    with pytest.raises(BadInput, match="goes on from a model of its own base, but was given one of sha256"):
        replace(small, start="sequential")(POOL, Import(folders["sdxl"])(POOL, None, ctx), ctx)
    with pytest.raises(BadInput, match="do not fit what is trained; keep rank, targets"):
        replace(small, start="sequential", lora=Lora(2))(POOL, small(POOL, None, ctx), ctx)
    with pytest.raises(BadInput, match="images of 33 pixels a side have no whole latents; give a multiple of 2"):
        replace(small, size=33)(POOL, None, ctx)
    with pytest.raises(GermlineError, match=r"the loss is (nan|inf) at step \d+ of 4. Use a lower learning_rate \(now 1e\+30\)"):
        replace(small, learning_rate=1e30, clip=None)(POOL, None, ctx)
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(MissingExtra, match=r"8-bit AdamW needs bitsandbytes; install it with: pip install 'germline\[t2i-8bit\]'"):
        replace(small, eight_bit=True)(POOL, None, ctx)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtra, match=r"A LoRA needs peft; install it with: pip install 'germline\[t2i\]'"):
        small(POOL, None, ctx)
