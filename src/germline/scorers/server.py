"""A small server of one scorer, for programs on this machine: the other side of ``Http``."""

from __future__ import annotations

import base64
import binascii
import io
import json
import threading
from collections import defaultdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from germline.core import digest
from germline.core.errors import BadInput, GermlineError
from germline.core.loopback import refused
from germline.core.pool import Pool
from germline.core.protocols import Scorer
from germline.scorers.identity import own_code
from germline.scorers.plain import nowhere

LARGEST, ITEMS, SIDE = 512 << 20, 4096, 8192  # bytes and images of a request, pixels a side


def server(scorer: Scorer, host: str = "127.0.0.1", port: int = 0) -> ThreadingHTTPServer:
    """Return a server of a scorer, bound and ready for ``serve_forever``; port 0 takes a free one. One request is scored at a time.

    POST {"items": [{"id", "prompt", "png_base64"}]} is answered by {"scores": [{"id", "score"}], "model", "digest"}, and the digest
    changes with the file of a user's own function. On the loopback address it answers requests to this machine by its own name only, and
    none from a page in a browser.

    Raises:
        GermlineError: the port is taken, or the address is not this machine's.
    """
    code, lock = own_code(scorer), threading.Lock()
    known = digest.of_json([digest.describe(scorer), *code]) if code else digest.of_part(scorer)  # which runs name

    class Handler(BaseHTTPRequestHandler):
        """One request."""

        timeout = 60
        server_version = "germline"

        def do_POST(self) -> None:
            try:
                if reason := refused(self.headers, host):
                    return self._answer(HTTPStatus.FORBIDDEN, {"error": reason})
                body = self.rfile.read(self._length())
                with lock:
                    scores = scored(scorer, body)
            except BadInput as error:
                return self._answer(HTTPStatus.BAD_REQUEST, {"error": str(error)})
            except GermlineError as error:
                return self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": str(error)})
            found: list[digest.Json] = [{"id": key, "score": score} for key, score in scores.items()]
            self._answer(HTTPStatus.OK, {"scores": found, "model": scorer.name, "digest": known})

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing: the terminal is the user's."""

        def _length(self) -> int:
            given = self.headers.get("Content-Length", "")
            if not given.isdecimal() or int(given) > LARGEST:
                raise BadInput(f"a request needs a Content-Length of at most {LARGEST}, but has {given!r}")
            return int(given)

        def _answer(self, status: HTTPStatus, answer: dict[str, digest.Json]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    try:
        return ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        raise GermlineError(f"Cannot serve at {host}:{port}: {error.strerror or error}. Give another --port or --host.") from error


def scored(scorer: Scorer, body: bytes) -> dict[str, float]:
    """Return the score of each item of a request by its id.

    Raises:
        BadInput: the request is not as it should be; the message says where.
    """
    try:
        items = json.loads(body)["items"]
        assert isinstance(items, list)
    except (ValueError, KeyError, TypeError, AssertionError, RecursionError) as error:
        raise BadInput('a request is JSON: {"items": [{"id", "prompt", "png_base64"}]}') from error
    if len(items) > ITEMS:
        raise BadInput(f"a request holds at most {ITEMS} items, but has {len(items)}")
    shapes: dict[tuple[int, ...], list[tuple[str, str, UInt8[np.ndarray, "h w 3"]]]] = defaultdict(list)
    seen: dict[str, float] = {}
    for item in items:
        key, prompt, data = (item.get(name) if isinstance(item, dict) else None for name in ("id", "prompt", "png_base64"))
        if not isinstance(key, str) or not isinstance(prompt, str) or not isinstance(data, str) or key in seen:
            raise BadInput("an item needs id, prompt and png_base64, all text, and an id of its own")
        seen[key] = float("nan")
        image = _image(key, data)
        shapes[image.shape].append((key, prompt, image))
    for rows in shapes.values():
        ids, prompts, images = zip(*rows, strict=True)
        pool = Pool.of(np.stack(images), np.array(prompts))
        seen.update(zip(ids, map(float, scorer(pool, nowhere(pool))), strict=True))
    return seen


def _image(key: str, data: str) -> UInt8[np.ndarray, "h w 3"]:
    try:
        picture = Image.open(io.BytesIO(base64.b64decode(data, validate=True)), formats=["PNG"])
        if max(picture.size) > SIDE:
            raise BadInput(f"item {key}: images have at most {SIDE} pixels a side, but this one has {max(picture.size)}")
        return np.asarray(picture.convert("RGB"))
    except (binascii.Error, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"item {key}: png_base64 is no PNG ({error})") from error
