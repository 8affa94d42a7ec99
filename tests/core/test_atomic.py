"""What killed processes left goes; what a living one writes stays."""

import os
import subprocess

from germline.core.atomic import new_folder, remove_abandoned


def test_only_old_temporaries_of_the_dead_are_removed(tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    dead, young, living, other = (
        tmp_path / name for name in (f".a.{gone.pid}.tmp", f".b.{gone.pid}.tmp", f".c.{os.getpid()}.tmp", ".d.tmp")
    )
    for path in (dead, young, living, other):
        path.touch()
    for path in (dead, living, other):
        os.utime(path, (0, 0))
    remove_abandoned(tmp_path)
    assert [path.exists() for path in (dead, young, living, other)] == [False, True, True, True]


def test_a_new_folder_takes_the_place_of_one_that_a_kill_left(tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = tmp_path / f".out.{gone.pid}.tmp"
    left.mkdir()
    (left / "x").touch()
    os.utime(left, (0, 0))
    with new_folder(tmp_path / "out") as folder:
        (folder / "y").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
