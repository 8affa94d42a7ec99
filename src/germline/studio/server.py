"""The server of the voting page: this machine only, its own page only, pictures by number only."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from germline.core.digest import Json
from germline.core.errors import BadInput, GermlineError
from germline.core.loopback import refused
from germline.studio.ballot import rater_name
from germline.studio.desk import Desk

HERE, ADDRESS = Path(__file__).parent, "127.0.0.1"
LARGEST = 4096  # bytes of a vote
FILES = {"/": ("page.html", "text/html"), "/page.css": ("page.css", "text/css"), "/page.js": ("page.js", "text/javascript")}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
FOR_EVER = "private, max-age=31536000, immutable"  # the address of a picture holds the study's key


def server(desk: Desk, port: int = 0) -> ThreadingHTTPServer:
    """Return a server of a study's page, bound to 127.0.0.1 and ready for ``serve_forever``; port 0 takes a free one.

    GET / is the page, /study what it asks, /deck?rater=NAME a rater's showings with what they answered, /image/N a picture; POST /vote
    {"rater", "place", "question", "answer"} adds an answer, which is on disk when it is answered.

    Raises:
        GermlineError: the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        """One request."""

        timeout = 60
        server_version = "germline"
        sys_version = ""

        def do_GET(self) -> None:
            where = urlsplit(self.path)
            if self._stranger(writes=False):
                return
            if where.path in FILES:
                name, kind = FILES[where.path]
                return self._send(HTTPStatus.OK, (HERE / name).read_bytes(), f"{kind}; charset=utf-8")
            if number := re.fullmatch(r"/image/([0-9]{1,9})", where.path):
                return self._tried(lambda: self._send(HTTPStatus.OK, desk.png(int(number[1])), "image/png", FOR_EVER))
            if where.path == "/study":
                return self._tried(lambda: self._json(HTTPStatus.OK, desk.study()))
            if where.path == "/deck":
                named = parse_qs(where.query).get("rater", [""])[0]
                return self._tried(lambda: self._json(HTTPStatus.OK, desk.dealt(rater_name(named))))
            self._json(HTTPStatus.NOT_FOUND, {"error": "there is nothing here"})

        def do_POST(self) -> None:
            if self._stranger(writes=True):
                return
            if self.path != "/vote":
                return self._json(HTTPStatus.NOT_FOUND, {"error": "votes go to /vote"})
            self._tried(lambda: self._json(HTTPStatus.OK, {"saved": self._vote(self._body())}))

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing: the terminal is the user's."""

        def _stranger(self, writes: bool) -> bool:
            reason = refused(self.headers, ADDRESS, own_page=True, writes=writes)
            if reason:
                self._json(HTTPStatus.FORBIDDEN, {"error": reason})
            return reason is not None

        def _vote(self, said: dict[str, object]) -> int:
            if set(said) != {"rater", "place", "question", "answer"}:
                raise BadInput(f"A vote has rater, place, question and answer, but this one has {', '.join(sorted(said)) or 'nothing'}.")
            return desk.vote(rater_name(said["rater"]), said["place"], said["question"], said["answer"])

        def _body(self) -> dict[str, object]:
            length, kind = self.headers.get("Content-Length", ""), self.headers.get_content_type()
            if not length.isdecimal() or int(length) > LARGEST or kind != "application/json":
                raise BadInput(f"A vote is application/json of at most {LARGEST} bytes with a Content-Length, but is {kind}, {length!r}.")
            try:
                said = json.loads(self.rfile.read(int(length)))
            except (ValueError, RecursionError) as error:
                raise BadInput("A vote is a JSON object.") from error
            if not isinstance(said, dict):
                raise BadInput("A vote is a JSON object.")
            return said

        def _tried(self, act: Callable[[], None]) -> None:
            try:
                act()
            except BadInput as error:
                self._json(HTTPStatus.BAD_REQUEST, {"error": str(error)})
            except GermlineError as error:
                self._json(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": str(error)})

        def _json(self, status: HTTPStatus, answer: dict[str, Json]) -> None:
            self._send(status, json.dumps(answer).encode(), "application/json")

        def _send(self, status: HTTPStatus, body: bytes, kind: str, keep: str = "no-store") -> None:
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": keep, **HEADERS}.items():
                self.send_header(name, value)
            with suppress(ConnectionError):  # a page that goes on has no use for a picture any more
                self.end_headers()
                self.wfile.write(body)

    try:
        return ThreadingHTTPServer((ADDRESS, port), Handler)
    except OSError as error:
        raise GermlineError(f"Cannot serve at {ADDRESS}:{port}: {error.strerror or error}. Give another --port.") from error
