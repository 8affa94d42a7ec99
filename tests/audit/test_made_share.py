"""The made share: closed forms, coverage on planted shares, what is not like the known generators cannot be told; the verb on files."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy.stats import beta, norm

from germline.audit.made_share import Detector, adjusted, bounds, caught
from germline.audit.share import TAILS, visible
from germline.audit.traces import Traces, traces
from germline.cli import main
from germline.core.errors import BadInput
from germline.data.marks import marks_of_made

WIDTH = 6


def rows(seed, n, shift=None):
    """Return normal rows; made ones are moved."""
    return np.random.default_rng(seed).normal(size=(n, WIDTH)) + (0 if shift is None else shift)


def generator(seed, visible=4.0, spread=0.15):
    """Return where a generator moves its rows: about the same way as others, about as far."""
    draw = np.random.default_rng(1000 + seed)
    way = np.eye(WIDTH)[0] + spread * draw.normal(size=WIDTH)
    return way / np.linalg.norm(way) * (visible + spread * draw.normal())


def known(*seeds, n=500):
    return {f"g{seed}": rows(100 + seed, n, generator(seed)) for seed in seeds}


def planted(seed, share, shift, n=1500):
    made = round(share * n)
    return np.concatenate([rows(2 * seed, n - made), rows(2 * seed + 1, made, shift)])


def made_share(real, made, pool):
    return Detector.of(real, made).share(pool)


def test_of_known_rates_the_adjusted_count_is_the_share():
    real = np.array(TAILS)
    for share in (0.0, 0.01, 0.3, 1.0):
        flagged = (1 - share) * real + share * norm.cdf(1.7 + norm.ppf(real))
        assert adjusted(flagged, real, 1.7) == pytest.approx(np.full(len(TAILS), share), abs=1e-9)


def test_ends_with_endless_rows_are_the_share_over_what_is_seen_at_most_and_at_least():
    n, real, share, own = 10**9, np.array([0.05]), 0.2, 2.5
    flagged = (1 - share) * real + share * caught(own, real)
    low, high = bounds(flagged * n, n, real * n, n, 2.0, 0.01)
    excess = flagged - real
    assert low == pytest.approx(excess / (1 - real), rel=1e-3)
    assert high == pytest.approx(excess / (caught(2.0, real) - real), rel=1e-3)
    assert low < share < high


def test_ends_of_a_threshold_that_no_real_row_reaches_are_clopper_and_pearson():
    error = 0.01
    low, _ = bounds(np.array([30.0]), 100, np.array([0.0]), 10**9, np.inf, error)
    assert low[0] == pytest.approx(beta.ppf(error / 2, 30, 71), abs=1e-6)


def test_what_is_flagged_no_more_than_real_rows_has_no_upper_end():
    _, high = bounds(np.array([10.0]), 100, np.array([100.0]), 1000, -0.1, 0.01)
    assert high[0] == 1


def test_less_visible_rows_have_a_higher_limit():
    limits = [visible(1000, 1000, 0.001, caught(least, np.array(TAILS))) for least in (4.0, 2.0, 1.0, 0.0)]
    assert limits == sorted(limits)
    assert limits[0] == pytest.approx(visible(1000, 1000, 0.001), abs=0.01)
    assert limits[-1] == 1


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5])
def test_interval_covers_the_share_of_a_generator_of_their_kind_that_was_not_shown(share):
    wrong = told = 0
    for seed in range(12):
        first = 10 * seed
        found = made_share(rows(seed, 2000), known(*range(first, first + 4)), planted(500 + seed, share, generator(first + 9)))
        told += not found.why
        wrong += not found.low <= share <= found.high
        assert found.why or found.low <= found.estimate <= found.high
    assert wrong <= 2  # of 12 at 5 %, more has probability 0.02
    assert told >= 8


def test_generator_of_another_kind_cannot_be_told_and_the_lower_end_holds():
    other = 4.0 * np.eye(WIDTH)[3]
    for share in (0.3, 0.6):
        found = made_share(rows(1, 2000), known(1, 2, 3, 4), planted(7, share, other))
        assert "more rows look unlike" in found.why
        assert found.low <= share
        assert (found.high, found.estimate) == (1, None)


def test_real_rows_of_another_source_cannot_be_told():
    moved = rows(3, 1500, np.array([0, 0, 0, 3.0, 0, 0]))
    assert made_share(rows(1, 2000), known(1, 2, 3, 4), moved).why
    flipped = rows(3, 1500, np.array([-1.5, 0, 0, 0, 0, 0]))
    assert "fewer rows are flagged" in made_share(rows(1, 2000), known(1, 2, 3, 4), flipped).why


def test_few_or_unlike_generators_cannot_be_told():
    pool = planted(7, 0.3, generator(9))
    assert "no made row is known" in made_share(rows(1, 2000), {}, pool).why
    found = made_share(rows(1, 2000), known(1, 2), pool)
    assert "2 generators; three or more" in found.why
    assert 0 < found.low <= 0.3
    faint = {**known(1, 2), "faint": rows(5, 500, 0.2 * generator(3))}
    assert "may not be seen at all" in made_share(rows(1, 2000), faint, pool).why
    assert "2 generators" in made_share(rows(1, 2000), {**known(1, 2), "few": rows(0, 39)}, pool).why


def test_suspicion_sorts_made_rows_up():
    pool = planted(7, 0.5, generator(9))
    found = Detector.of(rows(1, 2000), known(1, 2, 3)).suspicion(pool)
    assert (found[750:] > 0).mean() > 0.9
    assert (found[:750] > 0).mean() == pytest.approx(0.05, abs=0.03)


def test_too_little_says_what_to_do():
    with pytest.raises(BadInput, match="at least 40 real rows"):
        made_share(rows(0, 39), known(1), rows(1, 100))
    with pytest.raises(BadInput, match="at least 40 unmarked rows"):
        made_share(rows(0, 99), known(1), rows(1, 39))
    with pytest.raises(BadInput, match="those of g1 6; give all as images"):
        made_share(rows(0, 99)[:, :4], known(1), rows(1, 100)[:, :4])


def test_traces_of_plain_images():
    """A grey area has no power and no residual; every neighbour is equal; a line of checks is all at the highest frequency."""
    flat = np.full((1, 16, 16, 1), 100, np.uint8)
    checks = flat + 50 * (np.indices((16, 16)).sum(0) % 2).astype(np.uint8)[None, :, :, None]
    from_flat, from_checks = traces(flat)[0], traces(checks)[0]
    assert (from_flat[:13] == np.log(1e-6)).all()
    assert from_checks[12] == pytest.approx(np.log(256 * (25 / 127.5) ** 2), abs=1e-3)  # Parseval: all of the variance at one frequency
    assert from_checks[0] == pytest.approx(np.log(1e-6), abs=1e-3)


def test_traces_do_not_depend_on_the_rows_beside_nor_on_grey_stored_as_colour():
    images = np.random.default_rng(0).integers(0, 255, (9, 12, 17, 1), dtype=np.uint8)
    whole = traces(images)
    assert traces(images[4:5])[0] == pytest.approx(whole[4])
    assert traces(images[::-1])[::-1] == pytest.approx(whole)
    with pytest.raises(BadInput, match="at least 8 pixels"):
        Traces()(_pool(images[:, :7]), None)


def _pool(images):
    from germline.core.pool import Pool

    return Pool.of(images)


def picture(draw, made):
    """Return a smooth picture; made ones are blurred more and never quite white."""
    image = draw.normal(size=(24, 24, 3)).cumsum(0).cumsum(1)
    image = (image - image.min()) / np.ptp(image)
    noise = 0.02 if made is None else 0.002 * (made + 1)
    return np.rint(255 * (0.98 * image + noise * draw.normal(size=image.shape)).clip(0, 1)).astype(np.uint8)


def folder(path, draw, n, made=None, marked=0):
    path.mkdir(parents=True)
    for number in range(n):
        Image.fromarray(picture(draw, made)).save(path / f"{number}.png", pnginfo=marks_of_made() if number < marked else None)


def test_the_verb_on_files(tmp_path, capsys):
    draw = np.random.default_rng(0)
    folder(tmp_path / "real", draw, 400)
    folder(tmp_path / "pool" / "a", draw, 100)
    folder(tmp_path / "pool" / "b", draw, 60, made=1.5, marked=10)
    (tmp_path / "pool" / "a" / "words.png").write_text("no picture")
    (tmp_path / "pool" / "gone").symlink_to("nowhere")
    for number in range(3):
        folder(tmp_path / "made" / f"g{number}", draw, 120, made=number)
    command = ["audit", "--pool", str(tmp_path / "pool"), "--real", str(tmp_path / "real"), "--made", str(tmp_path / "made")]
    assert main([*command, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["made"] == {"g0": 120, "g1": 120, "g2": 120}
    page = tmp_path / "page.html"
    assert main([*command, "--json", "--out", str(page)]) == 0
    found = json.loads(capsys.readouterr().out)
    share = found["made_share"]
    assert (found["rows"], found["no_rows"], found["not_decoded"], share["pool"]) == (161, 1, 1, 150)
    assert found["marks"]["made"] == 10
    assert share["why"] == ""
    assert share["low"] < 1 / 3 < share["high"]  # 50 of the 150 unmarked rows
    assert [one["name"] for one in share["seen"]] == ["g0", "g1", "g2"]
    text = page.read_text()
    assert "Known generators" in text
    assert "What looks made" in text
    for number in range(100):  # the same real pictures in another format
        (tmp_path / "pool" / "a" / f"{number}.png").unlink()
        Image.fromarray(picture(draw, None)).save(tmp_path / "pool" / "a" / f"{number}.jpg", quality=90)
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["made_share"]["why"].startswith("66% of the pool's files and 0% of the real ones are JPEG")
    for number in range(100):  # and stored in the first one again
        file = tmp_path / "pool" / "a" / f"{number}.jpg"
        Image.open(file).save(file.with_suffix(".png"))
        file.unlink()
    assert main([*command, "--json"]) == 0
    assert "bear the grid of a JPEG" in json.loads(capsys.readouterr().out)["made_share"]["why"]
    assert main(command[:5]) == 0  # known made rows from marks alone: 10 are too few
    told = capsys.readouterr().out
    assert "cannot tell" in told
    assert "were not looked at: 1." in told
    assert "hold no rows: 1." in told


def test_the_verb_says_what_it_needs(tmp_path, capsys):
    draw = np.random.default_rng(0)
    for name in ("real", "pool", "made"):
        folder(tmp_path / name, draw, 50, made=None if name == "real" else 1)
    command = ["audit", "--pool", str(tmp_path / "pool"), "--real", str(tmp_path / "real"), "--made", str(tmp_path / "made")]
    assert main([*command, "--out", str(tmp_path)]) != 0
    assert "is a folder; name a file" in capsys.readouterr().err
    assert main([*command, "--held-out", str(tmp_path / "real")]) != 0
    assert "nothing is held out" in capsys.readouterr().err
    assert main([*command, "--dry-run"]) == 0
    assert "Generators: loose files (50)." in capsys.readouterr().out
    assert main(command) == 0  # one generator tells nothing of others
    told = capsys.readouterr().out
    assert "of 1 generator; three or more" in told
    assert "At least" in told
