"""Choosing from pools: seconds and peak memory of ``germline select``, killed and run again, and that the kill changes nothing.

    python benchmarks/pool_select.py features [--rows 1000000 --dim 384 --picks 50000 --kill-after 60]
    python benchmarks/pool_select.py tars [--rows 100000 --picks 5000]
    python benchmarks/pool_select.py [exact] [--rows 2100000 --dim 32 --picks 2000]

"features": float16 embeddings in files of 100,000 rows, 2,000 clusters of unequal size and a tenth of noise; farthest rows. "tars": JPEGs
of 64 pixels a side in WebDataset tars of 10,000; uniform, by pixels at 8 x 8 and farthest. "exact": the search in parts, as above 2,000,000
rows, beside one search over all; how far apart the picks are, and how far a sample's rows lie from them. All lie in --folder
(runs/pool_select), made once.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

FILE, TAR = 100_000, 10_000


def write_features(folder: Path, rows: int, dim: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(2000, dim)).astype(np.float32)
    share = rng.dirichlet(np.full(2000, 0.3))
    for number in range(-(-rows // FILE)):
        path, count = folder / f"embeddings_{number:03d}.npy", min(FILE, rows - number * FILE)
        if path.exists():
            continue
        x = centres[rng.choice(2000, count, p=share)] + 0.4 * rng.normal(size=(count, dim)).astype(np.float32)
        noise = rng.random(count) < 0.1
        x[noise] = 1.2 * rng.normal(size=(int(noise.sum()), dim))
        np.save(path, x.astype(np.float16))


def write_tars(folder: Path, rows: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(-(-rows // TAR)):
        path = folder / f"{number:05d}.tar"
        if path.exists():
            continue
        with tarfile.open(path, "w") as tar:
            for row in range(min(TAR, rows - number * TAR)):
                small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize((64, 64), Image.Resampling.BICUBIC)
                file = io.BytesIO()
                small.save(file, "JPEG", quality=90)
                for name, content in ((f"{row:06d}.jpg", file.getvalue()), (f"{row:06d}.txt", f"picture {row}".encode())):
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))


def run(arguments: list[str], kill_after: float | None = None) -> tuple[float, float, str]:
    """Return seconds, peak resident GB (mapped files counted) and what was printed; a killed one prints nothing."""
    start, peak = time.monotonic(), [0]
    process = subprocess.Popen([sys.executable, "-m", "germline.cli", "select", *arguments], stdout=subprocess.PIPE, text=True)

    def watch() -> None:
        seen = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                peak[0] = max(peak[0], seen.memory_info().rss)
            except psutil.Error:
                return
            if kill_after is not None and time.monotonic() - start > kill_after:
                os.kill(process.pid, signal.SIGKILL)
                return
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    told, _ = process.communicate()
    watcher.join()
    return time.monotonic() - start, peak[0] / 1e9, told.strip()


def shown(name: str, found: tuple[float, float, str]) -> None:
    print(f"{name}: {found[0]:.0f} s, peak {found[1]:.2f} GB, load {os.getloadavg()[0]:.1f}  {found[2]}", flush=True)


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def beside_exact(folder: Path, picks: int) -> None:
    """Print separation, covering radius (of a fixed sample) and CPU seconds of the search in parts and of the one over all rows."""
    from germline.core.neighbours import nearest
    from germline.core.progress import bars
    from germline.pools import shards_of
    from germline.pools.density import sampled
    from germline.pools.spread import LIMIT, Search
    from germline.pools.work import Work, do

    opened, work = shards_of(str(folder / "features")), Work(folder / "exact")
    do(work, opened, bars)
    count = opened.count or 0
    ends = np.cumsum([shard.count for shard in opened.shards])
    features = work.stacked(opened, np.split(np.arange(count), ends[:-1]))
    sample = features[sampled(count)]
    radii = []
    for name, limit in (("in parts", LIMIT), ("exact", count)):
        start = time.process_time()
        found = Search("farthest", picks, folder / "exact", opened.digest, limit=limit)(features, bars)
        spent, apart = time.process_time() - start, float(found.distances[1:].min())
        radii.append(float(nearest(sample, features[found.rows])[1].max()))
        print(f"{name}: separation {apart:.4f}, radius {radii[-1]:.4f}, ratio {radii[-1] / apart:.3f}, {spent:.0f} CPU s", flush=True)
    print(f"radius in parts over exact: {radii[0] / radii[1]:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["features", "tars", "exact"], default="exact")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--dim", type=int)
    parser.add_argument("--picks", type=int)
    parser.add_argument("--kill-after", type=float, default=60)
    parser.add_argument("--folder", type=Path, default=Path("runs/pool_select"))
    flags = parser.parse_args()
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    if flags.what == "tars":
        pool = flags.folder / "tars"
        write_tars(pool, flags.rows or 100_000)
        common = ["--pool", str(pool), "--n", str(flags.picks or 5_000), "--extractor", "pixels", "--size", "8", "--half", "--json"]
        shown("tars, farthest", run([*common, "--out", str(flags.folder / "of_tars"), "--shards", str(flags.folder / "new_tars")]))
        shown("again", run([*common, "--out", str(flags.folder / "of_tars")]))
        return
    usual = (2_100_000, 32, 2_000) if flags.what == "exact" else (1_000_000, 384, 50_000)
    rows, dim, picks = (given or other for given, other in zip((flags.rows, flags.dim, flags.picks), usual, strict=True))
    folder = flags.folder / f"{rows}x{dim}"
    write_features(folder / "features", rows, dim)
    if flags.what == "exact":
        return beside_exact(folder, picks)
    common = ["--pool", str(folder / "features"), "--n", str(picks), "--json"]
    killed, whole = folder / "killed", folder / "whole"
    shown("killed", run([*common, "--out", str(killed)], flags.kill_after))
    left = [len(np.load(path)["picks"]) for path in (killed / "unfinished").glob("*.npz")]
    print(json.dumps({"picks that were saved": left}), flush=True)
    shown("resumed", run([*common, "--out", str(killed)]))
    shown("whole", run([*common, "--out", str(whole)]))
    print(json.dumps({"the same rows": sha(killed / "chosen.parquet") == sha(whole / "chosen.parquet")}), flush=True)


if __name__ == "__main__":
    main()
