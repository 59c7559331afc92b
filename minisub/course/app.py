"""The course on the screen: its notebooks behind marimo's own server."""

import contextlib
import ipaddress
import os
import re
import signal
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import torch

from minisub.common.files import MinisubError
from minisub.common.provenance import PACKAGE
from minisub.common.store import Store
from minisub.course.course_store import CourseStore
from minisub.experiment.config import Config
from minisub.experiment.seed_lab import SeedLab

FOLDERS = (PACKAGE / "notebooks", PACKAGE.parent / "notebooks")  # of the wheel, of a checkout
SESSION_SECONDS = 150  # after which the session of a page that is closed, or cut off, ends


@dataclass(frozen=True)
class Notebook:
    """A page of the course, by what its header says.

    Attributes:
        path: Its file.
        title: Of the page.
        description: In a sentence.
        pictured: A finding, and arms of it: what its thumbnail shows.
    """

    path: Path
    title: str
    description: str
    pictured: tuple[str, ...] = ()

    @property
    def thumbnail(self) -> Path:
        """Where marimo's gallery looks for the picture of the page."""
        return self.path.parent / "__marimo__/assets" / self.path.stem / "opengraph.png"


def list_notebooks() -> list[Notebook]:
    """Return all notebooks in order, with what their headers say of them."""
    folder = next((f for f in FOLDERS if f.is_dir()), None)
    if folder is None:
        raise MinisubError("the notebooks are not here: install minisub from its checkout")
    found = []
    for path in sorted(folder.glob("[0-9]*.py")):
        header = re.search(r"(?ms)^# /// script\n(.*?)^# ///$", path.read_text("utf8"))
        text = re.sub(r"(?m)^# ?", "", header[1]) if header else ""
        tool = tomllib.loads(text).get("tool", {})
        about = tool.get("marimo", {}).get("opengraph", {})
        names = about.get("title", path.stem), about.get("description", "")
        found.append(Notebook(path, *names, tuple(tool.get("minisub", {}).get("thumbnail", ()))))
    return found


def pick_notebook(number: str) -> Notebook:
    """Return the notebook of a number such as "03" or "3".

    Raises:
        MinisubError: There is none.
    """
    every = list_notebooks()
    for notebook in every:
        if number.isdecimal() and int(notebook.path.stem[:2]) == int(number):
            return notebook
    known = ", ".join(n.path.stem[:2] for n in every)
    raise MinisubError(f"NOTEBOOK is {number!r}, allowed: {known}")


def is_open_to_others(host: str) -> bool:
    """Return whether others than this machine can reach a server at this address."""
    if host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name, which may be anybody's
        return True


def who_can_come_in(host: str, edit: bool, base_url: str) -> str:
    """Return a line on who else can use a server, and for what; "" where no one else can.

    Args:
        host: The address to listen at.
        edit: Whether the code can be changed.
        base_url: The path at which a proxy shows the server; "" for none.
    """
    may = "run any code on this machine as you" if edit else "train here, in bounds"
    if is_open_to_others(host):
        return (
            f"--host {host} lets other machines in: whoever has the link with its token, printed "
            f"below, can {may}."
        )
    if base_url:
        return (
            f"--base-url {base_url} is for a proxy, which has to ask who a visitor is: whoever "
            f"reaches the address can {may}."
        )
    return ""


def serve(number: str, host: str, port: int, browser: bool, edit: bool, base_url: str = "") -> int:
    """Serve one notebook, or all as a gallery, until stopped; return marimo's exit status.

    Where others can reach its address, marimo asks them for a token, which is in the link that it
    prints. A proxy has to ask its visitors itself.

    Args:
        number: Of the notebook; "" for all.
        host: The address to listen at.
        port: The port.
        browser: Whether a browser is opened.
        edit: Whether the code can be changed.
        base_url: The path at which a proxy shows the server, such as "/user/ann/proxy/2718"; "" for
            none.
    """
    chosen = [pick_notebook(number).path] if number else [n.path for n in list_notebooks()]
    # marimo warns of the headers that its own gallery reads: errors only.
    command = [sys.executable, "-m", "marimo", "--log-level", "ERROR", "edit" if edit else "run"]
    command += map(str, chosen)
    # Visitors may read the code, which is public, and cannot change it.
    command += [] if edit else ["--session-ttl", str(SESSION_SECONDS), "--include-code"]
    command += ["--base-url", base_url] if base_url else []
    command += ["--token"] if is_open_to_others(host) else []
    if warning := who_can_come_in(host, edit, base_url):
        print(f"minisub: {warning}", file=sys.stderr, flush=True)
    command += ["--host", host, "--port", str(port), "--no-sandbox"]
    command += [] if browser else ["--headless"]
    # One thread a visitor: those of several visitors would wait for one another.
    with subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}) as server:
        # Who ends this process, such as a container's host, means the server.
        before = signal.signal(signal.SIGTERM, lambda *_: server.terminate())
        try:
            if any(path.stem.startswith("00") for path in chosen):
                prepare_playground()
            return server.wait()
        except KeyboardInterrupt:  # which the server got as well
            return server.wait()
        finally:
            signal.signal(signal.SIGTERM, before)


def prepare_playground() -> None:
    """Make what page 00 needs for its first student, while the visitor reads: teachers and lists.

    Whatever is wrong with the store, the page says when it is asked to train.
    """
    torch.set_num_threads(1)
    with contextlib.suppress(MinisubError, OSError):
        store = CourseStore(Store.default().folder)
        SeedLab(Config(), 0, store, [0]).marked_lists()  # the owl's, as the form stands at first
