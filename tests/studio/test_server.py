"""The server of the page: what it answers, whom it refuses, and that no path of anybody's leads anywhere."""

import http.client
import io
import json
import socket
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from voting import desk_of_pairs, served

from germline.core.errors import GermlineError
from germline.studio.ballot import APPEAL
from germline.studio.server import server


def request(url, method="GET", path="/", body=None, headers=None):
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=60)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    found = (answer.status, dict(answer.getheaders()), answer.read())
    connection.close()
    return found


def said(url, path):
    status, _, body = request(url, path=path)
    return status, json.loads(body)


def post(url, vote, **headers):
    sent = {"Origin": url, "Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    status, _, body = request(url, "POST", "/vote", json.dumps(vote), {name: value for name, value in sent.items() if value is not None})
    return status, json.loads(body)


VOTE = {"rater": "Ada", "place": 0, "question": APPEAL, "answer": "left"}


def test_a_rater_is_dealt_pictures_and_votes(tmp_path):
    desk = desk_of_pairs(tmp_path)
    with served(desk) as url:
        _, study = said(url, "/study")
        assert (study["kind"], study["total"], study["raters"]) == ("pairs", 20, [])
        assert [question["id"] for question in study["questions"]] == ["appeal", "faithfulness"]
        _, dealt = said(url, "/deck?rater=%20ADA%20")
        assert dealt["rater"] == "ada"
        assert len(dealt["showings"]) == 10
        assert dealt == desk.dealt("ada") | {}
        for showing, one in zip(dealt["showings"], desk.deck("ada"), strict=True):
            first, second = desk.items[one.item].pictures
            assert showing["pictures"] == ([second, first] if one.mirrored else [first, second])
            assert showing["prompt"] == desk.items[one.item].prompt
        assert post(url, VOTE) == (200, {"saved": 1})
        assert post(url, VOTE | {"answer": "tie"}) == (200, {"saved": 2})
        assert said(url, "/study")[1]["raters"] == [{"name": "ada", "done": 1}]
        assert said(url, "/deck?rater=ada")[1]["showings"][0]["answers"] == {"appeal": "tie"}
        number = dealt["showings"][0]["pictures"][0]
        status, headers, body = request(url, path=f"/image/{number}?{study['key']}")
        assert (status, headers["Content-Type"]) == (200, "image/png")
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(body))), desk.reads[number]())
        assert not Image.open(io.BytesIO(body)).info, "nothing but pixels"


def test_the_page_fetches_nothing_from_elsewhere_and_nobody_frames_it(tmp_path):
    with served(desk_of_pairs(tmp_path)) as url:
        for path in ("/", "/page.css", "/page.js", "/study", "/nothing"):
            status, headers, body = request(url, path=path)
            assert status == (404 if path == "/nothing" else 200)
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert "Access-Control-Allow-Origin" not in headers
            assert b"http://" not in body
            assert b"https://" not in body
            assert b"//cdn" not in body
        assert b"innerHTML" not in request(url, path="/page.js")[2], "prompts and names are text"


def test_foreign_names_and_foreign_pages_are_refused(tmp_path):
    desk = desk_of_pairs(tmp_path)
    with served(desk) as url:
        port = urlsplit(url).port
        for path in ("/", "/study", "/deck?rater=ada", "/image/0", "/page.js"):
            assert request(url, path=path, headers={"Host": f"evil.example:{port}"})[0] == 403
            assert request(url, path=path, headers={"Origin": "http://evil.example"})[0] == 403
            assert request(url, path=path, headers={"Host": f"localhost:{port}"})[0] == 200
        for changed in (
            {"Origin": None},
            {"Origin": "null"},
            {"Origin": "http://evil.example"},
            {"Origin": f"http://127.0.0.1:{port + 1}"},
            {"Origin": f"https://127.0.0.1:{port}"},
            {"Host": f"evil.example:{port}"},
            {"Host": f"evil.example:{port}", "Origin": f"http://evil.example:{port}"},
        ):
            assert post(url, VOTE, **changed)[0] == 403, changed
        assert desk.votes.ever() == 0
        assert post(url, VOTE, Host=f"localhost:{port}", Origin=f"http://localhost:{port}")[0] == 200


def test_what_is_no_vote_is_refused(tmp_path):
    desk = desk_of_pairs(tmp_path)
    with served(desk) as url:
        for vote, says in (
            ({}, "this one has nothing"),
            ([], "A vote is a JSON object"),
            ({**VOTE, "arm": "x"}, "A vote has rater, place, question and answer, but this one has answer, arm"),
            (VOTE | {"rater": ""}, "A rater's name"),
            (VOTE | {"rater": {}}, "A rater's name"),
            (VOTE | {"place": 10}, "places from 0 to 9"),
            (VOTE | {"place": None}, "the place is None"),
            (VOTE | {"question": "'; DROP TABLE votes"}, "The questions are"),
            (VOTE | {"answer": "both"}, "the answers"),
            (VOTE | {"rater": "x" * 5000}, "at most 4096 bytes"),
        ):
            status, answer = post(url, vote)
            assert status == 400, vote
            assert says in answer["error"]
        assert post(url, VOTE, Content_Type="text/plain")[0] == 400, "a form of another page sends no JSON"
        assert request(url, "POST", "/vote", b"{", {"Origin": url, "Content-Type": "application/json"})[0] == 400
        assert request(url, "POST", "/vote", b"[" * 4000, {"Origin": url, "Content-Type": "application/json"})[0] == 400
        assert request(url, "POST", "/", b"{}", {"Origin": url})[0] == 404
        assert request(url, "PUT", "/vote")[0] == 501
        assert desk.votes.ever() == 0


@pytest.mark.parametrize(
    "path",
    [
        "/image/../../etc/passwd",
        "/image/..%2f..%2fetc%2fpasswd",
        "/../pairs.db",
        "/pairs.db",
        "/image/",
        "/image/0.png",
        "/image/-1",
        "//etc/passwd",
    ],
)
def test_pictures_are_served_by_number_and_nothing_by_path(tmp_path, path):
    with served(desk_of_pairs(tmp_path)) as url:
        assert request(url, path=path)[0] == 404


def test_pictures_that_are_not_there(tmp_path):
    with served(desk_of_pairs(tmp_path)) as url:
        status, answer = said(url, "/image/16")
        assert (status, answer["error"]) == (400, "Pictures count from 0 to 15, but 16 was asked for.")
        assert request(url, path="/image/99999999999999999999")[0] == 404
        assert said(url, "/deck?rater=")[0] == 400
        assert said(url, "/deck")[0] == 400


def test_this_machine_only_and_a_taken_port_is_told(tmp_path):
    desk = desk_of_pairs(tmp_path)
    with served(desk) as url:
        port = urlsplit(url).port
        with pytest.raises(GermlineError, match=rf"Cannot serve at 127.0.0.1:{port}: .*in use. Give another --port"):
            server(desk, port)
    with server(desk) as made:
        assert made.server_address[0] == "127.0.0.1"
        assert made.socket.family == socket.AF_INET
