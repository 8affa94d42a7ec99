"""Scores from elsewhere: a server that is sent images and prompts, for models that need an environment of their own."""

from __future__ import annotations

import base64
import http.client
import io
import json
import math
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar, TypeGuard
from urllib.parse import urlsplit

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image

from germline.core import digest as hashes
from germline.core.context import Context
from germline.core.digest import OF_NO_CONSEQUENCE, Json
from germline.core.errors import BadInput, GermlineError
from germline.core.pool import Pool
from germline.scorers.kept import Score, kept
from germline.scorers.prompts import Captions, told

LARGEST = 64 << 20  # bytes of an answer


@dataclass(frozen=True)
class Http:
    """The score that a server gives: JSON in and out, images as PNG, never a pickle. ``germline serve`` is such a server.

    It is sent POST {"items": [{"id", "prompt", "png_base64"}]} and answers {"scores": [{"id", "score"}], "model", "digest"}; no items
    asks only who serves. Answers are matched by id. What is lost on the way is sent again; an answer that makes no sense is an error.

    Made for HPSv3 (unbounded), LibreHPS (0 to 1) and VQAScore (a probability); scores are taken as they are served. Ours.

    Attributes:
        url: where, such as http://127.0.0.1:8000/. Without a ``digest`` it is what the run knows the scorer by.
        name: of the column.
        digest: of the model that must serve, as the server tells it; any other is refused.
        template: how a class reads, "a photo of {class}".
        batch: rows in a request.
        timeout: seconds for an answer.
        retries: how often a request is sent again.
        pause: seconds before that, doubled each time.
        known_by: the digest, else the address.

    Raises:
        BadInput: the address is none, or the server's answer makes no sense.
        GermlineError: no answer came, or another model serves than before.
    """

    url: str = field(metadata=OF_NO_CONSEQUENCE)
    name: str = "http"
    digest: str | None = field(default=None, metadata=OF_NO_CONSEQUENCE)
    template: str | None = None
    batch: int = field(default=16, metadata=OF_NO_CONSEQUENCE)
    timeout: float = field(default=120.0, metadata=OF_NO_CONSEQUENCE)
    retries: int = field(default=3, metadata=OF_NO_CONSEQUENCE)
    pause: float = field(default=0.5, metadata=OF_NO_CONSEQUENCE)
    known_by: str = field(init=False)
    preprocessing: ClassVar[str] = "as served"
    captions: ClassVar[Captions] = "sent"

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(f"Http needs an address such as http://127.0.0.1:8000/, but got {self.url!r}.")
        if self.batch < 1 or self.retries < 0 or not self.timeout > 0:
            raise BadInput(f"Http: batch must be 1 or more, timeout above 0, but they are {self.batch} and {self.timeout}.")
        object.__setattr__(self, "known_by", self.digest or self.url)

    def __call__(self, pool: Pool, ctx: Context) -> Float64[np.ndarray, " n"]:
        """Return one score a row; rows that this model scored before are not sent."""
        served = self.digest or self.serves()
        prompts = told("Http", pool, ctx, self.template)
        return kept(self, pool, prompts, ctx, lambda: self._opened(served), self.batch, of=served)

    def serves(self) -> str:
        """Return the digest of the model that serves."""
        return _text(self._asked({"items": []}), "digest", self.url)

    @contextmanager
    def _opened(self, served: str) -> Iterator[Score]:
        def score(images: UInt8[np.ndarray, "b h w c"], prompts: list[str]) -> Float64[np.ndarray, " b"]:
            pngs = [png(image) for image in images]
            ids = [hashes.of_bytes(data + prompt.encode())[:32] for data, prompt in zip(pngs, prompts, strict=True)]
            items: dict[str, Json] = {}  # rows that are repeated are sent once
            for key, data, prompt in zip(ids, pngs, prompts, strict=True):
                items[key] = {"id": key, "prompt": prompt, "png_base64": base64.b64encode(data).decode()}
            answer = self._asked({"items": list(items.values())})
            if (now := _text(answer, "digest", self.url)) != served:
                raise GermlineError(f"Http: {self.url} should serve the model {served}, but serves {now}; scores of two models do not mix.")
            scores = matched(answer, set(items), self.url)
            return np.array([scores[key] for key in ids])

        yield score

    def _asked(self, question: Json) -> Mapping[str, object]:
        """Return the answer, an object; a request that was lost is sent again."""
        body = json.dumps(question).encode()
        for attempt in range(self.retries + 1):
            try:
                return _object(self._sent(body), self.url)
            except urllib.error.HTTPError as error:
                reason = f"{error.code} {error.reason}: {_said(error)}"
                if error.code < 500 and error.code not in (408, 429):
                    raise BadInput(f"Http: {self.url} refuses the request ({reason}).") from error
            except (OSError, http.client.HTTPException) as error:  # no connection, no answer in time, half an answer
                reason = str(getattr(error, "reason", error)) or type(error).__name__
            if attempt < self.retries:
                time.sleep(self.pause * 2**attempt)
        raise GermlineError(
            f"Http: {self.url} gave no answer in {self.retries + 1} attempts ({reason}); start it, and run again: scores so far are kept."
        )

    def _sent(self, body: bytes) -> bytes:
        until, out = time.monotonic() + self.timeout, bytearray()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=self.timeout) as answer:
            while part := answer.read1(1 << 16):
                out += part
                if len(out) > LARGEST:
                    raise BadInput(f"Http: {self.url} answers with more than {LARGEST} bytes; a score needs a few.")
                if time.monotonic() > until:  # it may go on a byte at a time for ever
                    raise TimeoutError(f"no whole answer in {self.timeout:g} s")
            if answer.length:
                raise http.client.IncompleteRead(bytes(out[:100]), answer.length)
        return bytes(out)


def png(image: UInt8[np.ndarray, "h w c"]) -> bytes:
    """Return an image as PNG."""
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, "PNG", compress_level=1)
    return file.getvalue()


def matched(answer: Mapping[str, object], ids: set[str], where: str) -> dict[str, float]:
    """Return each id's score.

    Raises:
        BadInput: an id is missing, unknown, or there twice, or a score is no finite number.
    """
    found: dict[str, float] = {}
    rows = answer.get("scores")
    for row in rows if isinstance(rows, list) else [None]:
        if not isinstance(row, Mapping) or "id" not in row or "score" not in row:
            raise BadInput(f"Http: {where} must answer with scores, a list of objects with id and score, but one is {_short(row)}.")
        key, score = row["id"], row["score"]
        if not isinstance(key, str) or key not in ids or key in found:
            raise BadInput(f"Http: {where} answers for the id {_short(key)}, which was not asked for or is there twice.")
        if not _finite(score):
            raise BadInput(f"Http: {where} gives {_short(score)} for the id {key}; a score is a finite number.")
        found[key] = float(score)
    if lost := sorted(ids - set(found)):
        raise BadInput(f"Http: {where} gives no score for {len(lost)} of {len(ids)} images, first the id {lost[0]}.")
    return found


def _finite(score: object) -> TypeGuard[float]:
    if isinstance(score, bool) or not isinstance(score, int | float):
        return False
    try:
        return math.isfinite(score)
    except OverflowError:  # JSON's whole numbers have no limit
        return False


def _object(content: bytes, where: str) -> Mapping[str, object]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"Http: {where} must answer in JSON, but answers {_short(content[:60])}.") from error
    if not isinstance(found, Mapping):
        raise BadInput(f"Http: {where} must answer with a JSON object, but answers {_short(found)}.")
    return found


def _text(answer: Mapping[str, object], key: str, where: str) -> str:
    value = answer.get(key)
    if not isinstance(value, str) or not value:
        raise BadInput(f"Http: {where} must tell the {key} of the model that serves, a text, but tells {_short(value)}.")
    return value


def _said(error: urllib.error.HTTPError) -> str:
    try:
        return _short(json.loads(error.read(1 << 16))["error"])
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        return "no reason given"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 100 else text[:97] + "..."
