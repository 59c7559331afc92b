"""The course on the screen: its notebooks behind marimo's own server, or as static pages.

`python -m minisub.gallery` draws the gallery's thumbnails from the stored results.
"""

import contextlib
import html
import ipaddress
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from minisub.store import MinisubError, write

HERE = Path(__file__).parent
FOLDERS = (HERE / "notebooks", HERE.parent / "notebooks")  # of the wheel, of a checkout
LEFT = 5  # seconds after which the session of a closed page ends
NET = re.compile(r"https://[^\s\"']*?/@marimo-team/frontend@[^/\s\"']*/dist")  # marimo's front end

OPTIONS = ("-f", "--no-include-code", "--no-sandbox")

PAGE = """<!doctype html><html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>minisub: the course</title>
<style>body{{font:17px/1.5 system-ui,sans-serif;color:#222;max-width:44rem;margin:2rem auto;
padding:0 1rem}}li{{margin:1.2rem 0}}
img{{display:block;max-width:100%;border:1px solid #ddd}}a{{color:#005b8f}}</style>
<h1>minisub: the course</h1><p>Each page holds its notebook with all outputs. Controls need
<code>minisub app</code>.</p><ol start="0">{rows}</ol></html>
"""


@dataclass(frozen=True)
class Notebook:
    """A page of the course, by what its header says."""

    path: Path
    title: str
    description: str
    pictured: tuple[str, ...] = ()  # a finding, and arms of it: what its thumbnail shows

    @property
    def thumbnail(self) -> Path:
        """Where marimo's gallery looks for it."""
        return self.path.parent / "__marimo__/assets" / self.path.stem / "opengraph.png"


def notebooks() -> list[Notebook]:
    """All notebooks in order, with what their headers say of them."""
    folder = next((f for f in FOLDERS if f.is_dir()), None)
    if folder is None:
        raise MinisubError("the notebooks are not here: install minisub from its checkout")
    found = []
    for path in sorted(folder.glob("[0-9]*.py")):
        header = re.search(r"(?ms)^# /// script\n(.*?)^# ///$", path.read_text("utf8"))
        said = re.sub(r"(?m)^# ?", "", header[1]) if header else ""
        tool = tomllib.loads(said).get("tool", {})
        about = tool.get("marimo", {}).get("opengraph", {})
        names = about.get("title", path.stem), about.get("description", "")
        found.append(Notebook(path, *names, tuple(tool.get("minisub", {}).get("thumbnail", ()))))
    return found


def pick(number: str) -> Notebook:
    """The notebook of a number such as "03" or "3"; MinisubError for any other."""
    every = notebooks()
    for notebook in every:
        if number.isdecimal() and int(notebook.path.stem[:2]) == int(number):
            return notebook
    known = ", ".join(n.path.stem[:2] for n in every)
    raise MinisubError(f"NOTEBOOK is {number!r}, allowed: {known}")


def open_to_others(host: str) -> bool:
    """Whether others than this machine can reach a server at this address."""
    if host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name, which may be anybody's
        return True


def serve(number: str, host: str, port: int, browser: bool, edit: bool) -> int:
    """Serve one notebook, or all as a gallery, until stopped. Returns marimo's exit status.

    Where others can reach it, marimo asks them for a token, which is in the link that it prints.
    """
    chosen = [pick(number).path] if number else [n.path for n in notebooks()]
    # marimo warns of the headers that its own gallery reads: errors only.
    command = [sys.executable, "-m", "marimo", "--log-level", "ERROR", "edit" if edit else "run"]
    command += map(str, chosen)
    command += [] if edit else ["--session-ttl", str(LEFT)]
    if open_to_others(host):
        command += ["--token"]
        may = "run any code on this machine as you" if edit else "train here, in bounds"
        print(
            f"minisub: --host {host} lets other machines in: whoever has the link with its token, "
            f"printed below, can {may}.",
            file=sys.stderr,
            flush=True,
        )
    command += ["--host", host, "--port", str(port), "--no-sandbox"]
    command += [] if browser else ["--headless"]
    # One thread a visitor: those of several visitors would wait for one another.
    with subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}) as server:
        # Who ends this process, such as a container's host, means the server.
        before = signal.signal(signal.SIGTERM, lambda *_: server.terminate())
        try:
            prepare()
            return server.wait()
        except KeyboardInterrupt:  # which the server got as well
            return server.wait()
        finally:
            signal.signal(signal.SIGTERM, before)


def prepare() -> None:
    """The teacher of the playground's first student and its lists, while the visitor still reads.

    Whatever is wrong with the store, the page says when it is asked to train.
    """
    import torch

    from minisub.arm import LIGHT
    from minisub.lab import Lab
    from minisub.store import Store

    torch.set_num_threads(1)
    with contextlib.suppress(MinisubError, OSError):
        Lab(LIGHT, 0, Store.default(), [0]).lists()


def export(folder: Path, offline: bool = False) -> list[Path]:
    """Every notebook as one HTML file with its outputs, and an index; the files, index last.

    `offline` copies marimo's front end beside them, so that they need no net, but a web server:
    browsers load no modules from plain files.
    """
    written, rows = [], []
    for notebook in notebooks():
        out = folder / f"{notebook.path.stem}.html"
        command = [sys.executable, "-m", "marimo", "--log-level", "ERROR", "export", "html"]
        done = subprocess.run(
            [*command, str(notebook.path), "-o", str(out), *OPTIONS],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or not out.exists():
            why = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise MinisubError(f"cannot export {notebook.path.name}: {' '.join(why)}")
        if offline:
            write(out, NET.sub("./marimo", out.read_text("utf8")).encode())
        picture = ""
        if notebook.thumbnail.exists():
            shutil.copyfile(notebook.thumbnail, out.with_suffix(".png"))
            picture = f'<img src="{out.stem}.png" alt="" width="600" height="315" loading="lazy">'
        written.append(out)
        title, said = html.escape(notebook.title), html.escape(notebook.description)
        rows.append(f'<li><a href="{out.name}">{picture}{title}</a><br>{said}</li>')
    if offline:
        import marimo

        front = Path(marimo.__file__).parent / "_static"
        shutil.copytree(front, folder / "marimo", dirs_exist_ok=True)
    index = folder / "index.html"
    write(index, PAGE.format(rows="".join(rows)).encode())
    return [*written, index]


def draw_thumbnail(notebook: Notebook) -> bytes:
    """The transfer of some arms of a stored result: a PNG."""
    from matplotlib.figure import Figure

    from minisub import plots
    from minisub.base import BUNDLED
    from minisub.result import read

    finding, *arms = notebook.pictured
    figure = Figure(figsize=(6.0, 3.15), layout="constrained")
    axes = figure.subplots()
    plots.arm_bars(axes, read(BUNDLED / f"{finding}.json"), arms)
    axes.tick_params(labelsize=13)
    axes.set_xlabel("transfer of the bias, nats", fontsize=13)
    return plots.image(figure)


if __name__ == "__main__":
    for each in notebooks():
        each.thumbnail.parent.mkdir(parents=True, exist_ok=True)
        write(each.thumbnail, draw_thumbnail(each))
