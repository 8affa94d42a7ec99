"""Scores over HTTP: against our own server, and against servers that misbehave."""

import base64
import contextlib
import http.client
import io
import json
import socket
import threading
import time
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from PIL import Image

from germline.core import digest
from germline.core.cache import Cache
from germline.core.context import Context
from germline.core.errors import BadInput, GermlineError
from germline.core.pool import Pool
from germline.scorers import Http
from germline.scorers.server import server

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 6, 5, 3), dtype=np.uint8)
PROMPTS = np.array(["a cat", "ein Bär", "東京 🙂", "a cat", '"quoted"\n', "", "a dog"])
POOL = Pool.of(IMAGES, PROMPTS)
CTX = Context(1, 0, None)


@dataclass(frozen=True)
class Bright:
    """Mean brightness, and the length of the prompt."""

    name: str = "bright"

    def __call__(self, pool, ctx):
        return pool.images[:].mean(axis=(1, 2, 3)) + np.char.str_len(pool.condition)


@contextlib.contextmanager
def running(made):
    thread = threading.Thread(target=made.serve_forever, daemon=True, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{made.server_address[1]}/"
    finally:
        made.shutdown()
        made.server_close()


@contextlib.contextmanager
def answering(*answers):
    """A server that gives each of these answers in turn, the last one for ever, and remembers the requests.

    An answer is a function of the question's items, or (status, bytes).
    """
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            items = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["items"]
            asked.append(items)
            answer = answers[min(len(asked), len(answers)) - 1]
            status, body = answer(items) if callable(answer) else answer
            with contextlib.suppress(OSError):
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    with running(HTTPServer(("127.0.0.1", 0), Handler)) as url:
        yield url, asked


def good(items, **changed):
    scores = [{"id": item["id"], "score": len(item["prompt"])} for item in items]
    return 200, json.dumps({"scores": scores, "model": "m", "digest": "d"} | changed).encode()


def said(body):
    return lambda items: good(items, **body(items)) if callable(body) else (200, body)


def quick(url, **fields):
    return Http(url, **{"digest": "d", "retries": 0, "pause": 0.01, "timeout": 5, **fields})


def test_our_own_server_gives_the_scorers_own_scores(tmp_path):
    with running(server(Bright())) as url:
        scorer = Http(url, batch=3, timeout=20)
        assert scorer.serves() == digest.of_part(Bright())
        np.testing.assert_array_equal(scorer(POOL, CTX), Bright()(POOL, CTX))
        ctx = Context(1, 0, None, cache=Cache(tmp_path))
        first = replace(scorer, digest=scorer.serves())(POOL, ctx)
    np.testing.assert_array_equal(first, Bright()(POOL, CTX))
    # The server is gone: with the digest known, what was scored is not asked for again.
    np.testing.assert_array_equal(Http(url, digest=digest.of_part(Bright()), retries=0)(POOL, ctx), first)
    grey = Pool.of(np.repeat(IMAGES[:3, ..., :1], 3, axis=3), PROMPTS[:3])
    with running(server(Bright())) as url:
        flat = Pool.of(IMAGES[:3, ..., :1], PROMPTS[:3])
        np.testing.assert_array_equal(Http(url)(flat, CTX), Bright()(grey, CTX))


def test_rows_are_matched_by_id_and_sent_once_in_batches():
    backwards = said(lambda items: {"scores": [{"id": i["id"], "score": len(i["prompt"])} for i in items][::-1]})
    twice = POOL.take([0, 1, 2, 3, 4, 5, 6, 0, 1])
    with answering(backwards) as (url, asked):
        np.testing.assert_array_equal(quick(url, batch=3)(twice, CTX), [len(text) for text in twice.condition])
    assert [len(items) for items in asked] == [3, 3, 1]
    sent = [item for items in asked for item in items]
    assert [item["prompt"] for item in sent] == PROMPTS.tolist()
    pictures = [np.asarray(Image.open(io.BytesIO(base64.b64decode(item["png_base64"])))) for item in sent]
    np.testing.assert_array_equal(pictures, IMAGES)
    assert len({item["id"] for item in sent}) == 7


def test_what_is_lost_is_sent_again():
    half = (200, good([])[1][:10])
    for lost in ((503, b"busy"), (500, b""), (429, b"")):
        with answering(lost, lost, good) as (url, asked):
            np.testing.assert_array_equal(quick(url, retries=2)(POOL, CTX), [len(text) for text in PROMPTS])
            assert len(asked) == 3
    with (
        answering((503, json.dumps({"error": "the model is loading"}).encode())) as (url, asked),
        pytest.raises(GermlineError, match=r"gave no answer in 3 attempts \(503 .*the model is loading"),
    ):
        quick(url, retries=2)(POOL, CTX)
    assert len(asked) == 3
    with answering(half) as (url, asked), pytest.raises(BadInput, match="must answer in JSON, but answers b'"):
        quick(url, retries=2)(POOL, CTX)
    assert len(asked) == 1, "nonsense is not asked for again"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"<html>hello</html>", "must answer in JSON, but answers b'<html>"),
        (b"[" * 100_000, "must answer in JSON"),
        (b"[1, 2]", r"must answer with a JSON object, but answers \[1, 2\]"),
        (b"{}", "must tell the digest of the model that serves"),
        (lambda items: {"digest": 3}, "must tell the digest"),
        (lambda items: {"digest": "other"}, "should serve the model d, but serves other"),
        (lambda items: {"scores": None}, "must answer with scores, a list of objects"),
        (lambda items: {"scores": [1.0] * len(items)}, "must answer with scores, a list of objects"),
        (lambda items: {"scores": [{"id": i["id"], "score": 1} for i in items[1:]]}, "gives no score for 1 of 7 images, first the id"),
        (lambda items: {"scores": []}, "gives no score for 7 of 7"),
        (lambda items: {"scores": [{"id": items[0]["id"], "score": 1}] * 2}, "is there twice"),
        (lambda items: {"scores": [{"id": "x", "score": 1}]}, "answers for the id 'x', which was not asked for"),
        (lambda items: {"scores": [{"id": i["id"], "score": "1"} for i in items]}, "gives '1' for the id"),
        (lambda items: {"scores": [{"id": i["id"], "score": True} for i in items]}, "gives True for the id"),
        (lambda items: {"scores": [{"id": i["id"], "score": float("nan")} for i in items]}, "gives nan for the id"),
        (lambda items: {"scores": [{"id": i["id"], "score": 10**400} for i in items]}, "a score is a finite number"),
    ],
)
def test_an_answer_that_makes_no_sense_is_named(answer, says):
    with answering(said(answer)) as (url, _), pytest.raises((BadInput, GermlineError), match=rf"Http: http://127\S* (?:.*)(?:{says})"):
        quick(url)(POOL, CTX)


def test_a_refusal_is_not_sent_again():
    with (
        answering((400, json.dumps({"error": "images are too large"}).encode())) as (url, asked),
        pytest.raises(BadInput, match="refuses the request .400 .*images are too large"),
    ):
        quick(url, retries=3)(POOL, CTX)
    assert len(asked) == 1


def test_a_server_that_hangs_or_hangs_up_is_given_up():
    def slow(items):
        time.sleep(0.6)
        return good(items)

    with answering(slow) as (url, _), pytest.raises(GermlineError, match="gave no answer in 2 attempts .*timed out"):
        quick(url, timeout=0.1, retries=1)(POOL, CTX)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(GermlineError, match="gave no answer in 1 attempts .*refused"):
        quick(f"http://127.0.0.1:{port}/")(POOL, CTX)


@contextlib.contextmanager
def raw(answer):
    """A server that writes what ``answer(connection)`` writes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection, contextlib.suppress(OSError):
                        connection.recv(1 << 20)
                        answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"


def test_a_broken_connection_is_given_up():
    def dribble(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(20):
            connection.sendall(b" ")
            time.sleep(0.05)

    with raw(dribble) as url, pytest.raises(GermlineError, match="no whole answer in 0.2 s"):
        quick(url, timeout=0.2)(POOL, CTX)
    for answer in (b"", b"nonsense\r\n\r\n", b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"scores": ['):
        with (
            raw(lambda connection, answer=answer: connection.sendall(answer)) as url,
            pytest.raises(GermlineError, match="gave no answer in 2 att"),
        ):
            quick(url, retries=1)(POOL, CTX)


def test_what_was_scored_before_a_failure_is_kept(tmp_path):
    ctx = Context(1, 0, None, cache=Cache(tmp_path))
    many = Pool.of(np.random.default_rng(1).integers(0, 256, (70, 3, 3, 3), dtype=np.uint8), np.array(["x"] * 70))
    with answering(*[good] * 2, (503, b"")) as (url, asked):
        with pytest.raises(GermlineError, match="scores so far are kept"):
            quick(url, batch=32)(many, ctx)
        assert len(asked) == 3
    with answering(good) as (url, asked):
        np.testing.assert_array_equal(quick(url, batch=32)(many, ctx), np.ones(70))
        assert [len(items) for items in asked] == [6]


def test_the_address_is_what_a_run_knows_unless_it_knows_the_digest():
    here, there = "http://127.0.0.1:1/", "http://127.0.0.1:2/"
    assert digest.of_part(Http(here)) != digest.of_part(Http(there))
    assert digest.of_part(Http(here, digest="d")) == digest.of_part(Http(there, digest="d", batch=2, timeout=3))
    assert digest.of_part(Http(here, digest="d")) != digest.of_part(Http(here, digest="e"))
    for wrong in ("127.0.0.1:1", "file:///etc/passwd", "http://", "ftp://x/"):
        with pytest.raises(BadInput, match="Http needs an address such as"):
            Http(wrong)


# --- the server


def request(url, body, headers=(), path="/"):
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=10)
    connection.request("POST", path, body, {"Content-Type": "application/json", **dict(headers)})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def item(**changed):
    file = io.BytesIO()
    Image.fromarray(IMAGES[0]).save(file, "PNG")
    return {"id": "a", "prompt": "cat", "png_base64": base64.b64encode(file.getvalue()).decode()} | changed


def jpeg():
    file = io.BytesIO()
    Image.fromarray(IMAGES[0]).save(file, "JPEG")
    return base64.b64encode(file.getvalue()).decode()


def test_the_server_refuses_what_it_should():
    with running(server(Bright())) as url:
        assert request(url, json.dumps({"items": [item()]}))[0] == 200
        for body, says in (
            ("rubbish", "a request is JSON"),
            ("[]", "a request is JSON"),
            ('{"items": 3}', "a request is JSON"),
            (json.dumps({"items": [3]}), "an item needs id, prompt and png_base64"),
            (json.dumps({"items": [item(id=3)]}), "an item needs"),
            (json.dumps({"items": [item(), item()]}), "an id of its own"),
            (json.dumps({"items": [item(png_base64="????")]}), "item a: png_base64 is no PNG"),
            (json.dumps({"items": [item(png_base64=item()["png_base64"][:60])]}), "item a: png_base64 is no PNG"),
            (json.dumps({"items": [item(png_base64=jpeg())]}), "item a: png_base64 is no PNG"),
            (json.dumps({"items": [item()] * 5000}), "at most 4096 items, but has 5000"),
        ):
            status, answer = request(url, body)
            assert (status, says in answer["error"]) == (400, True), answer
        status, answer = request(url, "{}", {"Origin": "http://evil.example"})
        assert (status, answer["error"]) == (403, "requests from web pages are not answered")
        status, answer = request(url, "{}", {"Host": "evil.example:80"})
        assert (status, answer["error"]) == (403, "this server is 127.0.0.1, not 'evil.example'")
        port = url.rsplit(":", 1)[1].rstrip("/")
        with pytest.raises(GermlineError, match=rf"Cannot serve at 127.0.0.1:{port}: .*in use. Give another --port"):
            server(Bright(), port=int(port))
        assert server(Bright()).server_address[0] == "127.0.0.1", "this machine only, unless told otherwise"


def test_images_of_several_sizes_in_one_request():
    with running(server(Bright())) as url:
        small = io.BytesIO()
        Image.fromarray(IMAGES[1, :2, :2]).save(small, "PNG")
        other = item(id="b", png_base64=base64.b64encode(small.getvalue()).decode())
        status, answer = request(url, json.dumps({"items": [item(), other, item(id="c", prompt="")]}))
    assert status == 200
    assert [row["id"] for row in answer["scores"]] == ["a", "b", "c"]
    expected = [IMAGES[0].mean() + 3, IMAGES[1, :2, :2].mean() + 3, IMAGES[0].mean()]
    np.testing.assert_allclose([row["score"] for row in answer["scores"]], expected)
