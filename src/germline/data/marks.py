"""What a picture file says of its origin: IPTC's digital source type, C2PA manifests, generators' notes; and how to say it."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from PIL.PngImagePlugin import PngInfo

VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"
TRAINED = "trainedAlgorithmicMedia"
MADE = frozenset((TRAINED, "compositeWithTrainedAlgorithmicMedia", "algorithmicMedia"))
TAKEN = frozenset(("digitalCapture", "computationalCapture", "negativeFilm", "positiveFilm", "print"))
NOTES = frozenset(("parameters", "workflow", "prompt"))  # PNG texts that interfaces of diffusion models leave
XMP = "XML:com.adobe.xmp"
LONGEST = 1 << 20  # bytes of a text that are unpacked

# an attribute, an element, or an element with rdf:resource; the vocabulary's address before the term, or not
TYPE = re.compile(rb"DigitalSourceType[^A-Za-z]*(?:rdf:resource\W+)?(?:https?://[\w.]+/newscodes/digitalsourcetype/)?(\w+)")
TYPE_IN_MANIFEST = re.compile(rb"newscodes/digitalsourcetype/(\w+)")


@dataclass(frozen=True)
class Marks:
    """What a file says: digital source types of its XMP and of its C2PA manifest, whether there is one, and generators' notes.

    No signature is checked: a manifest can be copied into another file, and every mark can be removed.
    """

    xmp: str | None = None
    manifest: bool = False
    manifest_type: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def origin(self) -> Literal["made", "taken", "unknown"]:
        """What follows: "made" where any mark says so, "taken" (by a camera or scanner) where only such marks are there, else "unknown"."""
        types = {self.xmp, self.manifest_type} - {None}
        if types & MADE or self.notes:
            return "made"
        return "taken" if types & TAKEN else "unknown"


def marks_of_made() -> PngInfo:
    """Return the text that marks a PNG as made by a trained model: XMP with Iptc4xmpExt:DigitalSourceType.

    Source: IPTC Photo Metadata Standard, "Digital Source Type", and its vocabulary of that name; XMP specification, part 3 (PNG).
    """
    info = PngInfo()
    info.add_itxt(XMP, PACKET)
    return info


PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
    ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    f' Iptc4xmpExt:DigitalSourceType="{VOCABULARY}{TRAINED}"/></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)


def read(data: bytes) -> Marks:
    """Return the marks of a PNG, JPEG or WebP file; of other kinds, and where a file breaks off, what could be read."""
    parts = _png if data.startswith(b"\x89PNG") else _jpeg if data.startswith(b"\xff\xd8") else _webp if data[8:12] == b"WEBP" else None
    xmp, manifest, notes = b"", b"", []
    for kind, content in parts(data) if parts else ():
        if kind == "xmp":
            xmp += content
        elif kind == "manifest":
            manifest += content
        elif kind == "note":
            notes.append(content.decode("latin-1"))
    return Marks(_first(TYPE, xmp), bool(manifest), _first(TYPE_IN_MANIFEST, manifest), tuple(dict.fromkeys(notes)))


def _first(pattern: re.Pattern[bytes], text: bytes) -> str | None:
    found = pattern.search(text)
    return found.group(1).decode() if found else None


def _png(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield XMP, manifest (chunk caBX) and notes of a PNG."""
    at = 8
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + size]
        at += size + 12
        if kind == b"caBX":
            yield "manifest", body
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            keyword, _, rest = body.partition(b"\0")
            if keyword.decode("latin-1") in NOTES:
                yield "note", keyword
            elif keyword == XMP.encode():
                yield "xmp", _text(kind, rest)


def _text(kind: bytes, rest: bytes) -> bytes:
    """Return a text chunk's text, behind its keyword."""
    if kind == b"tEXt":
        return rest
    if kind == b"zTXt":
        return _unpacked(rest[1:])
    packed, fields = rest[:1] == b"\1", rest[2:].split(b"\0", 2)  # language, translated keyword, text
    return (_unpacked(fields[2]) if packed else fields[2]) if len(fields) == 3 else b""


def _unpacked(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, LONGEST)
    except zlib.error:
        return b""


def _jpeg(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield XMP (APP1) and manifest (JUMBF boxes in APP11) of a JPEG, up to its pixels."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        size = int.from_bytes(data[at + 2 : at + 4])
        marker, body = data[at + 1], data[at + 4 : at + 2 + size]
        at += 2 + size
        if marker == 0xE1 and body.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
            yield "xmp", body
        elif marker == 0xEB and body.startswith(b"JP") and (b"jumb" in body[:32] or b"c2pa" in body):
            yield "manifest", body[8:]


def _webp(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield XMP and manifest (chunk C2PA) of a WebP."""
    at = 12
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
        if kind in (b"XMP ", b"C2PA"):
            yield ("xmp" if kind == b"XMP " else "manifest"), body
