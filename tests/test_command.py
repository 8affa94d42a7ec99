"""Programs that know nothing of germline as trainer and sampler: whole arms, every way to fail, killed and resumed."""

import json
import os
import signal
import sys
import textwrap
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from killing import CONTEXT

from conftest import gaussian_splits
from germline import registry
from germline.chain import Chain
from germline.cli import main
from germline.core import digest
from germline.core.errors import BadInput, Corrupt, GermlineError, RunConflict
from germline.core.exchange import folder_names, get_images, put_data, put_files
from germline.core.pool import Pool
from germline.core.progress import _Lines
from germline.core.recipe import Recipe
from germline.data import digits
from germline.features import Classifier
from germline.loop import Loop
from germline.mixers import Replace
from germline.samplers import CommandSampler
from germline.trainers import CommandTrainer

FOREIGN = Path(__file__).parents[1] / "docs" / "examples" / "foreign_trainer.py"
PYTHON = sys.executable
SH_TRAIN = "cp {data} {out}/model.npz"
COPY = "import numpy, sys; m, o, n = sys.argv[1:]; numpy.save(o + '/i.npy', numpy.load(m + '/model.npz')['images'][:int(n)])"
SH_SAMPLE = f'{PYTHON} -c "{COPY}" {{model}} {{out}} {{n}}'


def recipe(train: str = SH_TRAIN, sample: str = SH_SAMPLE, n: int = 20, **fields) -> Recipe:
    trainer = CommandTrainer(train, **fields)
    return Recipe(founder=trainer, mixer=Replace(), trainer=trainer, sampler=CommandSampler(sample, n))


def script(path: Path, text: str) -> str:
    path.write_text(textwrap.dedent(text))
    return f"{PYTHON} {path}"


def test_forty_foreign_lines_are_a_whole_arm(tmp_path, capsys, monkeypatch):
    assert "germline." not in FOREIGN.read_text()
    assert len([line for line in FOREIGN.read_text().split('"""', 2)[2].splitlines() if line.strip()]) <= 40
    monkeypatch.setattr(registry, "standard_metrics", lambda: [])
    monkeypatch.setattr("germline.recipes.command.Classifier", lambda: Classifier(images=640))
    arguments = ["run", "command", "--train", f"{PYTHON} {FOREIGN} train {{data}} {{out}}", "--data", "digits", "--n", "100"]
    arguments += ["--loop", "accumulate", "--select", "entropy", "--generations", "2", "--out", str(tmp_path / "run")]
    npz = [*arguments, "--sample", f"{PYTHON} {FOREIGN} sample {{model}} {{out}} {{rows}}"]
    assert main(npz) == 0
    chain = Chain(tmp_path / "run")
    assert len(chain) == 3
    assert set(chain[2].training(digits()).generation) > {-1}, "selection chose among real and made rows"
    assert len(chain[2].training(digits())) == 100
    assert "trained on 100 images of 10 classes" in (tmp_path / "run/gen_002/train.log").read_text()
    assert not (tmp_path / "run/gen_002/scratch").exists()
    before = chain[2].digest
    assert main(npz) == 0
    assert Chain(tmp_path / "run")[2].digest == before
    opened = registry.open_run(tmp_path / "run")
    assert sorted(opened.chain[1].model) == ["model.npz"]
    sampler = CommandSampler(f"{PYTHON} {FOREIGN} sample {{model}} {{out}} {{rows}} --png", 100)
    ctx = opened.chain.context(1, opened.data)
    assert (sampler(opened.chain[1].model, range(100), ctx).images[:] == chain[1].samples.images[:]).all(), "PNG and npz are one"
    assert (CommandSampler(sampler.command, 30)(opened.chain[1].model, range(30), ctx).images[:] == chain[1].samples.images[:30]).all()
    capsys.readouterr()
    changed = [word.replace(" {out} {rows}", " {out} {rows} {n}") for word in npz]
    assert main(changed) == 1
    assert "parts.sampler.command" in capsys.readouterr().err


def test_what_is_handed_over_and_taken_back(tmp_path, tiny):
    told = script(
        tmp_path / "train.py",
        """
        import json, os, sys
        data, previous, out, *rest = sys.argv[1:]
        count = 1 + (int(open(previous + "/sub/count").read()) if os.listdir(previous) else 0)
        os.makedirs(out + "/sub")
        open(out + "/sub/count", "w").write(str(count))
        open(out + "/empty", "w")
        json.dump(rest, open(out + "/rest.json", "w"))
        import shutil; shutil.copy(data, out + "/model.npz")
        """,
    )
    loop = Loop.at(tmp_path / "run", recipe(told + " {data} {previous} {out} {seed} {n} {generation} {classes}"), tiny)
    models = [generation.model for generation in loop.run(2)]
    assert [bytes(model["sub/count"]) for model in models] == [b"1", b"2", b"3"]
    assert models[0]["empty"].shape == (0,)
    rest = [json.loads(bytes(model["rest.json"])) for model in models]
    assert [row[1:] for row in rest] == [["20", "0", "2"], ["20", "1", "2"], ["20", "2", "2"]]
    assert len({row[0] for row in rest}) == 3, "each generation has a seed of its own"
    again = [
        generation.model
        for generation in Loop.at(
            tmp_path / "again", recipe(told + " {data} {previous} {out} {seed} {n} {generation} {classes}"), tiny
        ).run(2)
    ]
    assert Chain(tmp_path / "again")[2].digest == loop.chain[2].digest
    assert len(again) == 3
    loop.chain.check()


@pytest.mark.parametrize("weighed", [False, True])
def test_both_forms_of_a_training_set_say_the_same(tmp_path, weighed):
    data = digits()
    pool = data.real.take(np.arange(30))
    pool = pool.weighed(np.linspace(-2, 0, 30)) if weighed else pool
    (tmp_path / "npz").mkdir()
    arrays = dict(np.load(put_data(pool, data.classes, tmp_path / "npz", "npz")))
    folder = put_data(pool, data.classes, tmp_path, "imagefolder")
    lines = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    back = get_images(folder, (8, 8, 1), data.classes, "test")
    order = np.argsort(pool.condition, kind="stable")
    assert (arrays["images"] == pool.images[:]).all()
    assert (back.images == pool.images[order]).all()
    assert (back.labels == pool.condition[order]).all()
    assert [line["label"] for line in lines] == arrays["labels"].tolist() == pool.condition.tolist()
    assert ("weights" in arrays) is weighed is ("weight" in lines[0])
    if weighed:
        np.testing.assert_allclose([line["weight"] for line in lines], arrays["weights"])
        np.testing.assert_allclose(arrays["weights"], np.exp(np.linspace(-2, 0, 30)))


def test_prompts_are_handed_over_as_text(tmp_path):
    pool = Pool.of(np.zeros((3, 4, 4, 3), np.uint8), np.array(["a cat", "zwei Hunde", "x"]))
    assert dict(np.load(put_data(pool, (), tmp_path, "npz")))["texts"].tolist() == ["a cat", "zwei Hunde", "x"]
    lines = (put_data(pool, (), tmp_path, "imagefolder") / "metadata.jsonl").read_text().splitlines()
    assert json.loads(lines[1]) == {"file_name": "images/00000001.png", "text": "zwei Hunde"}


def test_class_folders_sort_as_the_classes_do():
    names = folder_names(["T-shirt/top", "..", "b", *map(str, range(3, 12))])
    assert names == sorted(names)
    assert names[:4] == ["00-T-shirt-top", "01", "02-b", "03"]


def test_a_place_with_blanks_and_quotes_is_one_word(tmp_path, tiny):
    for shell in (False, True):
        place = tmp_path / f"a b'; touch {shell}; $(touch {shell}) \"c"
        line = "cp {data} {out}/model.npz"
        list(Loop.at(place, recipe(f"{line} && true" if shell else line, shell=shell), tiny).run(1))
        assert len(Chain(place)) == 2
    assert not [path for path in [*tmp_path.iterdir(), *Path.cwd().iterdir()] if path.name in ("True", "False")]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("train {data} {output}", r"\{output\} is no place in its command; there are \{data\}, \{previous\}"),
        ("train {data}", r"its command must hold \{out\}"),
        ("train '{data} {out}", "cannot be taken apart"),
        ("train {{data}} {out}", r"must hold \{data\}"),
    ],
)
def test_a_line_is_refused_before_anything_runs(line, says):
    with pytest.raises(BadInput, match=says):
        CommandTrainer(line)


def test_a_sampler_needs_to_be_told_how_many_and_time_must_be_positive():
    with pytest.raises(BadInput, match=r"must hold \{n\} or \{rows\}"):
        CommandSampler("sample {model} {out}")
    with pytest.raises(BadInput, match="timeout must be a number of seconds above 0, but is -1"):
        CommandTrainer("train {data} {out}", timeout=-1)


@pytest.mark.parametrize(
    ("train", "fields", "says"),
    [
        ("pyhton train.py {data} {out}", {}, "cannot start 'pyhton': No such file"),
        ("cp {data} {out}/nowhere/else", {}, r"(?s)ended with exit code 1. Its last words:.*cp: .*All of it: .*gen_000/train.log"),
        ("test -d {out} -a -f {data}", {}, "CommandTrainer left no file"),
        ("sleep 60; : {data} {out}", {"shell": True, "timeout": 0.4}, "did not end within 0.4 s and was stopped. It said nothing"),
        ("kill -9 $$ # {data} {out}", {"shell": True}, "was killed by SIGKILL"),
    ],
    ids=["no such program", "exit code", "nothing left", "hangs", "killed"],
)
def test_a_trainer_that_fails_says_how(tmp_path, tiny, train, fields, says):
    start = time.monotonic()
    with pytest.raises(GermlineError, match=says):
        list(Loop.at(tmp_path / "run", recipe(train, **fields), tiny).run(0))
    assert time.monotonic() - start < 30, "it does not wait for what it stopped"
    assert not (tmp_path / "run/gen_000/model.safetensors").exists()


SAMPLES = """
import sys, numpy as np
from pathlib import Path
from PIL import Image
model, out, n = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
images, labels = np.zeros((n, 4, 4, 1), np.uint8), np.arange(n) % 2
images[:, 0, 0, 0] = np.arange(n)
def png(at, name, side=4):
    (out / name).parent.mkdir(exist_ok=True)
    Image.fromarray(np.full((side, side), at, np.uint8)).save(out / name)
"""


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("np.save(out / 'i.npy', images[1:])", "was asked for 20 images, but its command left 19"),
        ("np.savez(out / 'i.npz', images=images, labels=labels * 0)", "was asked for 10 images of class 'a', but its command left 20"),
        ("np.savez(out / 'i.npz', images=images, labels=labels + 1)", "image 1 has label 2, but labels count from 0 to 1"),
        ("np.savez(out / 'i.npz', images=images, labels=labels[1:])", "labels must be 20 integers, one an image"),
        ("np.savez(out / 'i.npz', images=images / 255)", "must be uint8"),
        ("np.savez(out / 'i.npz', pictures=images)", r"with the arrays \['pictures'\]; it must hold images"),
        ("np.save(out / 'i.npy', np.zeros((n, 5, 5), np.uint8))", "must make images of 4x4x1 .*, but made 5x5x1"),
        ("(out / 'i.npz').write_bytes(b'PK no')", "cannot be read"),
        ("np.save(out / 'i.npy', np.array([{}]), allow_pickle=True)", "cannot be read"),
        ("(out / 'notes.txt').write_text('done')", "left nothing of them"),
        ("np.save(out / 'a.npy', images); np.save(out / 'b.npy', images)", "left several of them"),
        ("[png(i, f'{i}.png', 5 if i == 3 else 4) for i in range(n)]", "images of 4 x 4 pixels, but 3.png has 5 x 5"),
        ("[png(i, f'zebra/{i}.png') for i in range(n)]", "left pictures in 'zebra', which is no class; there are 0-a, 1-b"),
        ("(out / 'x.png').write_bytes(b'no picture')", "is no readable picture"),
    ],
)
def test_a_sampler_that_leaves_something_else_is_told_what(tmp_path, tiny, code, says):
    sample = script(tmp_path / "sample.py", SAMPLES + code)
    with pytest.raises(BadInput, match=says):
        list(Loop.at(tmp_path / "run", recipe(sample=sample + " {model} {out} {n}"), tiny).run(0))


@pytest.mark.parametrize(
    ("code", "first"),
    [
        ("[png(i, f'{i}.png') for i in range(n)]", range(20)),
        ("[png(i, 'ab'[i % 2] + f'/{i}.png') for i in range(n)]", range(20)),
        ("[png(i, f'{i // 10}/{i}.png') for i in range(n)]", [i // 2 + 10 * (i % 2) for i in range(20)]),
        ("np.savez(out / 'i.npz', images=images, labels=(np.arange(n) >= 10) * 1)", [i // 2 + 10 * (i % 2) for i in range(20)]),
        ("np.savez(out / 'i.npz', images=images)", range(20)),
    ],
    ids=["numbered, not padded", "a folder a class", "a folder a number", "labels in another order", "no labels"],
)
def test_images_go_to_the_rows_that_asked_for_them(tmp_path, tiny, code, first):
    sample = script(tmp_path / "sample.py", SAMPLES + code)
    (made,) = Loop.at(tmp_path / "run", recipe(sample=sample + " {model} {out} {n}"), tiny).run(0)
    assert made.samples.images[:][:, 0, 0, 0].tolist() == list(first)
    assert made.samples.condition.tolist() == [i % 2 for i in range(20)]


def test_how_long_to_wait_is_not_what_a_run_is_but_its_program_is(tmp_path):
    line = script(tmp_path / "train.py", "print(1)") + " {data} {out}"
    files = (tmp_path / "train.py",)
    one, other = CommandTrainer(line, files=files), CommandTrainer(line, files=files, timeout=5, resumable=True)
    assert digest.of_part(one) == digest.of_part(other)
    (tmp_path / "train.py").write_text("print(22)")
    assert digest.of_part(CommandTrainer(line, files=files)) != digest.of_part(CommandTrainer(line))
    changed = registry.function_of("command")(train=line)
    assert changed.trainer.files == files
    assert registry.function_of("command")(train=f"{PYTHON} -m mine {{data}} {{out}}").trainer.files == ()


def test_a_program_that_is_mended_begins_anew_and_the_error_says_how(tmp_path, tiny):
    line = script(tmp_path / "train.py", "raise SystemExit(3)") + " {data} {out}"
    with pytest.raises(GermlineError, match="exit code 3"):
        list(Loop.at(tmp_path / "run", recipe(line, files=(tmp_path / "train.py",)), tiny).run(0))
    (tmp_path / "train.py").write_text("import sys, shutil; shutil.copy(sys.argv[1], sys.argv[2] + '/model.npz')")
    with pytest.raises(RunConflict, match=r"(?s)parts.founder.files\[0\].sha256.*Nothing of it is finished: delete the folder"):
        Loop.at(tmp_path / "run", recipe(line, files=(tmp_path / "train.py",)), tiny)


def test_a_model_may_not_write_outside_of_its_folder(tmp_path):
    for name in ("../evil", "/tmp/evil", "a/../../evil"):
        with pytest.raises(Corrupt, match="outside of its folder"):
            put_files({name: np.zeros(3, np.uint8)}, tmp_path / "model")


SLOW = """
import os, sys, time
from pathlib import Path
data, out, place = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
left = sorted(path.name for path in out.iterdir())
with open(place / "starts", "a") as file:
    print(os.getpid(), *left, file=file)
(out / "half").write_bytes(b"half")
if not (place / "go").exists():
    (place / "half done").touch()
    time.sleep(100)
(out / "model.npz").write_bytes(data.read_bytes())
"""


def at_work(folder: Path, place: Path, line: str, resumable: bool) -> None:
    trainer = CommandTrainer(line, resumable=resumable)
    list(Loop.at(folder, Recipe(trainer, Replace(), trainer, CommandSampler(SH_SAMPLE, 20)), gaussian_splits(20, 4)).run(0))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("resumable", [False, True])
def test_a_kill_during_the_command_leaves_nothing_that_disturbs(tmp_path, resumable):
    """The run is killed, its program lives on; the next run ends that, and comes to the same record."""
    line = script(tmp_path / "slow.py", SLOW) + f" {{data}} {{out}} {tmp_path}"
    process = CONTEXT.Process(target=at_work, args=(tmp_path / "run", tmp_path, line, resumable))
    process.start()
    deadline = time.monotonic() + 120
    while not (tmp_path / "half done").exists():
        assert time.monotonic() < deadline
        assert process.is_alive()
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    orphan = int((tmp_path / "starts").read_text().split()[0])
    assert alive(orphan)
    (tmp_path / "go").touch()
    at_work(tmp_path / "run", tmp_path, line, resumable)
    assert not alive(orphan)
    starts = [text.split()[1:] for text in (tmp_path / "starts").read_text().splitlines()]
    assert starts == [[], ["half"] if resumable else []]
    at_work(tmp_path / "calm", tmp_path, line, resumable)
    assert Chain(tmp_path / "run")[0].digest == Chain(tmp_path / "calm")[0].digest
    assert len((tmp_path / "run/gen_000/train.log").read_text().splitlines()) == 2, "the log keeps both attempts"


def test_a_finished_command_is_not_run_again(tmp_path, tiny):
    """Killed between the program's end and the model's file: hours of training are not lost."""
    line = script(tmp_path / "slow.py", SLOW) + f" {{data}} {{out}} {tmp_path}"
    (tmp_path / "go").touch()
    loop = Loop.at(tmp_path / "run", recipe(line), tiny)
    ctx = loop.chain.context(0, tiny)
    first, second = (loop.recipe.trainer(tiny.real, None, ctx) for _ in range(2))
    assert {name: bytes(content) for name, content in first.items()} == {name: bytes(content) for name, content in second.items()}
    assert len((tmp_path / "starts").read_text().splitlines()) == 1


def test_a_holder_that_cannot_be_found_is_waited_for_and_named(tmp_path, tiny, monkeypatch):
    import fcntl

    monkeypatch.setattr("germline.core.command.PATIENCE", 0.2)
    loop = Loop.at(tmp_path / "run", recipe(), tiny)
    ctx = loop.chain.context(0, tiny)
    loop.recipe.trainer(tiny.real, None, ctx)
    (work,) = ctx.scratch.glob("train-*")
    (work / "finished").unlink()
    with (work / ".command").open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(RunConflict, match=r"\(process unknown\) is still at work"):
            loop.recipe.trainer(tiny.real, None, ctx)


def test_a_program_that_will_not_end_is_ended_and_its_children_too(tmp_path, tiny, monkeypatch):
    monkeypatch.setattr("germline.core.command.PATIENCE", 0.3)
    line = f"trap '' TERM; (trap '' TERM; sleep 60) & echo $! > {tmp_path}/child; while :; do sleep 60; done; : {{data}} {{out}}"
    with pytest.raises(GermlineError, match="was stopped"):
        list(Loop.at(tmp_path / "run", recipe(line, shell=True, timeout=0.5), tiny).run(0))
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 10
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(child)


def test_progress_names_the_program_while_it_runs(tmp_path, tiny):
    shown = []

    @contextmanager
    def progress(what, total):
        shown.append((what, total))
        yield lambda more: shown.append(more)

    list(Loop.at(tmp_path / "run", recipe("cp {data} {out}/model.npz"), tiny, progress=progress).run(0))
    assert ("generation 0: train: cp data.npz model.npz", 1) in shown
    assert shown[shown.index(("generation 0: train: cp data.npz model.npz", 1)) + 1 :][0] == 1
    assert any(what.startswith("generation 0: sample: ") for what, total in (entry for entry in shown if isinstance(entry, tuple)))


def test_a_pipe_is_told_that_something_runs(capsys, monkeypatch):
    clock = iter([0.0, 5.0, 11.0, 15.0, 22.0])
    monkeypatch.setattr("germline.core.progress.time.monotonic", lambda: next(clock))
    lines = _Lines("train: mine", 1)
    for _ in range(4):
        lines(0)
    assert capsys.readouterr().err.splitlines() == ["train: mine: 0/1, 11 s so far", "train: mine: 0/1, 22 s so far"]
