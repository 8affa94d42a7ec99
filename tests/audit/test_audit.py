"""The audit of made images: holes are found where they are, the verdict follows, and the command tells all."""

import json
import os

import numpy as np
import pytest

from germline.audit import findings
from germline.audit.inputs import scratch_folder
from germline.audit.regions import missing_share, regions, shares
from germline.cli import main
from germline.core.errors import BadInput
from germline.data import fashion_mnist
from germline.pools import shards_of


def groups(counts, seed):
    """Rows around corners of a square, so many each."""
    draw = np.random.default_rng(seed)
    corners = np.array([[0, 0], [0, 20], [20, 0], [20, 20]])
    return np.concatenate([corner + draw.normal(size=(n, 2)) for corner, n in zip(corners, counts, strict=True)])


def test_a_missing_group_is_the_missing_region():
    found = regions(groups((60,) * 4, 0), groups((100,) * 4, 1), groups((130, 130, 130, 10), 2))
    lacking = [region for region in found if region.missing]
    assert [(region.real, region.made) for region in lacking] == [(100, 10)]
    assert lacking[0] is found[0]
    assert lacking[0].expected == pytest.approx(100)
    assert all(300 <= row < 400 for row in lacking[0].medoids)
    share, low, high = missing_share(found, 400)
    assert share == 0.25
    assert low < 0.25 < high


def test_equal_laws_have_no_missing_region():
    for seed in range(20):
        found = regions(groups((60,) * 4, seed), groups((100,) * 4, seed + 50), groups((100,) * 4, seed + 100))
        assert not any(region.missing for region in found)


def test_few_made_rows_are_not_called_a_hole():
    assert not any(region.missing for region in regions(groups((60,) * 4, 0), groups((100,) * 4, 1), groups((1, 1, 1, 0), 2)))


def test_shares_leave_out_what_has_no_label():
    assert shares(np.array([0, 1, 1, -1]), 3).tolist() == pytest.approx([1 / 3, 2 / 3, 0])


def test_the_worst_finding_decides():
    good, look = findings.Finding("a", "good", ""), findings.Finding("b", "look", "")
    assert findings.worst([good, look, good]) == "look"
    assert findings.of_copies(0, 100, 0, 10_000, 0.008, 0.01).level == "good"
    assert findings.of_copies(11, 100, 0, 10_000, 0.008, 0.01).level == "bad"
    assert findings.of_copies(0, 300, 0, 10_000, 0.027, 0.01).level == "bad"


def test_of_one_region_nothing_is_said():
    assert findings.of_regions(0, 1, 0.0).level == "look"
    assert findings.of_regions(0, 2, 0.0).level == "good"


def test_less_guidance_is_advised_where_there_was_some():
    told = {scale: findings.of_diversity(0.4, 0.9, 5, 10, scale).advice for scale in (None, 1.0, 3.0)}
    assert told[None].startswith("If they were sampled with guidance")
    assert "it is not that" in told[1.0]
    assert "less guidance than 3" in told[3.0]
    assert findings.of_diversity(0.9, 0.9, 10, 10, 3.0).advice == ""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Fresh rows of seven of eight kinds of clothes, three byte copies, two flipped ones, and a negative."""
    folder, data = tmp_path_factory.mktemp("audit"), fashion_mnist()
    real, fresh = data.reserve, data.judge.take(data.judge.condition != 7)
    images = fresh.images[:600]
    images[:3], images[3:5], images[5] = (
        real.images[:3],
        real.images[10:12][:, :, ::-1],
        255 - images[5],
    )
    np.savez(folder / "real.npz", images=real.images[:1200])
    np.savez(folder / "made.npz", images=images)
    return folder


def test_the_command_finds_what_was_planted(made, capsys):
    assert main(["audit", "--real", f"{made}/real.npz", "--made", f"{made}/made.npz", "--out", f"{made}/a.html", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    named = [(f"{made}/made.npz#{a}", f"{made}/real.npz#{b}") for a, b in ((0, 0), (1, 1), (2, 2), (3, 10), (4, 11))]
    assert [(pair["made"], pair["real"]) for pair in said["copies"]["exact"]] == named[:3]
    assert set(named[3:]) <= {(pair["made"], pair["real"]) for pair in said["copies"]["near"]}
    assert f"{made}/made.npz#5" in [row["made"] for row in said["odd"][:3]]
    assert said["verdict"] == "bad"
    assert said["rows"] == {"real": 1200, "made": 600}
    assert said["classes"] is None
    levels = {finding["about"]: finding["level"] for finding in said["findings"]}
    assert levels["Copies of real rows"] == "bad"
    assert levels["Diversity"] == levels["Repeats"] == "good"
    page = (made / "a.html").read_text()
    assert "Do not train on these images as they are." in page
    assert "<script" not in page
    assert page.count("<img") >= 3 + 2 + 50


def test_what_killed_audits_left_goes(made, tmp_path):
    pools = [shards_of(f"{made}/real.npz"), shards_of(f"{made}/made.npz")]
    folder = None

    def killed():
        nonlocal folder
        with scratch_folder(tmp_path, pools, None, False) as folder:
            folder.mkdir()
            (folder / "images-1").touch()
            with pytest.raises(BadInput, match="another process"), scratch_folder(tmp_path, pools, None, False):
                pass
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed()
    with scratch_folder(tmp_path, pools[::-1], None, False):
        assert (folder / "images-1").exists()  # it may go on
    for path in (folder, folder.with_suffix(".lock")):
        os.utime(path, (0, 0))
    with scratch_folder(tmp_path, pools[::-1], None, False):
        assert not folder.exists()
    assert not list((tmp_path / "audits").iterdir())


def test_fresh_rows_pass(made, capsys, tmp_path):
    np.savez(tmp_path / "fresh.npz", images=fashion_mnist().judge.images[1000:1600])
    assert main(["audit", "--real", f"{made}/real.npz", "--made", f"{tmp_path}/fresh.npz", "--json"]) == 0
    levels = {finding["about"]: finding["level"] for finding in json.loads(capsys.readouterr().out)["findings"]}
    assert "bad" not in levels.values()
    assert levels["Coverage holes"] == levels["Strange rows"] == levels["Memorisation"] == "good"


def test_a_dry_run_computes_nothing(made, capsys):
    assert main(["audit", "--real", f"{made}/real.npz", "--made", f"{made}/made.npz", "--out", f"{made}/b.html", "--dry-run"]) == 0
    assert "1,200 real and 600 made images of 28 x 28 x 1" in capsys.readouterr().out
    assert main(["audit", "--real", f"{made}/real.npz", "--made", f"{made}/made.npz", "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["bytes_on_disk"] > 1800 * 784
    assert told["seconds"] > 0
    assert not (made / "b.html").exists()


def test_what_a_user_can_do_wrong(made, tmp_path, capsys):
    np.savez(tmp_path / "large.npz", images=np.zeros((150, 32, 32, 1), np.uint8))
    np.savez(tmp_path / "few.npz", images=np.zeros((9, 28, 28, 1), np.uint8))
    for arguments, words in (
        (["--made", f"{made}/made.npz"], "Name the real and the made images"),
        (["--real", f"{made}/real.npz", "--made", f"{tmp_path}/large.npz"], "--size 28"),
        (["--real", f"{made}/real.npz", "--made", f"{tmp_path}/few.npz"], "at least 20 rows"),
        (["--real", f"{made}/real.npz", "--made", f"{made}/made.npz", "--out", str(tmp_path)], "is a folder"),
        (["--real", f"{made}/real.npz", "--made", f"{made}/made.npz", "--out", "s3://bucket/a.html"], "is an address"),
    ):
        assert main(["audit", *arguments]) == 1
        assert words in capsys.readouterr().err
