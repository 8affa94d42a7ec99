"""Peak memory of an audit: 5,000 and 25,000 made images of 64 pixels beside 800 real ones, each in a process of its own.

    python benchmarks/audit_memory.py [--rows 5000,25000]

Random pictures as JPEGs in WebDataset tars, audited as ``germline audit`` does, from decoding to findings, but with pixels as the inner
features instead of EfficientNet, which takes most of the time and holds 250 images at once whatever their number. Prints the peak of
resident memory, mapped files counted, above that before the first image was read, and the bytes that the images would take in memory.
"""

from __future__ import annotations

import argparse
import io
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SIDE, REAL, TAR = 64, 800, 5_000


def write_tars(folder: Path, rows: int, seed: int) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for number in range(-(-rows // TAR)):
        with tarfile.open(folder / f"{number:05d}.tar", "w") as tar:
            for row in range(min(TAR, rows - number * TAR)):
                small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
                file = io.BytesIO()
                small.save(file, "JPEG", quality=90)
                member = tarfile.TarInfo(f"{row:06d}.jpg")
                member.size = len(file.getvalue())
                tar.addfile(member, io.BytesIO(file.getvalue()))


def peak() -> float:
    """Return the peak of resident memory so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def audit_one(folder: Path) -> None:
    from germline import standard
    from germline.audit.audit import audit
    from germline.audit.inputs import inputs
    from germline.core.cache import Cache
    from germline.core.context import Context
    from germline.features import Pixels
    from germline.pools import shards_of

    standard.installed = Pixels
    before, start = peak(), time.process_time()
    given = inputs(shards_of(f"{folder}/real"), shards_of(f"{folder}/made"), None, folder / "work")
    decoded = peak()
    ctx = Context(0, 0, given.data, cache=Cache(folder / "work" / "features"))
    audit(given.data, given.made, ctx, folder=folder / "work" / "copies")
    cells = f"{before:.0f} MB | {decoded - before:.0f} MB | {peak() - before:.0f} MB | {time.process_time() - start:.0f} s"
    print(f"| {len(given.made):,} | {len(given.made) * SIDE * SIDE * 3 / 2**20:.0f} MB | {cells} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="5000,25000")
    parser.add_argument("--one", type=Path)
    flags = parser.parse_args()
    if flags.one:
        return audit_one(flags.one)
    print(
        "| made images | their pixels | before | decoded, above | whole audit, above | processor |\n|---|---|---|---|---|---|", flush=True
    )
    for rows in map(int, flags.rows.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            write_tars(Path(folder) / "real", REAL, 0)
            write_tars(Path(folder) / "made", rows, 1)
            subprocess.run([sys.executable, __file__, "--one", folder], check=True)


if __name__ == "__main__":
    main()
