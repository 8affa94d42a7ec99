"""A pool of unknown origin: the lower bound holds in closed form and sees what can be seen; marks are counted; errors help."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from scipy.stats import beta, binom

from germline.audit.share import unlike, upper
from germline.cli import main
from germline.core.errors import BadInput
from germline.data.marks import marks_of_made


def gaussian(seed, n, shift=0.0, d=4):
    rows = np.random.default_rng(seed).normal(size=(n, d))
    rows[:, 0] += shift
    return rows


def test_upper_is_clopper_and_pearson():
    assert upper(3, 50, 0.01) == pytest.approx(beta.ppf(0.99, 4, 47))
    assert binom.cdf(3, 50, upper(3, 50, 0.01)) == pytest.approx(0.01)
    assert upper(50, 50, 0.01) == 1


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5])
@pytest.mark.parametrize("shift", [0.5, 3.0, 8.0])
def test_bound_is_below_the_planted_share(share, shift):
    made, wrong = round(share * 1000), 0
    for seed in range(40):
        pool = np.concatenate([gaussian(2 * seed, 1000 - made), gaussian(10_000 + seed, made, shift)])
        wrong += unlike(gaussian(2 * seed + 1, 1000), pool).low > share
    assert wrong <= 5  # of 40 at 5 %, more has probability 0.014


def test_bound_is_near_a_share_that_is_plain_to_see():
    pool = np.concatenate([gaussian(0, 2000), gaussian(1, 2000, 8.0)])
    found = unlike(gaussian(2, 4000), pool)
    assert 0.42 < found.low <= 0.5
    assert found.visible < 0.03


def test_too_little_says_what_to_do():
    with pytest.raises(BadInput, match="at least 40 real rows"):
        unlike(gaussian(0, 39), gaussian(1, 100))
    with pytest.raises(BadInput, match="both as embeddings"):
        unlike(gaussian(0, 99), gaussian(1, 99, d=3))


@pytest.fixture
def pool(tmp_path):
    folder, draw = tmp_path / "pool", np.random.default_rng(0)
    folder.mkdir()
    notes = PngInfo()
    notes.add_text("parameters", "a cat")
    for number in range(60):
        info = marks_of_made() if number < 3 else notes if number < 5 else None
        picture = Image.fromarray(draw.integers(0, 255, (8, 8 + number % 2, 3), dtype=np.uint8))
        picture.save(folder / f"{number}.png", pnginfo=info)
    return folder


def test_marks_are_counted_exactly(pool, capsys):
    before = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in pool.iterdir()}
    assert main(["audit", "--pool", str(pool), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["marks"]["made"] == 5
    assert found["marks"]["kinds"] == {"XMP: trainedAlgorithmicMedia": 3, "PNG: parameters": 2}
    assert (found["rows"], found["marks"]["none"], found["unlike"]) == (60, 55, None)
    assert {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in pool.iterdir()} == before


def test_pool_of_marked_rows_alone_has_nothing_to_compare(pool, tmp_path, capsys):
    for file in pool.iterdir():
        if int(file.stem) > 4:
            file.unlink()
    page = tmp_path / "page.html"
    assert main(["audit", "--pool", str(pool), "--real", str(pool), "--out", str(page)]) == 0
    assert "By their marks 5 of 5 rows are made" in capsys.readouterr().out
    assert "By their marks 5 of 5 rows are made" in page.read_text()


def test_embeddings_beside_real_ones(tmp_path, capsys):
    np.save(tmp_path / "real.npy", gaussian(0, 600).astype(np.float32))
    np.save(tmp_path / "pool.npy", np.concatenate([gaussian(1, 300), gaussian(2, 300, 8.0)]).astype(np.float32))
    page = tmp_path / "page.html"
    assert main(["audit", "--pool", str(tmp_path / "pool.npy"), "--real", str(tmp_path / "real.npy"), "--out", str(page), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert 0.3 < found["unlike"]["low"] <= 0.5
    assert found["made_share"] is None
    assert "cannot tell" in page.read_text()


def test_pool_goes_with_real_rows(pool, capsys):
    assert main(["audit", "--pool", str(pool), "--made", str(pool)]) != 0
    assert "--pool goes with --real" in capsys.readouterr().err
    inside = Path(pool) / "page.html"
    assert main(["audit", "--pool", str(pool), "--out", str(inside)]) != 0
    assert not inside.exists()
