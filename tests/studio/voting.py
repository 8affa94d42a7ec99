"""Small studies of pictures that are easily told apart, and a server for one."""

import contextlib
import threading

import numpy as np

from germline.studio.ballot import APPEAL, FAITHFUL, KEPT, Arm, Ballot, Picture, couples, singles
from germline.studio.desk import opened
from germline.studio.server import server

SIDE = 24


def painted(n, seed):
    """Grounds of one colour with a square."""
    rng = np.random.default_rng(seed)
    images = np.repeat(np.repeat(rng.integers(60, 200, (n, 1, 1, 3)), SIDE, 1), SIDE, 2).astype(np.uint8)
    images[:, 6:14, 6:14] = rng.integers(0, 256, (n, 1, 1, 3))
    return images


def arm(name, n, seed, prompts=None):
    """An arm of painted pictures."""
    images = painted(n, seed)
    texts = prompts or [f"a thing, number {i}" for i in range(n)]
    return Arm(name, tuple(Picture(f"{i}.png", texts[i], lambda i=i: images[i]) for i in range(n)))


def desk_of_pairs(folder):
    """The desk of a study of eight pairs; called again, of the same study."""
    arms = [arm("base", 8, 0), arm("tuned", 8, 1)]
    return opened(folder / "pairs.db", Ballot("pairs", (APPEAL, FAITHFUL), repeat=0.25), arms, couples(arms))


def desk_of_singles(folder):
    """The desk of six pictures to keep or reject."""
    arms = [arm("made", 6, 2)]
    return opened(folder / "keep.db", Ballot("keep", (KEPT,)), arms, singles(arms))


@contextlib.contextmanager
def served(desk, port=0):
    """Serve a desk while a block runs; the address is that of before if the port is."""
    with server(desk, port) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{made.server_address[1]}"
        finally:
            made.shutdown()
            thread.join()
