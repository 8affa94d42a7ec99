"""germline measure: other spaces added to a run, statistics written and measured against."""

import json
import re

import numpy as np
import pytest

from germline import registry
from germline.cli import main
from germline.metrics import RealShare

TINY = ["--data", "digits", "--images", "128", "--founder-images", "128", "--n", "120", "--steps", "2", "--channels", "16", "32"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measure") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "standard_metrics", lambda: [RealShare()])  # the classifier would have to be fitted
        assert main(["run", "replace", *TINY, "--generations", "1", "--out", str(folder)]) == 0
    return folder


def measured(capsys, *arguments):
    capsys.readouterr()
    assert main(["measure", *map(str, arguments), "--json"]) == 0
    return [{(v["name"], v["of"]): v for v in values} for values in json.loads(capsys.readouterr().out)["generations"]]


def refused(capsys, *arguments):
    capsys.readouterr()
    assert main(["measure", *map(str, arguments)]) == 1
    return capsys.readouterr().err


def test_another_space_is_added_to_the_run(run, capsys):
    found = measured(capsys, run, "--extractor", "pixels", "--pca", "8")
    assert {"FD-pca8-pixels", "coverage", "entropy", "generalisation_score"} <= {name for name, _ in found[1]}
    assert found == measured(capsys, run, "--extractor", "pca8-pixels")
    assert all(value["extractor"] == "pca8-pixels" for value in found[0].values() if "extractor" in value)
    main(["show", str(run), "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert {"FD-pca8-pixels", "real_share"} <= {value["name"] for value in shown["generations"][1]}, "beside what was measured before"


def test_statistics_go_out_and_in_again(run, tmp_path, capsys):
    file = tmp_path / "held-out.npz"
    assert main(["measure", str(run), "--extractor", "pixels", "--pca", "8", "--write-real", str(file)]) == 0
    assert "features of pca8-pixels" in capsys.readouterr().out
    to_file = measured(capsys, run, "--extractor", "pca8-pixels", "--real", file)
    to_rows = measured(capsys, run, "--extractor", "pca8-pixels")
    for there, here in zip(to_file, to_rows, strict=True):
        assert {name for name, _ in there} == {"FD-pca8-pixels@held-out"}
        for of in ("samples", "training", "reference"):
            assert there["FD-pca8-pixels@held-out", of]["value"] == pytest.approx(here["FD-pca8-pixels", of]["value"], rel=1e-9)
    real = tmp_path / "real.npz"
    assert main(["measure", str(run), "--extractor", "pca8-pixels", "--write-real", str(real), "--of", "real"]) == 0
    against = measured(capsys, run, "--extractor", "pca8-pixels", "--real", real)
    assert against[0]["FD-pca8-pixels@real", "reference"]["value"] == pytest.approx(0, abs=1e-6)


def test_what_cannot_be_compared_is_refused(run, tmp_path, capsys):
    wrong = tmp_path / "wrong.npz"
    np.savez(wrong, mu=np.zeros(2048), sigma=np.eye(2048))
    assert "holds statistics of 2048 features, but pixels gives 64" in refused(capsys, run, "--extractor", "pixels", "--real", wrong)
    assert "--real needs the space to measure in; name it with --extractor" in refused(capsys, run, "--real", wrong)
    assert "--pca needs the space to measure in" in refused(capsys, run, "--pca", "4")
    assert "There is no extractor 'pixel'. Did you mean pixels" in refused(capsys, run, "--extractor", "pixel")
    assert "Inception: there is no " in refused(capsys, run, "--extractor", f"inception:{tmp_path}/gone.pth", "--real", wrong)
    assert "There is no file" in refused(capsys, run, "--extractor", "pixels", "--real", tmp_path / "gone.npz")


def test_too_few_rows_leave_the_distance_out_and_name_the_cure(run, tmp_path, capsys):
    assert main(["measure", str(run), "--extractor", "bottleneck", "--json"]) == 0
    out, err = capsys.readouterr()
    assert re.search(r"more rows than the 128 features of bottleneck, but got 120; .* --pca 64", err)
    names = {value["name"] for value in json.loads(out)["generations"][0]}
    assert "coverage" in names
    assert not any(name.startswith("FD") for name in names)
    big = tmp_path / "big.npz"
    np.savez(big, mu=np.zeros(128), sigma=np.eye(128))
    assert "bottleneck is fitted on this data set" in refused(capsys, run, "--extractor", "bottleneck", "--real", big)
    assert "bottleneck reads the run's own generation 0" in refused(capsys, run, "--extractor", "bottleneck", "--write-real", big)


def test_fid_of_the_published_network_only(run, tmp_path, capsys):
    weights, wrong = tmp_path / "weights-inception-2015-12-05-6726825d.pth", tmp_path / "cifar10.npz"
    weights.write_bytes(b"another file under the published name")
    np.savez(wrong, mu=np.zeros(2048), sigma=np.eye(2048))
    said = refused(capsys, run, "--extractor", f"inception:{weights}", "--real", wrong)
    assert re.search(r"6726825d\.pth is not the file that was expected: its sha256 should be 6726825d\w{56}, but is \w{64}", said)
