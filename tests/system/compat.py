"""Does minisub work, and find the same, with other Pythons and other versions of what it needs?

    python tests/system/compat.py                            # pinned, on every Python that is here
    python tests/system/compat.py --versions lowest --python python3.11
    python tests/system/compat.py --versions readme          # README's two commands, as they stand

Not collected by pytest: it makes virtual environments and downloads gigabytes. For each Python and
each set of versions (pinned by constraints.txt; the lowest that pyproject.toml admits; the newest)
it installs minisub and in another folder runs some of the quick tests (`TESTS`), a finding on three
seeds, which has to agree with the stored result within its 95 % interval, and exports the pages of
the course.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TESTS = ["unit", "science/test_study.py", "system/test_cli.py"]
TOOLS = ("pytest", "beartype", "hypothesis", "dask")
FINDING, SEEDS = "shuffle", 3


def pythons() -> list[str]:
    """Those of 3.11 to 3.13 that start."""
    names = [f"python3.{minor}" for minor in (11, 12, 13)]
    started = [n for n in names if shutil.which(n) and answers([n, "--version"])]
    return started or [sys.executable]


def answers(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def requirements(versions: str, of_this_python: list[str]) -> list[str]:
    """What pip is asked for, beside minisub itself."""
    dev = [d for d in PROJECT["optional-dependencies"]["dev"] if d.startswith(TOOLS)]
    wanted = [*of_this_python, *dev]
    if versions == "pinned":
        return ["-c", str(ROOT / "constraints.txt"), *wanted]
    if versions == "newest":
        return ["--upgrade", *wanted]
    lowest = [re.fullmatch(r"([\w\[\]-]+?)(?:<[\w.]+,)?>=([\w.]+)(?:,.*)?", d) for d in wanted]
    assert all(lowest), wanted
    return [f"{found[1]}=={found[2]}" for found in lowest if found]


def dependencies(python: Path) -> list[str]:
    """Those that the project asks for on this Python: the markers are pip's to read."""
    code = (
        "import json, sys; from pip._vendor.packaging.requirements import Requirement as R; "
        "print(json.dumps([str(r).partition(';')[0] for r in map(R, json.loads(sys.argv[1]))"
        " if not r.marker or r.marker.evaluate()]))"
    )
    command = [python, "-c", code, json.dumps(PROJECT["dependencies"])]
    found: list[str] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return found


def agrees(found: Path) -> str:
    """ "yes", or by how much the mean transfer of which arm is off."""
    new, old = (
        json.loads(path.read_text()) for path in (found, ROOT / f"minisub/bundled/{FINDING}.json")
    )
    off = []
    for entry in old["summary"]:
        of = {
            name: {r["seed"]: r["transfer"] for r in rows if r["arm"] == entry["arm"]}
            for name, rows in (("new", new["rows"]), ("old", old["rows"]))
        }
        gap = sum(v - of["old"][s] for s, v in of["new"].items()) / len(of["new"])
        if abs(gap) > (entry["high"] - entry["low"]) / 2:
            off.append(f"{entry['arm']} {gap:+.3f}")
    return ", ".join(off) or "yes"


def check(python: str, versions: str, work: Path) -> dict[str, str]:
    """One row of the table."""
    log = work / "log.txt"
    env = {**os.environ, "MINISUB_STORE": str(work / "store")}
    bin_ = work / "venv" / "bin"

    def step(*command: str) -> bool:
        with log.open("ab") as out:
            out.write(f"\n$ {' '.join(command)}\n".encode())
            out.flush()
            done = subprocess.run(command, cwd=work, env=env, stdout=out, stderr=out, check=False)
        return done.returncode == 0

    def told(good: bool) -> str:
        return "yes" if good else f"**no** ({log})"

    row = {"Python": python, "versions": versions}
    if versions == "readme":
        clone = work / "minisub"
        if not step("git", "clone", "-q", str(ROOT), str(clone)):  # what is committed
            return {**row, "clones": told(False)}
        lines = re.findall(r"(?m)^python3 -m venv .*$", (clone / "README.md").read_text())
        assert len(lines) == 2, "README has two commands"
        for line in lines:
            command = f"cd {clone} && {line.replace('python3', python, 1)}"
            row[line.rpartition("&& ")[2]] = told(step("bash", "-c", command))
        return row
    if not step(python, "-m", "venv", str(work / "venv")):
        return {**row, "installs": told(False)}
    pip = (str(bin_ / "python"), "-m", "pip", "install", "-q")
    wanted = requirements(versions, dependencies(bin_ / "python"))
    installed = step(*pip, *wanted) and step(*pip, "--no-deps", str(ROOT))
    row["installs"] = told(installed)
    if not installed:
        return row
    version = "import torch, numpy, platform as p; print(p.python_version(), torch.__version__, "
    version += "numpy.__version__)"
    said = subprocess.run([bin_ / "python", "-c", version], capture_output=True, text=True)
    row["Python, torch, numpy"] = said.stdout.strip()
    tests = [str(ROOT / "tests" / name) for name in TESTS]
    # What other people's old versions warn of is not ours.
    quiet = [] if versions == "pinned" else ["-W", "default"]
    row["tests"] = told(step(str(bin_ / "python"), "-m", "pytest", *quiet, *tests))
    minisub, out = str(bin_ / "minisub"), work / "found.json"
    ran = step(minisub, "run", FINDING, "--seeds", f"0:{SEEDS}", "--json", str(out))
    row["the same results"] = agrees(out) if ran else told(False)
    row["pages"] = told(step(minisub, "export", str(work / "course")))
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", nargs="*", default=pythons())
    parser.add_argument("--versions", nargs="*", default=["pinned"],
                        choices=["pinned", "lowest", "newest", "readme"])  # fmt: skip
    chosen = parser.parse_args()
    rows = []
    for python in chosen.python:
        for versions in chosen.versions:
            work = Path(tempfile.mkdtemp(prefix="minisub-compat-"))
            rows.append(check(python, versions, work))
            print(json.dumps(rows[-1]), flush=True)
            if "**no**" not in json.dumps(rows[-1]):
                shutil.rmtree(work)
    names = list(dict.fromkeys(name for row in rows for name in row))
    for line in (names, ["---"] * len(names), *([r.get(n, "") for n in names] for r in rows)):
        print("| " + " | ".join(line) + " |")
    return int(any("**no**" in json.dumps(row) for row in rows))


if __name__ == "__main__":
    sys.exit(main())
