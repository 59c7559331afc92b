"""Weights and results on disk: by content, written atomically, checked when read.

An entry's key is the hash of all that decides it (configuration, seed, source code), so an entry
is never out of date, only unused; bundled bases are found by their configuration alone. Arrays are
safetensors, the rest is JSON; nothing is pickled.
"""

import functools
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

Json = dict[str, Any]
Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]


class MinisubError(Exception):
    """Something that the user can mend; its text is one line."""


def canonical(content: object) -> str:
    """JSON text that is the same for equal content."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(content: object) -> str:
    """SHA-256 of bytes, or of the canonical JSON of anything else."""
    raw = content if isinstance(content, bytes) else canonical(content).encode()
    return hashlib.sha256(raw).hexdigest()


@functools.cache  # once a process: what runs is what was imported
def code_version(*modules: str) -> str:
    """Hash of the sources of minisub's modules, so that stored numbers follow edits to the code."""
    folder = Path(__file__).parent
    return digest([(folder / f"{m}.py").read_text("utf8") for m in sorted(modules)])


def write(path: Path, content: bytes) -> None:
    """Write a file as a whole or not at all; MinisubError where that is not possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise MinisubError(f"cannot write {path}: {error.strerror or error}") from None


def write_arrays(path: Path, arrays: Mapping[str, Any], about: Json) -> None:
    """For people to find: `path`.safetensors, then its sidecar `path`.json with a checksum."""
    raw = safetensors.numpy.save({k: np.ascontiguousarray(v) for k, v in arrays.items()})
    write(path.with_suffix(".safetensors"), raw)
    side = json.dumps({**about, "sha256": digest(raw)}, indent=1) + "\n"
    write(path.with_suffix(".json"), side.encode())


def read_arrays(path: Path) -> tuple[Arrays, Json]:
    """What `write_arrays` wrote; MinisubError where it is damaged."""
    file = path.with_suffix(".safetensors")
    side = read_json(path.with_suffix(".json"))
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise MinisubError(f"cannot read {file}: {error.strerror or error}") from None
    if digest(raw) != side.get("sha256"):
        raise MinisubError(f"{file} is damaged (its checksum is wrong): delete it to make it anew")
    try:
        return safetensors.numpy.load(raw), side
    except SafetensorError as error:
        raise MinisubError(f"{file} is no safetensors file: {error}") from None


def read_json(path: Path) -> Json:
    """A JSON object from a file; MinisubError where it is damaged."""
    try:
        content = json.loads(path.read_text("utf8"))
    except OSError as error:
        raise MinisubError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError:
        raise MinisubError(f"{path} is damaged (not JSON): delete it to make it anew") from None
    if not isinstance(content, dict):
        raise MinisubError(f"{path} is damaged (no JSON object): delete it to make it anew")
    return content


def _checksum(arrays: Arrays, about: str) -> str:
    """Of all that an entry of arrays says."""
    parts = [[k, str(v.dtype), v.shape, digest(v.tobytes())] for k, v in sorted(arrays.items())]
    return digest([about, parts])


class Store:
    """A folder of entries, a file each, so that processes may share it: the last to write wins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def default(cls) -> "Store":
        """$MINISUB_STORE, else minisub/ in the user's cache folder.

        Where that cannot be written, a folder of the user's among the temporary files.
        """
        if chosen := os.environ.get("MINISUB_STORE"):
            return cls(Path(chosen))
        try:
            usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minisub"
            usual.mkdir(parents=True, exist_ok=True)
        except (OSError, RuntimeError):  # a read-only home, or none at all
            return cls._temporary()
        return cls(usual) if os.access(usual, os.W_OK) else cls._temporary()

    @classmethod
    def _temporary(cls) -> "Store":
        who = os.getuid() if hasattr(os, "getuid") else "user"
        folder = Path(tempfile.gettempdir()) / f"minisub-{who}"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            mine = not hasattr(os, "getuid") or folder.stat().st_uid == who
        except OSError:
            mine = False
        if not mine:
            raise MinisubError(
                f"cannot keep anything in {folder}: choose --store or $MINISUB_STORE"
            )
        return cls(folder)

    def path(self, kind: str, key: str, suffix: str) -> Path:
        """Where an entry is, or would be."""
        return (self.folder / kind / key).with_suffix(suffix)

    def get(self, kind: str, key: str) -> Json | None:
        """A stored result, or None; MinisubError for a damaged one."""
        path = self.path(kind, key, ".json")
        if not path.exists():
            return None
        entry = read_json(path)
        if entry.get("sha256") != digest(entry.get("content")):
            raise MinisubError(f"{path} is damaged (its checksum is wrong): delete it to redo it")
        content: Json = entry["content"]
        return content

    def put(self, kind: str, key: str, content: Json) -> None:
        """Keep a result, with its checksum."""
        entry = {"sha256": digest(content), "content": content}
        text = json.dumps(entry, separators=(",", ":"), allow_nan=False) + "\n"  # in its own order
        write(self.path(kind, key, ".json"), text.encode())

    def has_arrays(self, kind: str, key: str) -> bool:
        """Whether `get_arrays` would find something."""
        return self.path(kind, key, ".safetensors").exists()

    def get_arrays(self, kind: str, key: str) -> Arrays | None:
        """Stored arrays, or None; MinisubError for damaged ones."""
        path = self.path(kind, key, ".safetensors")
        if not path.exists():
            return None
        try:
            with safe_open(path, "numpy") as file:
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                said = file.metadata() or {}
            good = said.get("sha256") == _checksum(arrays, said.get("about", ""))
        except OSError as error:
            raise MinisubError(f"cannot read {path}: {error.strerror or error}") from None
        except (SafetensorError, TypeError, ValueError):  # a type or shape that cannot be
            good = False
        if not good:
            raise MinisubError(f"{path} is damaged (its checksum is wrong): delete it to redo it")
        return arrays

    def put_arrays(self, kind: str, key: str, arrays: Mapping[str, Any], about: Json) -> None:
        """Keep arrays, with what they are `about` and the checksum of both, in one file."""
        whole, text = {k: np.ascontiguousarray(v) for k, v in arrays.items()}, canonical(about)
        raw = safetensors.numpy.save(whole, {"about": text, "sha256": _checksum(whole, text)})
        write(self.path(kind, key, ".safetensors"), raw)
