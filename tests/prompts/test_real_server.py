"""The endpoint judge against a real server on loopback: that of transformers, with a tiny random Llama.

It takes ``response_format`` and ignores it, and a random model answers nonsense: both are what the judge must bear.
"""

import socket
import subprocess
import sys
import time
from importlib.util import find_spec

import pyarrow as pa
import pytest

from germline.prompts.endpoint import Endpoint
from germline.prompts.judge import judge

MISSING = [name for name in ("torch", "transformers", "fastapi", "uvicorn", "openai", "httpx2") if find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"transformers serve needs {', '.join(MISSING)}: pip install 'transformers[serving]'")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """(address, model name) of a running ``transformers serve``."""
    from test_judges import tiny_llama

    folder = tiny_llama(tmp_path_factory.mktemp("served"))
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    code = "from transformers.cli.transformers import main; main()"
    flags = ["serve", str(folder), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"]
    with (folder.parent / "server.log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-c", code, *flags], stdout=log, stderr=log)
    try:
        stop = time.monotonic() + 600  # importing all that it imports takes minutes on a busy machine
        while not listening(port):
            dead = process.poll() is not None or time.monotonic() > stop
            assert not dead, (folder.parent / "server.log").read_text()[-2000:]
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1", str(folder)
    finally:
        process.terminate()
        process.wait()


def listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
def test_a_real_server_is_asked_and_its_nonsense_is_undecided_and_kept(server, tmp_path):
    url, model = server
    prompts = pa.table({"prompt": ["a red fox in the snow", "fox", "a cat on a mat"]})
    found = judge(prompts, Endpoint(url, model, concurrency=2, tries=2, max_tokens=8, timeout=120), tmp_path)
    rows = found.kept.to_pylist()
    assert [row["prompt"] for row in rows] == prompts["prompt"].to_pylist()
    assert all(row["decision"] == "undecided" for row in rows)
    assert all('"content":' in row["reply"] and '"attempts":2' in row["reply"] for row in rows), "real completions came back"
    assert all(row["detail"].startswith(("cut off", "no JSON", "blank")) for row in rows)
