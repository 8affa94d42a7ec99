"""Large files are hashed once, and again as soon as anything about them changed."""

import os

from germline.core import digest, known_hashes


def test_a_large_file_is_read_once_and_again_when_it_changed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(known_hashes, "LARGE", 10)
    read = []

    def of_file(path):
        read.append(path.name)
        return digest.of_file(path)

    large, little = tmp_path / "large", tmp_path / "little"
    large.write_bytes(b"0123456789")
    little.write_bytes(b"1")
    for path in (large, little, large, little):
        assert known_hashes.remembered(path, of_file) == digest.of_file(path)
    assert read == ["large", "little", "little"]
    before = large.stat()
    large.write_bytes(b"9876543210")
    os.utime(large, ns=(before.st_atime_ns, before.st_mtime_ns))  # the old date, another content
    assert known_hashes.remembered(large, of_file) == digest.of_file(large)
    for note in (tmp_path / "cache" / "germline" / "hashes").iterdir():
        note.write_text("damaged")
    assert known_hashes.remembered(large, of_file) == digest.of_file(large)


def test_a_home_that_cannot_be_written_costs_time_only(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(known_hashes, "LARGE", 1)
    (tmp_path / "file").write_bytes(b"abc")
    assert known_hashes.remembered(tmp_path / "file", digest.of_file) == digest.of_bytes(b"abc")
