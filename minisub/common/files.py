"""Write files as a whole or not at all, and read them with a check for damage.

Arrays are safetensors and everything else is JSON; nothing is pickled.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

Json = dict[str, Any]
Array = np.ndarray[Any, np.dtype[Any]]
Arrays = dict[str, Array]


class MinisubError(ValueError):
    """Something that the user can put right; its text is one line."""


def damaged(path: Path, why: str) -> MinisubError:
    """Return the error of a file that cannot be used.

    Args:
        path: The file.
        why: What is wrong with it.
    """
    return MinisubError(f"{path} is damaged ({why}): delete it, and it will be made again")


def canonical_json(content: object) -> str:
    """Return JSON text that is the same for the same content (1 and 1.0 are not)."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(content: object) -> str:
    """Return the SHA-256 of bytes, or of the canonical JSON of anything else."""
    raw = content if isinstance(content, bytes) else canonical_json(content).encode()
    return hashlib.sha256(raw).hexdigest()


def write_file(path: Path, content: bytes) -> None:
    """Write a file as a whole or not at all.

    Args:
        path: The file; folders that are missing are made.
        content: All of it.

    Raises:
        MinisubError: The file cannot be written.
    """
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
    """Write arrays as `path`.safetensors, then a sidecar `path`.json with their checksum.

    Args:
        path: Without a suffix.
        arrays: By name.
        about: What the sidecar says of them.
    """
    raw = safetensors.numpy.save({k: np.ascontiguousarray(v) for k, v in arrays.items()})
    write_file(path.with_suffix(".safetensors"), raw)
    sidecar = json.dumps({**about, "sha256": digest(raw)}, indent=1) + "\n"
    write_file(path.with_suffix(".json"), sidecar.encode())


def read_arrays(path: Path) -> tuple[Arrays, Json]:
    """Read what `write_arrays` wrote: the arrays and the sidecar.

    Raises:
        MinisubError: A file is missing or damaged.
    """
    file = path.with_suffix(".safetensors")
    sidecar = read_json(path.with_suffix(".json"))
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise MinisubError(f"cannot read {file}: {error.strerror or error}") from None
    if digest(raw) != sidecar.get("sha256"):
        raise damaged(file, "its checksum is wrong")
    try:
        return safetensors.numpy.load(raw), sidecar
    except SafetensorError as error:
        raise MinisubError(f"{file} is no safetensors file: {error}") from None


def read_json(path: Path) -> Json:
    """Read a JSON object from a file.

    Raises:
        MinisubError: The file is missing or damaged.
    """
    try:
        content = json.loads(path.read_text("utf8"))
    except OSError as error:
        raise MinisubError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError:
        raise damaged(path, "not JSON") from None
    if not isinstance(content, dict):
        raise damaged(path, "no JSON object")
    return content
