"""Put a folder of Pyodide together from npm and PyPI: `python pyodide_folder.py FOLDER [WHEELS]`.

npm has Pyodide without its packages, PyPI what marimo needs in a page. Pyodide's own builds of
numpy, matplotlib and safetensors are on neither; wheels of them, if there are any in WHEELS, are
taken too, and the folder is then enough for the whole course.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

import marimo
from marimo._pyodide.pyodide_constraints import PYODIDE_VERSION
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

MARIMO_NEEDS = (
    *(f"marimo-base=={marimo.__version__}", "black", "micropip", "packaging", "docutils"),
    *("pygments", "jedi", "pyodide-http"),
)
IN_A_TAB = {"sys_platform": "emscripten", "python_version": "3.14", "python_full_version": "3.14.2"}
PLATFORM = ("--platform", "pyemscripten_2026_0_wasm32", "--platform", "any")
FOR_A_TAB = (*PLATFORM, "--python-version", "3.14", "--implementation", "cp", "--abi", "cp314")
DOWNLOAD = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps")


def run(*command: str, cwd: Path) -> None:
    subprocess.run(command, check=True, cwd=cwd, stdout=subprocess.DEVNULL)


def metadata(wheel: Path) -> Any:
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        return HeaderParser().parsestr(archive.read(name).decode())


def needs(wheel: Path) -> list[Requirement]:
    """Return what a wheel needs in a tab."""
    found = map(Requirement, metadata(wheel).get_all("Requires-Dist") or [])
    return [r for r in found if r.marker is None or r.marker.evaluate({**IN_A_TAB, "extra": ""})]


def pure(wheel: Path) -> None:
    """Make a wheel for any platform of one that has a compiled part it can do without."""
    name, number = wheel.name.split("-")[:2]
    with (
        zipfile.ZipFile(wheel) as old,
        zipfile.ZipFile(wheel.with_name(f"{name}-{number}-py3-none-any.whl"), "w") as new,
    ):
        for entry in old.namelist():
            if entry.endswith("/WHEEL"):
                new.writestr(entry, "Wheel-Version: 1.0\nTag: py3-none-any\n")
            elif not entry.endswith(".so"):
                new.writestr(entry, old.read(entry))
    wheel.unlink()


def fetch(requirement: Requirement, folder: Path) -> Path:
    """Download a wheel that runs in a tab."""
    before = set(folder.iterdir())
    asked = f"{requirement.name}{requirement.specifier}"
    try:
        options = (*FOR_A_TAB, "--abi", "abi3", "--abi", "none", "--only-binary=:all:")
        run(*DOWNLOAD, *options, asked, cwd=folder)
    except subprocess.CalledProcessError:
        run(*DOWNLOAD, asked, cwd=folder)
        for wheel in set(folder.glob("*.whl")) - before:
            pure(wheel)
    (wheel,) = set(folder.glob("*.whl")) - before
    return wheel


def main(folder: Path, given: Path | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        run("npm", "pack", "--silent", f"pyodide@{PYODIDE_VERSION}", cwd=Path(temporary))
        (packed,) = Path(temporary).glob("*.tgz")
        with tarfile.open(packed) as archive:
            archive.extractall(temporary, filter="data")
        for path in (Path(temporary) / "package").iterdir():
            shutil.copy(path, folder)
    lock = json.loads((folder / "pyodide-lock.json").read_text())
    wheels: dict[str, Path] = {}
    for wheel in given.glob("*.whl") if given else []:
        wheels[canonicalize_name(wheel.name.split("-")[0])] = Path(shutil.copy(wheel, folder))
    pending = [Requirement(each) for each in MARIMO_NEEDS]
    pending += [each for wheel in wheels.values() for each in needs(wheel)]
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        if name not in wheels:
            wheels[name] = fetch(requirement, folder)
            pending += needs(wheels[name])
    lock["packages"] = {name: entry(name, wheel) for name, wheel in sorted(wheels.items())}
    (folder / "pyodide-lock.json").write_text(json.dumps(lock))
    print(f"{len(wheels)} packages: {' '.join(sorted(wheels))}")


def entry(name: str, wheel: Path) -> dict[str, Any]:
    """Return a wheel's entry of Pyodide's lock file."""
    with zipfile.ZipFile(wheel) as archive:
        tops = {n.split("/")[0] for n in archive.namelist()}
    return {
        "name": name,
        "version": metadata(wheel)["Version"],
        "file_name": wheel.name,
        "install_dir": "site",
        "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "package_type": "package",
        "imports": sorted(
            t.removesuffix(".py") for t in tops if not t.endswith(("-info", ".data"))
        ),
        "depends": sorted(canonicalize_name(r.name) for r in needs(wheel)),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
