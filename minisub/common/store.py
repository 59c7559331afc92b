"""The store: what was computed, on disk, under a key that names all that decides it.

A key is the hash of configuration, seed and source code, so an entry is never out of date, only
unused. (Bundled bases are found by their configuration alone.)
"""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from minisub.common.files import (
    Arrays,
    Json,
    MinisubError,
    canonical_json,
    damaged,
    digest,
    read_json,
    write_file,
)

_only_stored = ContextVar("only_stored", default=False)


class NotStored(Exception):
    """Something would have to be made, where only what the store has is wanted."""


@contextmanager
def only_stored() -> Iterator[None]:
    """Let `about_to_make` raise `NotStored` within."""
    token = _only_stored.set(True)
    try:
        yield
    finally:
        _only_stored.reset(token)


def about_to_make() -> None:
    """Say that something is not in the store and will be made now.

    Raises:
        NotStored: Only what the store has is wanted.
    """
    if _only_stored.get():
        raise NotStored


class Store:
    """A folder of entries, one file each, so that processes may share it: the last writer wins."""

    def __init__(self, folder: Path | str) -> None:
        if not str(folder):
            raise MinisubError("the store's folder is '', allowed: a path")
        self.folder = Path(folder)

    @classmethod
    def default(cls) -> "Store":
        """Return the store in $MINISUB_STORE, else in minisub/ of the user's cache folder.

        Where neither can be written, it is a private folder among the temporary files.
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
        user = os.getuid() if hasattr(os, "getuid") else "user"
        folder = Path(tempfile.gettempdir()) / f"minisub-{user}"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            is_mine = not hasattr(os, "getuid") or folder.stat().st_uid == user
        except OSError:
            is_mine = False
        if not is_mine:
            raise MinisubError(
                f"cannot keep anything in {folder}: choose --store or $MINISUB_STORE"
            )
        return cls(folder)

    def path(self, kind: str, key: str, suffix: str) -> Path:
        """Return the path of an entry, whether it exists or not.

        Args:
            kind: The folder of its kind, such as "students".
            key: Its key.
            suffix: ".json" or ".safetensors".
        """
        return (self.folder / kind / key).with_suffix(suffix)

    def get(self, kind: str, key: str) -> Json | None:
        """Return a stored JSON entry, or None.

        Args:
            kind: The folder of its kind.
            key: Its key.

        Raises:
            MinisubError: The entry is damaged.
        """
        path = self.path(kind, key, ".json")
        if not path.exists():
            return None
        entry = read_json(path)
        if entry.get("sha256") != digest(entry.get("content")):
            raise damaged(path, "its checksum is wrong")
        content: Json = entry["content"]
        return content

    def put(self, kind: str, key: str, content: Json) -> None:
        """Keep a JSON entry, with its checksum.

        Args:
            kind: The folder of its kind.
            key: Its key.
            content: A JSON object.
        """
        entry = {"sha256": digest(content), "content": content}
        text = json.dumps(entry, separators=(",", ":"), allow_nan=False) + "\n"  # in its own order
        write_file(self.path(kind, key, ".json"), text.encode())

    def has_arrays(self, kind: str, key: str) -> bool:
        """Return whether `get_arrays` would find something.

        Args:
            kind: The folder of its kind.
            key: Its key.
        """
        return self.path(kind, key, ".safetensors").exists()

    def get_arrays(self, kind: str, key: str) -> Arrays | None:
        """Return stored arrays by name, or None.

        Args:
            kind: The folder of its kind.
            key: Its key.

        Raises:
            MinisubError: The entry is damaged.
        """
        path = self.path(kind, key, ".safetensors")
        if not path.exists():
            return None
        try:
            with safe_open(path, "numpy") as file:
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                metadata = file.metadata() or {}
            good = metadata.get("sha256") == _checksum(arrays, metadata.get("about", ""))
        except OSError as error:
            raise MinisubError(f"cannot read {path}: {error.strerror or error}") from None
        except (SafetensorError, TypeError, ValueError):  # a type or shape that cannot be
            good = False
        if not good:
            raise damaged(path, "its checksum is wrong")
        return arrays

    def put_arrays(self, kind: str, key: str, arrays: Mapping[str, Any], about: Json) -> None:
        """Keep arrays, what they are about and the checksum of both, in one file.

        Args:
            kind: The folder of its kind.
            key: Its key.
            arrays: By name.
            about: A JSON object that says what they are.
        """
        whole, text = {k: np.ascontiguousarray(v) for k, v in arrays.items()}, canonical_json(about)
        raw = safetensors.numpy.save(whole, {"about": text, "sha256": _checksum(whole, text)})
        write_file(self.path(kind, key, ".safetensors"), raw)


def _checksum(arrays: Arrays, about: str) -> str:
    """Return the checksum of all that an entry of arrays says."""
    parts = [[k, str(v.dtype), v.shape, digest(v.tobytes())] for k, v in sorted(arrays.items())]
    return digest([about, parts])
