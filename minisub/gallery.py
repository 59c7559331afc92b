"""The course on the screen: its notebooks behind marimo's own server, or as static pages."""

import html
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from minisub.store import MinisubError, write

HERE = Path(__file__).parent
FOLDERS = (HERE / "notebooks", HERE.parent / "notebooks")  # of the wheel, of a checkout
LEFT = 5  # seconds after which the session of a closed page ends

PAGE = """<!doctype html><html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>minisub: the course</title>
<style>body{{font:17px/1.5 system-ui,sans-serif;color:#222;max-width:44rem;margin:2rem auto;
padding:0 1rem}}li{{margin:.8rem 0}}a{{color:#005b8f}}</style>
<h1>minisub: the course</h1><p>Each page holds its notebook with all outputs. Controls need
<code>minisub app</code>.</p><ol start="0">{rows}</ol></html>
"""


@dataclass(frozen=True)
class Notebook:
    path: Path
    title: str
    description: str


def notebooks() -> list[Notebook]:
    """All notebooks in order, with what their headers say of them."""
    folder = next((f for f in FOLDERS if f.is_dir()), None)
    if folder is None:
        raise MinisubError("the notebooks are not here: install minisub from its checkout")
    found = []
    for path in sorted(folder.glob("[0-9]*.py")):
        header = re.search(r"(?ms)^# /// script\n(.*?)^# ///$", path.read_text("utf8"))
        said = re.sub(r"(?m)^# ?", "", header[1]) if header else ""
        about = tomllib.loads(said).get("tool", {}).get("marimo", {}).get("opengraph", {})
        found.append(Notebook(path, about.get("title", path.stem), about.get("description", "")))
    return found


def pick(number: str) -> Notebook:
    """The notebook of a number such as "03" or "3"; MinisubError for any other."""
    every = notebooks()
    for notebook in every:
        if number.isdigit() and int(notebook.path.stem[:2]) == int(number):
            return notebook
    known = ", ".join(n.path.stem[:2] for n in every)
    raise MinisubError(f"NOTEBOOK is {number!r}, allowed: {known}")


def serve(number: str, host: str, port: int, browser: bool, edit: bool) -> int:
    """Serve one notebook, or all as a gallery, until stopped. Returns marimo's exit status."""
    chosen = [pick(number).path] if number else [n.path for n in notebooks()]
    # marimo warns of the headers that its own gallery reads: errors only.
    command = [sys.executable, "-m", "marimo", "--log-level", "ERROR", "edit" if edit else "run"]
    command += map(str, chosen)
    command += [] if edit else ["--session-ttl", str(LEFT)]
    command += ["--host", host, "--port", str(port), "--no-sandbox"]
    command += [] if browser else ["--headless"]
    # One thread a visitor: models this small gain nothing from more.
    return subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
    ).returncode


def export(folder: Path) -> list[Path]:
    """Every notebook as one HTML file with its outputs, and an index; the files, index last."""
    written, rows = [], []
    for notebook in notebooks():
        out = folder / f"{notebook.path.stem}.html"
        command = [
            sys.executable,
            "-m",
            "marimo",
            "--log-level",
            "ERROR",
            "export",
            "html",
            str(notebook.path),
        ]
        done = subprocess.run(
            [*command, str(notebook.path), "-o", str(out), "-f", "--no-sandbox"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or not out.exists():
            why = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise MinisubError(f"cannot export {notebook.path.name}: {' '.join(why)}")
        written.append(out)
        title, said = html.escape(notebook.title), html.escape(notebook.description)
        rows.append(f'<li><a href="{out.name}">{title}</a><br>{said}</li>')
    index = folder / "index.html"
    write(index, PAGE.format(rows="".join(rows)).encode())
    return [*written, index]
