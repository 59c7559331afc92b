"""What the command line refuses: each check returns what it was given, or says what is allowed."""

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from minisub.store import MinisubError, Store, write

if TYPE_CHECKING:
    from minisub.findings import Finding


MANY = 100_000


def seed_range(text: str, quick: bool = False) -> list[int]:
    """The seeds of "A:B"; MinisubError for anything else."""
    found = re.fullmatch(r"(\d{1,18}):(\d{1,18})", text)
    first, last = (int(found[1]), int(found[2])) if found else (0, 0)
    if not first < last <= first + MANY:
        raise MinisubError(
            f"--seeds is {text!r}, allowed: A:B with 0 <= A < B, such as 0:8, up to {MANY:,} seeds"
        )
    return list(range(first, min(last, first + 2) if quick else last))


def a_finding(name: str) -> "Finding":
    """One of the findings, by name."""
    from minisub.findings import FINDINGS

    if name not in FINDINGS:
        raise MinisubError(f"FINDING is {name!r}, allowed: {', '.join(FINDINGS)}")
    return FINDINGS[name]


def workers_of(count: int) -> int | None:
    """How many processes; None for one a core."""
    if count < 0:
        raise MinisubError(f"--workers is {count}, allowed: 0 (one a core) and more")
    return count or None


def a_device(name: str) -> str:
    """A device that this machine has."""
    import torch

    there = ["cpu"] + ["mps"] * torch.backends.mps.is_available()
    if torch.cuda.is_available():
        there += ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if name not in there:
        known = ", ".join(there)
        raise MinisubError(f"--device is {name!r}, allowed on this machine: {known}")
    return name


def writable(option: str, folder: Path) -> None:
    """Fail before the work, not after it."""
    probe = folder / ".minisub-probe"
    try:
        write(probe, b"")
        probe.unlink(missing_ok=True)  # another command may have had it
    except (MinisubError, OSError) as error:
        reason = str(error).rpartition(": ")[2]
        raise MinisubError(
            f"{option} is {folder}, allowed: a folder to write to ({reason})"
        ) from None


def a_store(folder: Path | None) -> Store:
    """The store in a folder that can be written, or the default one."""
    store = Store(folder) if folder else Store.default()
    writable("--store", store.folder)
    if folder is None and not os.environ.get("MINISUB_STORE") and store.folder.name != "minisub":
        print(f"Your cache folder cannot be written: results go to {store.folder}", file=sys.stderr)
    return store
