"""Which code, on which machine, made a number."""

import functools
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from minisub.common.files import Json, digest

PACKAGE = Path(__file__).resolve().parent.parent


def is_covered(module: str, sources: tuple[str, ...]) -> bool:
    """Return whether a module is one of `sources` or lies in one of them.

    Args:
        module: A dotted name, such as "minisub.world.world".
        sources: Dotted names of modules and packages.
    """
    return any(module == name or module.startswith(name + ".") for name in sources)


@functools.cache  # once a process: later edits do not change what is already imported
def code_version(*sources: str) -> str:
    """Return a hash of source files, so that stored numbers follow edits of the code.

    Args:
        *sources: Dotted names of minisub's modules and packages, such as "minisub.world".
    """
    files: list[Path] = []
    for name in sources:
        path = PACKAGE.joinpath(*name.split(".")[1:])
        found = path.rglob("*") if path.is_dir() else [path.with_suffix(".py")]
        files += [file for file in found if file.suffix in (".py", ".c")]
    named = {str(file.relative_to(PACKAGE)): file.read_text("utf8") for file in files}
    return digest(named)


def versions() -> Json:
    """Return the versions of what decides the numbers."""
    import torch  # results are read without it

    try:
        own = version("minisub")
    except PackageNotFoundError:
        own = "not installed"
    return {
        "minisub": own,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "machine": platform.machine(),
    }


def commit() -> str:
    """Return the commit of the code that runs, or "unknown" outside a checkout."""
    checkout = PACKAGE.parent

    def git(*command: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(checkout), *command], capture_output=True, text=True, timeout=10
        )
        return done.stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != checkout:  # of a project around a .venv
            return "unknown"
        return git("describe", "--always", "--dirty", "--abbrev=12") or "unknown"
    except (OSError, subprocess.SubprocessError):
        return "unknown"
