"""Chat completions over HTTP: time-outs for the whole reply, pauses and further tries, and the failures told apart."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from germline.core.digest import Json
from germline.core.errors import BadInput, GermlineError, MissingExtra
from germline.prompts.replies import Reply

if TYPE_CHECKING:
    import httpx2

BUSY = (408, 409, 425, 429, 500, 502, 503, 504, 529)  # worth another try
WRONG = (401, 403, 404, 405)  # the address, the model's name or the key is wrong: no prompt will fare better
LARGEST = 1 << 20  # bytes of a reply
LONGEST = 30.0  # seconds of a pause


class Passing(Exception):
    """There was no reply; another run may get one. ``after`` is when the server wants to be asked again, in seconds."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after


class Refused(Passing):
    """The server refused this request; the same request now would be refused again."""


class Completions:
    """A server's chat completions; several threads may ask at once. A context: it closes its connections.

    Raises:
        MissingExtra: httpx2 is not installed.
    """

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float, tries: int, pause: float) -> None:
        try:
            import httpx2
        except ImportError as error:
            raise MissingExtra(
                f"Endpoints need {error.name}; install it with: pip install 'httpx2>=2' (germline[llm] has it too, and builds llama.cpp)"
            ) from error
        self._url, self._timeout, self._tries, self._pause = url.rstrip("/"), timeout, tries, pause
        self._client = httpx2.Client(headers=dict(headers), timeout=timeout, limits=httpx2.Limits(max_connections=None))
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.close()

    def stop(self) -> None:
        """Let no thread try again, so that an interrupted run ends soon."""
        self._stopped.set()

    def reply(self, body: Mapping[str, Json]) -> Reply:
        """Return text and finish reason of one completion; what may pass is tried again with growing pauses.

        Raises:
            Passing: there was no reply in all tries.
            GermlineError: the server will answer no request of this kind.
        """
        for attempt in range(1, self._tries + 1):
            try:
                return self._once(body)
            except Refused:
                raise
            except Passing as error:
                if attempt == self._tries or self._stopped.is_set():
                    raise
                pause = self._pause * 2 ** (attempt - 1) if error.after is None else error.after
                self._stopped.wait(min(LONGEST, pause))
        raise AssertionError("unreachable: there is a try at least")

    def _once(self, body: Mapping[str, Json]) -> Reply:
        import httpx2

        try:
            with self._client.stream("POST", f"{self._url}/chat/completions", json=body) as response:
                text = _within(response, time.monotonic() + self._timeout)
        except httpx2.InvalidURL as error:
            raise BadInput(f"{self._url} is no address ({error}).") from error
        except httpx2.HTTPError as error:
            raise Passing(f"{type(error).__name__}: {error}") from error
        status = response.status_code
        if status in BUSY:
            raise Passing(f"HTTP {status}", _seconds(response.headers.get("retry-after")))
        if status in WRONG or status // 100 == 3:
            raise GermlineError(f"{self._url} answers HTTP {status}: {text[:300]}. Check the address, --model and the key.")
        if status != 200 and ("response_format" in text or "json_schema" in text):
            raise GermlineError(f"{self._url} refuses the JSON schema (HTTP {status}: {text[:300]}). Ask without it: --no-schema.")
        if status != 200:
            raise Refused(f"HTTP {status}: {text[:300]}")
        return _choice(text)


def _within(response: httpx2.Response, deadline: float) -> str:
    """Return a reply's text; one that drips on for ever or is too large is a failure."""
    data = b""
    for chunk in response.iter_bytes():
        data += chunk
        if len(data) > LARGEST:
            raise Passing(f"the reply is larger than {LARGEST:,} bytes")
        if time.monotonic() > deadline:
            raise Passing("the reply was not complete in time")
    return data.decode("utf-8", "replace")


def _seconds(value: str | None) -> float | None:
    """Return a Retry-After header's seconds, None for a date or nothing."""
    return float(value) if value is not None and value.isdecimal() else None


def _choice(text: str) -> Reply:
    """Return text and finish reason of a completion.

    Raises:
        Passing: this is no chat completion, such as a proxy's page or half an object.
    """
    try:
        choice = json.loads(text)["choices"][0]
        content, finish = choice["message"]["content"], choice.get("finish_reason")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise Passing(f"no chat completion but {text[:80]!r}") from error
    return {"content": content if isinstance(content, str) else "", "finish_reason": finish if isinstance(finish, str) else None}
