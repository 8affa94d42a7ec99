"""Other people's pickles: what they may hold, and that hostile ones run nothing."""

import collections
import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from germline.core import foreign
from germline.core.errors import BadInput

HERE = Path("weights.ckpt")


class Call:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def written(value, protocol=3) -> bytes:
    return pickle.dumps(value, protocol)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2", "u1", "<i8", "?"])
def test_arrays_come_back_as_they_were(protocol, dtype):
    x = (np.random.default_rng(0).normal(size=(3, 4, 5)) * 50).clip(0).astype(dtype)
    if protocol == 5:
        # numpy's protocol 5 goes through another function, for buffers outside the pickle: it is not on the list.
        with pytest.raises(BadInput, match=r"_frombuffer, which is not on the list"):
            foreign.arrays(written({"x": x}, protocol), HERE)
        return
    found = foreign.arrays(written({"a": {"x": x, "columns": np.asfortranarray(x)}}, protocol), HERE)
    assert list(found) == ["a/columns", "a/x"]
    for name in ("a/x", "a/columns"):
        np.testing.assert_array_equal(found[name], x)
        assert found[name].dtype == x.dtype.newbyteorder("=")
        assert found[name].flags.writeable


@pytest.mark.parametrize(
    ("hostile", "name"),
    [
        (lambda mark: Call(os.system, f"touch {mark}"), r"posix\.system|nt\.system"),
        (lambda mark: {"a": {"b": [Call(os.system, f"touch {mark}")]}}, r"posix\.system"),
        (lambda mark: Call(eval, f"open({str(mark)!r}, 'w')"), r"builtin\w*\.eval"),
        (lambda mark: Call(exec, f"open({str(mark)!r}, 'w')"), r"builtin\w*\.exec"),
        (lambda mark: Call(getattr, "x", "upper"), r"builtin\w*\.getattr"),
        (lambda mark: Call(np.load, str(mark)), r"numpy\.load"),
        (lambda mark: Call(np.fromfile, str(mark)), r"numpy\S*\.fromfile"),
        (lambda mark: collections.OrderedDict(a=Call(os.system, f"touch {mark}")), r"collections\.OrderedDict"),
        (lambda mark: np.array([Call(os.system, f"touch {mark}")], dtype=object), r"posix\.system|format"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_hostile_pickle_runs_nothing_and_is_named(hostile, name, protocol, tmp_path):
    mark = tmp_path / "it-ran"
    content = written({"weights": np.zeros(2), "more": hostile(mark)}, protocol)
    with pytest.raises(BadInput, match=rf"weights\.ckpt.*(?:{name})"):
        foreign.arrays(content, HERE)
    assert not mark.exists()


def test_the_hostile_pickle_would_have_run(tmp_path):
    """The positive control: Python's own reader runs it."""
    mark = tmp_path / "it-ran"
    pickle.loads(written(Call(os.system, f"touch {mark}")))
    assert mark.exists()


DOUBLE = b"cnumpy\nndarray\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", r"os\.system"),
        (b"(S'true'\nios\nsystem\n.", r"os\.system"),
        (b"\x80\x04\x8c\x05numpy\x8c\x0bload.system\x93.", r"numpy\.load\.system"),
        (b"\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93.", r"numpy\.ndarray\.__class__"),
        (DOUBLE + b"(tR.", "calls ndarray as weights never do"),
        (b"cnumpy\ndtype\n(S'O8'\ntR.", "no plain number"),
        (DOUBLE + b"}S'a'\nI1\nsb.", "refused"),
        (DOUBLE + b"(N}S'__call__'\nI1\nst" + b"b.", "sets __call__ of ndarray"),
        (b"S'elsewhere'\nQ.", "points outside itself"),
        (b"\x82\x01.", "refused"),
        (b"}r\xff\xff\xff\xff.", "place 4294967295 of a memory"),
        (b"}(" + b"N0" * 600_000 + b"d.", "more than 1000000 instructions"),
        (b"}q\x00S'me'\nh\x00s.", "should hold arrays in nested dictionaries, but at me it holds a dict"),
        (written([np.zeros(3)]), "at its top it holds a list"),
        (written({1: np.zeros(3)}), "nested dictionaries"),
        (written({"a": 3}), "at a it holds a int"),
        (written({"a": np.zeros(3)})[:-20], "weights.ckpt"),
        (written({"a": np.zeros(3)}).replace(b"K\x03\x85", b"K\x07\x85"), r"an array of shape \(7,\) in float64 needs 56 bytes, but 24"),
        (b"", "no whole pickle"),
        (b"no pickle at all", "no whole pickle"),
    ],
)
def test_broken_and_crooked_pickles_are_refused(content, says):
    with pytest.raises(BadInput, match=says):
        foreign.arrays(content, HERE)


def saved(value) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def test_checkpoints_give_their_tensors():
    state = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.count": torch.tensor(3)}
    found = foreign.tensors(saved(collections.OrderedDict(state)), HERE)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)


def test_hostile_checkpoints_run_nothing_and_are_named(tmp_path):
    mark = tmp_path / "it-ran"
    with pytest.raises(BadInput, match=r"weights\.ckpt is refused: it asks for \S*system"):
        foreign.tensors(saved({"a": torch.zeros(2), "b": Call(os.system, f"touch {mark}")}), HERE)
    legacy = io.BytesIO()
    torch.save({"a": Call(eval, f"open({str(mark)!r}, 'w')")}, legacy, _use_new_zipfile_serialization=False)
    with pytest.raises(BadInput, match=r"weights\.ckpt is refused: .*eval"):
        foreign.tensors(legacy.getvalue(), HERE)
    assert not mark.exists()


def test_a_checkpoint_that_unpacks_to_too_much_is_not_unpacked(monkeypatch):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(10 << 20))
    monkeypatch.setattr(foreign, "LIMIT", 1 << 20)
    assert len(file.getvalue()) < 1 << 20
    with pytest.raises(BadInput, match="unpacks to 10485760 bytes"):
        foreign.tensors(file.getvalue(), HERE)


@pytest.mark.parametrize("value", [torch.zeros(3), {"a": 3}, {1: torch.zeros(1)}])
def test_a_checkpoint_without_named_tensors_is_refused(value):
    with pytest.raises(BadInput, match="should hold tensors by name"):
        foreign.tensors(saved(value), HERE)
    with pytest.raises(BadInput, match="is refused: it cannot be read"):
        foreign.tensors(b"rubbish", HERE)


def test_a_file_is_checked_before_it_is_opened(tmp_path, monkeypatch):
    path = tmp_path / "w.pth"
    path.write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # sha256("abc"), FIPS 180-2
    assert foreign.verified(path, known, "Inception") == b"abc"
    assert foreign.verified(path, None, "Inception") == b"abc"
    with pytest.raises(BadInput, match=rf"Inception: \S*w.pth is not the file .* should be {'0' * 64}, but is {known}"):
        foreign.verified(path, "0" * 64, "Inception")
    with pytest.raises(BadInput, match="there is no .*gone.pth; give the path"):
        foreign.verified(tmp_path / "gone.pth", None, "Inception")
    monkeypatch.setattr(foreign, "LIMIT", 2)
    with pytest.raises(BadInput, match="has 3 bytes, and no weights file above 2"):
        foreign.verified(path, None, "Inception")


def test_large_files_are_mapped_and_their_tensors_found_under_a_key(tmp_path):
    state = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1, 2])}
    for name, held in (("flat.pt", state), ("nested.pt", {"epoch": 3, "state_dict": collections.OrderedDict(state)})):
        (tmp_path / name).write_bytes(saved(held))
        found = foreign.large(tmp_path / name, "HPS", under="state_dict")
        assert found.keys() == state.keys()
        assert all(torch.equal(found[key], state[key]) for key in state)
    legacy = io.BytesIO()
    torch.save(state, legacy, _use_new_zipfile_serialization=False)
    (tmp_path / "old.pth").write_bytes(legacy.getvalue())
    assert foreign.large(tmp_path / "old.pth", "HPS").keys() == state.keys()
    save_file(state, tmp_path / "w.safetensors")
    assert torch.equal(foreign.large(tmp_path / "w.safetensors", "HPS")["b"], state["b"])


def test_large_files_are_checked_before_they_are_opened(tmp_path, monkeypatch):
    mark, path = tmp_path / "it-ran", tmp_path / "w.pt"
    path.write_bytes(saved({"state_dict": Call(os.system, f"touch {mark}")}))
    with pytest.raises(BadInput, match=r"w\.pt is refused: it asks for \S*system"):
        foreign.large(path, "HPS", under="state_dict")
    assert not mark.exists()
    with pytest.raises(BadInput, match="HPS: .*w.pt is not the file that was expected"):
        foreign.large(path, "HPS", checksum="0" * 64)
    path.write_bytes(saved({"state_dict": {"a": 3}}))
    with pytest.raises(BadInput, match="should hold tensors by name"):
        foreign.large(path, "HPS", under="state_dict")
    (tmp_path / "w.safetensors").write_bytes(b"rubbish")
    with pytest.raises(BadInput, match="no whole safetensors file"):
        foreign.large(tmp_path / "w.safetensors", "HPS")
    with pytest.raises(BadInput, match="HPS: there is no .*gone.pt; give the path"):
        foreign.large(tmp_path / "gone.pt", "HPS")
    with pytest.raises(BadInput, match="is a folder; name the file"):
        foreign.large(tmp_path, "HPS")
    monkeypatch.setattr(foreign, "LARGE", 100)
    with pytest.raises(BadInput, match="no weights file above 100 is opened"):
        foreign.large(path, "HPS")
