"""Checks of what the command line is given; each raises an error that says what is allowed."""

import importlib.util
import os
import re
import sys
from pathlib import Path

import cloudpickle

from minisub.cli.options import Machine
from minisub.common.files import MinisubError, write_file
from minisub.common.store import Store
from minisub.experiment.arm import Arm
from minisub.experiment.options import MOST_SEEDS, RunOptions, check_device
from minisub.findings import Finding, every_finding


def seed_range(text: str, quick: bool = False) -> list[int]:
    """Return the seeds of "A:B".

    Args:
        text: What was given to --seeds.
        quick: Only the first two.

    Raises:
        MinisubError: The text is not of the form A:B.
    """
    found = re.fullmatch(r"(\d{1,18}):(\d{1,18})", text)
    first, last = (int(found[1]), int(found[2])) if found else (0, 0)
    if not first < last <= first + MOST_SEEDS:
        raise MinisubError(
            f"--seeds is {text!r}, allowed: A:B with 0 <= A < B, such as 0:8, up to "
            f"{MOST_SEEDS:,} seeds"
        )
    return list(range(first, min(last, first + 2) if quick else last))


def find_finding(name: str) -> Finding:
    """Return one of the findings.

    Raises:
        MinisubError: There is none of this name.
    """
    known = every_finding()
    if name not in known:
        raise MinisubError(f"FINDING is {name!r}, allowed: {', '.join(known)}")
    return known[name]


def n_workers(count: int) -> int | None:
    """Return how many processes there are to be; None for one per core.

    Raises:
        MinisubError: The number is below 0.
    """
    if count < 0:
        raise MinisubError(f"--workers is {count}, allowed: 0 (one per core) and more")
    return count or None


def existing_device(name: str) -> str:
    """Return the name of a device, if this machine has it.

    Raises:
        MinisubError: This machine does not have it.
    """
    try:
        check_device(name)
    except ValueError as error:
        raise MinisubError(f"--{error}") from None
    return name


def check_writable(option: str, folder: Path) -> None:
    """Fail before the work, not after it, where a folder cannot be written.

    Args:
        option: What the folder was given to.
        folder: The folder.

    Raises:
        MinisubError: It cannot be written.
    """
    probe = folder / ".minisub-probe"
    try:
        write_file(probe, b"")
        probe.unlink(missing_ok=True)  # another command may have had it
    except (MinisubError, OSError) as error:
        reason = str(error).rpartition(": ")[2]
        raise MinisubError(
            f"{option} is {folder}, allowed: a folder to write to ({reason})"
        ) from None


def own_arm(path: Path) -> Arm:
    """Return the arm that a file of the user's own says: its `arm`, or its `mask` and `edit`.

    Args:
        path: A Python file.

    Raises:
        MinisubError: There is no such file, it cannot be run, or it says no arm.
    """
    if path.suffix != ".py" or not path.is_file():
        raise MinisubError(f"FILE is {path}, allowed: a Python file with a mask, an edit or an arm")
    name = f"minisub_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    cloudpickle.register_pickle_by_value(module)  # another process need not find the file
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        kind = type(error).__name__
        raise MinisubError(f"{path} cannot be run: {kind}: {error}") from error
    arm = getattr(module, "arm", None)
    if isinstance(arm, Arm):
        return arm
    mask, edit = getattr(module, "mask", None), getattr(module, "edit", None)
    if not callable(mask or edit):
        raise MinisubError(f"{path} has no function `mask` or `edit`, nor an Arm called `arm`")
    return Arm(path.stem.replace("_", " "), mask=mask, edit=edit)


def writable_store(folder: Path | None) -> Store:
    """Return the store in a folder that can be written, or the default one."""
    store = Store(folder) if folder else Store.default()
    check_writable("--store", store.folder)
    if folder is None and not os.environ.get("MINISUB_STORE") and store.folder.name != "minisub":
        print(f"Your cache folder cannot be written: results go to {store.folder}", file=sys.stderr)
    return store


def run_options(seeds: list[int], machine: Machine) -> RunOptions:
    """Return how a study is run, out of a command's options.

    Args:
        seeds: On which seeds.
        machine: Processes, device, store.

    Raises:
        MinisubError: One of them cannot be.
    """
    workers, device = n_workers(machine.workers), existing_device(machine.device)
    return RunOptions(seeds, writable_store(machine.store), workers, device)
