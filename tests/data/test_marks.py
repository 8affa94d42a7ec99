"""What a file says of its origin is read from every place where programs write it, and what export writes is read back."""

import dataclasses
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from germline.core.pool import UNKNOWN, Pool
from germline.data import marks
from germline.data.export import export
from germline.data.marks import PACKET, VOCABULARY, Marks

PLAIN = Image.new("RGB", (8, 8), "red")
ELEMENT = f"<rdf:Description><Iptc4xmpExt:DigitalSourceType>{VOCABULARY}digitalCapture</Iptc4xmpExt:DigitalSourceType></rdf:Description>"
RESOURCE = f'<Iptc4xmpExt:DigitalSourceType rdf:resource="{VOCABULARY}compositeWithTrainedAlgorithmicMedia"/>'
CLAIM = b"\xa1\x71digitalSourceType\x78\x46" + f"{VOCABULARY}trainedAlgorithmicMedia".encode()
BOX = struct.pack(">I4sI4s", 60 + len(CLAIM), b"jumb", 36, b"jumd") + b"c2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71\x03c2pa\0" + CLAIM


def saved(kind, **options):
    file = io.BytesIO()
    PLAIN.save(file, kind, **options)
    return file.getvalue()


def with_chunk(png, kind, body):
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return png[:33] + chunk + png[33:]  # behind IHDR


def with_text(key, text, packed=False):
    info = PngInfo()
    info.add_text(key, text, packed)
    return saved("PNG", pnginfo=info)


def manifest_in_jpeg():
    body = b"JP" + struct.pack(">HI", 1, 1) + BOX
    jpeg = saved("JPEG")
    return jpeg[:2] + b"\xff\xeb" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize(
    ("packet", "term", "origin"),
    [
        (PACKET, "trainedAlgorithmicMedia", "made"),
        (ELEMENT, "digitalCapture", "taken"),
        (RESOURCE, "compositeWithTrainedAlgorithmicMedia", "made"),
        ("<x/>", None, "unknown"),
    ],
)
def test_xmp_as_pillow_writes_it(kind, packet, term, origin):
    found = marks.read(saved(kind, xmp=packet.encode()))
    assert (found.xmp, found.origin) == (term, origin)


@pytest.mark.parametrize("packed", [False, True])
def test_xmp_in_png(packed):
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", ELEMENT, zip=packed)
    assert marks.read(saved("PNG", pnginfo=info)) == Marks(xmp="digitalCapture")


@pytest.mark.parametrize("data", [manifest_in_jpeg(), with_chunk(saved("PNG"), b"caBX", BOX)])
def test_manifests(data):
    assert marks.read(data) == Marks(manifest=True, manifest_type="trainedAlgorithmicMedia")
    assert marks.read(data).origin == "made"
    Image.open(io.BytesIO(data)).load()  # the file is one that others open


def test_a_manifest_without_a_source_type_says_nothing_of_the_origin():
    found = marks.read(with_chunk(saved("PNG"), b"caBX", BOX[:60]))
    assert found.manifest
    assert found.origin == "unknown"


@pytest.mark.parametrize("key", ["parameters", "workflow", "prompt"])
@pytest.mark.parametrize("packed", [False, True])
def test_notes_of_generators(key, packed):
    assert marks.read(with_text(key, "a cat\nSteps: 20, Sampler: Euler", packed)) == Marks(notes=(key,))


def test_other_texts_and_other_files_say_nothing():
    for data in (with_text("Comment", "parameters"), saved("PNG"), saved("JPEG"), saved("GIF"), b"", b"\x89PNG", b"prompt"):
        assert marks.read(data) == Marks()


def test_wherever_a_file_breaks_off_it_is_read_without_an_error():
    for whole in (manifest_in_jpeg(), with_text("prompt", "x", True), saved("WEBP", xmp=PACKET.encode())):
        for end in range(len(whole)):
            assert isinstance(marks.read(whole[:end]), Marks)


def test_a_text_that_unpacks_to_gigabytes_does_not():
    bomb = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(50 << 20))
    assert marks.read(with_chunk(saved("PNG"), b"iTXt", bomb)).origin == "unknown"


def test_exported_rows_say_what_they_are(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    parts = [Pool.of(images[[i]], generation=generation) for i, generation in enumerate((-1, UNKNOWN, 4))]
    export(dataclasses.replace(Pool.concat(parts)), ("all",), tmp_path / "out")
    files = sorted((tmp_path / "out" / "all").glob("*.png"))
    assert [marks.read(file.read_bytes()).origin for file in files] == ["unknown", "unknown", "made"]
    assert marks.read(files[2].read_bytes()).xmp == "trainedAlgorithmicMedia"
    assert np.array_equal(np.asarray(Image.open(files[2])), images[2])
