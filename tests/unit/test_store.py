"""The store: what was put comes back, under keys that follow content and code.

Damage is in `system/test_faults.py`.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from minisub.common import provenance
from minisub.common.files import MinisubError, digest, read_json, write_file
from minisub.common.provenance import code_version
from minisub.common.store import Store


def test_what_was_put_comes_back(tmp_path: Path) -> None:
    store = Store(tmp_path)
    content = {"a": [1.5, None, "ü"], "b": {"c": True}}
    assert store.get("students", "k") is None
    assert store.get_arrays("teachers", "k") is None
    store.put("students", "k", content)
    assert store.get("students", "k") == content
    arrays = {"flat": np.arange(12, dtype=np.float32).reshape(3, 4)}
    store.put_arrays("teachers", "k", arrays, {"seed": 1})
    found = store.get_arrays("teachers", "k")
    assert found is not None
    assert np.array_equal(found["flat"], arrays["flat"])
    assert [p.name for p in tmp_path.rglob(".*")] == []


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.json"
    write_file(path, b'{"old": 1}')

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MinisubError, match="No space left"):
        write_file(path, b'{"new": 1}')
    assert read_json(path) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_digests_follow_content() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    with pytest.raises(ValueError, match="Out of range"):
        digest({"a": float("nan")})


@pytest.mark.parametrize("file", ["world/world.py", "transformer/kernel.c"])
def test_keys_follow_every_byte_of_the_code(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of Python and of C, named by its package or by itself; and of nothing else."""
    for name in ("world/world.py", "transformer/kernel.c", "results/result.py"):
        (tmp_path / name).parent.mkdir()
        shutil.copy(provenance.PACKAGE / name, tmp_path / name)
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    version = code_version.__wrapped__  # it keeps its answers otherwise
    sources = ("minisub.transformer", "minisub.world.world")
    before = version(*sources)
    assert before == version(*sources)
    with (tmp_path / "results/result.py").open("a") as other:
        other.write("\n")
    assert version(*sources) == before
    raw = bytearray((tmp_path / file).read_bytes())
    raw[-2] ^= 1
    (tmp_path / file).write_bytes(raw)
    assert version(*sources) != before


def test_the_default_folder_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINISUB_STORE", str(tmp_path / "here"))
    assert Store.default().folder == tmp_path / "here"
    monkeypatch.delenv("MINISUB_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Store.default().folder == tmp_path / "minisub"


def test_a_home_that_cannot_be_written_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("where a folder should be")
    monkeypatch.delenv("MINISUB_STORE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store = Store.default()
    assert store.folder.parent == tmp_path
    assert store.folder.stat().st_mode & 0o077 == 0
    store.put("students", "k", {})
    assert Store.default().get("students", "k") == {}
    store.folder.rename(tmp_path / "away")
    store.folder.write_text("somebody else's")
    with pytest.raises(MinisubError, match="choose --store"):
        Store.default()
