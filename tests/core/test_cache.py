import multiprocessing
import time
from pathlib import Path

import numpy as np

from germline.core.cache import Cache


def fit(folder: Path, number: int, made: Path) -> None:
    def make():
        time.sleep(0.3)
        (made / f"{number}").touch()
        return {"x": np.full(3, number)}

    Cache(folder).once("ab" * 32, make)


def test_what_two_processes_ask_for_at_once_is_made_once(tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=fit, args=(tmp_path / "cache", i, made)) for i in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert len(list(made.iterdir())) == 1


def test_a_maker_that_fails_lets_the_next_one_try(tmp_path):
    cache = Cache(tmp_path)

    def broken():
        raise RuntimeError

    for _ in range(2):
        try:
            cache.once("cd" * 32, broken)
        except RuntimeError:
            continue
    assert cache.once("cd" * 32, lambda: {"x": np.ones(2)})["x"].sum() == 2


def test_a_damaged_file_is_made_again(tmp_path):
    Cache(tmp_path).once("ef" * 32, lambda: {"x": np.ones(2)})
    (file,) = tmp_path.glob("ef/*.safetensors")
    file.write_bytes(b"broken")
    assert Cache(tmp_path).once("ef" * 32, lambda: {"x": np.zeros(2)})["x"].sum() == 0
