"""The store: what was put comes back, and damage is said, never passed on."""

import os
from pathlib import Path

import numpy as np
import pytest

from minisub.common.files import MinisubError, digest, read_json, write_file
from minisub.common.provenance import code_version
from minisub.common.store import Store


def test_what_was_put_comes_back(tmp_path: Path) -> None:
    store = Store(tmp_path)
    content = {"a": [1.5, None, "ü"], "b": {"c": True}}
    assert store.get("students", "k") is None
    store.put("students", "k", content)
    assert store.get("students", "k") == content
    arrays = {"flat": np.arange(12, dtype=np.float32).reshape(3, 4)}
    store.put_arrays("teachers", "k", arrays, {"seed": 1})
    found = store.get_arrays("teachers", "k")
    assert found is not None
    assert np.array_equal(found["flat"], arrays["flat"])
    assert [p.name for p in tmp_path.rglob(".*")] == []


@pytest.mark.parametrize("place", [0, 40, -3])
def test_a_flipped_byte_is_found_and_the_entry_kept(tmp_path: Path, place: int) -> None:
    store = Store(tmp_path)
    store.put("students", "k", {"logp": [0.1, 0.2], "task_accuracy": [0.5]})
    store.put_arrays("teachers", "k", {"flat": np.ones((2, 30), np.float32)}, {"seed": 1})
    for path in (tmp_path / "students/k.json", tmp_path / "teachers/k.safetensors"):
        raw = bytearray(path.read_bytes())
        raw[place] ^= 1
        path.write_bytes(raw)
        with pytest.raises(MinisubError, match=r"damaged.*delete it"):
            store.get("students", "k") if path.suffix == ".json" else store.get_arrays(
                "teachers", "k"
            )
        assert path.read_bytes() == bytes(raw)


def test_a_truncated_file_is_found(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put_arrays("bases", "k", {"flat": np.ones((1, 500), np.float32)}, {"seed": 1})
    path = tmp_path / "bases/k.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(MinisubError, match="damaged"):
        store.get_arrays("bases", "k")
    path.unlink()
    assert store.get_arrays("bases", "k") is None


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


def test_a_folder_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MinisubError, match="cannot write") as error:
        Store(tmp_path / "file").put("students", "k", {})
    assert "\n" not in str(error.value)


def test_keys_follow_content_and_code() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    assert code_version("minisub.world") != code_version("minisub.world", "minisub.transformer")
    with pytest.raises(ValueError, match="Out of range"):
        digest({"a": float("nan")})


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
