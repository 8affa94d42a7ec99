"""Which requests a server on this machine answers."""

from email.message import Message

import pytest

from germline.core.loopback import refused

OWN = "http://127.0.0.1:8008"


def headers(host="127.0.0.1:8008", origin=None):
    out = Message()
    for name, given in (("Host", host), ("Origin", origin)):
        for value in given if isinstance(given, list) else [given]:
            if value is not None:
                out[name] = value
    return out


@pytest.mark.parametrize("host", ["127.0.0.1:8008", "localhost", "LOCALHOST:1", "[::1]:8008", "[::1]"])
def test_its_own_names_are_answered(host):
    assert refused(headers(host), "127.0.0.1") is None
    assert refused(headers(host, f"http://{host}"), "127.0.0.1", own_page=True) is None


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("evil.example:8008", "'evil.example'"),
        ("evil.example", "'evil.example'"),
        ("127.0.0.1.evil.example", "'127.0.0.1.evil.example'"),
        ("localhost.", "'localhost.'"),
        ("a@127.0.0.1:8008", "'a@127.0.0.1'"),
        ("127.0.0.1:8008, evil.example", "'127.0.0.1:8008, evil.example'"),
        ("127.0.0.2:8008", "'127.0.0.2'"),
        ("0.0.0.0:8008", "'0.0.0.0'"),
        ("[::]:8008", "'[::]'"),
        ("", "''"),
        (None, "nameless"),
        (["127.0.0.1", "evil.example"], "'127.0.0.1' and 'evil.example'"),
    ],
)
def test_foreign_names_are_refused(host, named):
    """A name that was made to point here is what DNS rebinding comes with."""
    for own_page in (False, True):
        assert refused(headers(host, OWN if own_page else None), "127.0.0.1", own_page) == f"this server is 127.0.0.1, not {named}"
    assert refused(headers(host), "192.168.0.7") is None, "a server that lets others in is called by any name"


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "",
        "https://127.0.0.1:8008",
        "http://127.0.0.1:8009",
        "http://localhost:8008",
        f"{OWN}/",
        [OWN, "null"],
    ],
)
def test_only_its_own_page_is_answered(origin):
    for writes in (False, True):
        said = refused(headers(origin=origin), "127.0.0.1", own_page=True, writes=writes)
        assert said.startswith(f"requests come from this server's own page, {OWN}, not from ")
    assert refused(headers(origin=origin), "127.0.0.1") == "requests from web pages are not answered"


def test_what_writes_says_where_it_comes_from():
    assert refused(headers(origin=OWN), "127.0.0.1", own_page=True) is None
    assert refused(headers(), "127.0.0.1", own_page=True, writes=False) is None
    assert "names the page that it comes from" in refused(headers(), "127.0.0.1", own_page=True)
