"""Requests to a server on this machine: whether they are meant for it, so that no web page uses it in the user's name."""

import re
from email.message import Message

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_NAMED = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)


def refused(headers: Message, address: str, own_page: bool = False, writes: bool = True) -> str | None:
    """Return why a request must not be answered, or None where it may.

    The name in ``Host`` must be this machine's own: a foreign name that was made to point here (DNS rebinding) is refused. A request of
    another page, which its ``Origin`` tells, is refused too; of the server's own pages those that write must say that they are.

    Args:
        headers: of the request.
        address: that the server is bound to; where it is not this machine's own, any name is taken.
        own_page: whether the server has pages of its own; without, no page is answered.
        writes: whether the request changes something.
    """
    hosts, origins = headers.get_all("Host", []), headers.get_all("Origin", [])
    if address in LOOPBACK and (len(hosts) != 1 or not _NAMED.fullmatch(hosts[0].strip())):
        named = " and ".join(repr(re.sub(r":[0-9]*$", "", host)) for host in hosts) or "nameless"
        return f"this server is {address}, not {named}"
    if not own_page:
        return "requests from web pages are not answered" if origins else None
    own = f"http://{hosts[0].strip()}" if hosts else ""
    if origins and (len(origins) > 1 or origins[0].strip().lower() != own.lower()):
        return f"requests come from this server's own page, {own}, not from {', '.join(map(repr, origins))}"
    return "a request that writes names the page that it comes from, in Origin" if writes and not origins else None
