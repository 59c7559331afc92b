"""The course as a folder for any static host, whose pages train in the visitor's browser.

Each page is marimo's export to WebAssembly. Beside it lie minisub and the stand-ins for torch and
scipy as wheels, which marimo installs in the page, and teachers that were made before.
"""

import io
import re
import shutil
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from minisub.common.files import MinisubError, write_file
from minisub.common.provenance import PACKAGE
from minisub.common.store import Store
from minisub.course.app import Notebook, list_notebooks
from minisub.course.examples import PAGES
from minisub.course.export import (
    LIVE_PAGES,
    PAGE,
    index_row,
    page_text,
    run_marimo,
    with_plain,
)
from minisub.course.live import SEEDS
from minisub.experiment.config import Config
from minisub.experiment.seed_lab import SeedLab
from minisub.findings import every_finding

BROWSER = PACKAGE / "course" / "browser"
STAND_INS = ("torch", "scipy")  # which browsers get instead of the packages
# What pages import, by the names that Pyodide knows. The versions are those of its distribution.
NEEDED = ("numpy", "matplotlib", "safetensors", "jaxtyping", "tqdm", "cloudpickle")
HEADER = re.compile(r"(?m)^# dependencies = .*\n# \[tool\.uv\.sources\]\n# minisub = .*\n")
SETUP = "with app.setup:\n"
TEACHERS, WHEELS = "teachers.zip", "public/wheels"  # where marimo looks for wheels
# The first lines of a page in a browser: fetch the teachers, which lie beside it. They leave no
# name behind, as a page may define a name only once.
PRELUDE = """    def _fetch_teachers():
        import io
        import os
        import zipfile

        import js
        import marimo as mo

        os.environ["MINISUB_STORE"] = "/tmp/minisub/store"
        request = js.XMLHttpRequest.new()
        request.open("GET", f"{mo.notebook_location()}/public/teachers.zip", False)
        request.responseType = "arraybuffer"
        request.send()
        if request.status != 200:
            raise RuntimeError(f"no teachers beside this page: status {request.status}")
        zipfile.ZipFile(io.BytesIO(request.response.to_bytes())).extractall("/tmp/minisub")

    if __import__("sys").platform == "emscripten":
        _fetch_teachers()

"""


def wheel(name: str, files: Mapping[str, Path]) -> tuple[str, bytes]:
    """Return the name and the content of a wheel without dependencies.

    Args:
        name: Of the package.
        files: What it holds: the path of each in the wheel, and where it is.
    """
    number = version("minisub")
    about = f"{name}-{number}.dist-info"
    texts = {
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: minisub\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    listed = [*files, *texts, f"{about}/RECORD"]
    texts[f"{about}/RECORD"] = "".join(f"{path},,\n" for path in listed)
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as out:
        for path, source in sorted(files.items()):
            out.writestr(zipfile.ZipInfo(path), source.read_bytes(), zipfile.ZIP_DEFLATED)
        for path, text in texts.items():
            out.writestr(zipfile.ZipInfo(path), text, zipfile.ZIP_DEFLATED)
    return f"{name}-{number}-py3-none-any.whl", raw.getvalue()


def package_wheels() -> dict[str, bytes]:
    """Return the wheels of minisub and of the stand-ins, by file name."""
    own = {
        str(Path("minisub") / path.relative_to(PACKAGE)): path
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
        if not {BROWSER / name for name in STAND_INS} & set(path.parents)
        if "notebooks" not in path.relative_to(PACKAGE).parts
    }
    stand_ins = {
        str(path.relative_to(BROWSER)): path
        for name in STAND_INS
        for path in (BROWSER / name).rglob("*.py")
    }
    return dict((wheel("minisub", own), wheel("minisub_stand_ins", stand_ins)))


def page_configs() -> list[Config]:
    """Return the configurations of all pages that train."""
    found = [Config(), *(every_finding()[finding].config for finding, _ in PAGES.values())]
    by_key = {str((c.base.as_dict(), c.teacher)): c for c in found}
    return list(by_key.values())


def teachers_zip(configs: Sequence[Config], seeds: Sequence[int]) -> bytes:
    """Return an archive of a store that has the teachers of some seeds.

    The pages find them there, as the keys of the store are those of the same sources.

    Args:
        configs: Of the pages.
        seeds: The seeds.
    """
    raw = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        for config in configs:
            for seed in seeds:
                lab = SeedLab(config, seed, Store(folder), [0])
                if config.teacher.kind != "prompted":  # whose weights are the base's
                    _ = lab.teachers  # made, and kept in the store
        with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as out:
            for path in sorted(Path(folder).rglob("*.safetensors")):
                out.write(path, str(Path("store") / path.relative_to(folder)))
    return raw.getvalue()


def for_browser(code: str, wheels: Sequence[str]) -> str:
    """Return a page's code for a browser: other dependencies, and lines that fetch the teachers.

    Args:
        code: Of the notebook.
        wheels: Names of the wheels beside it, which marimo publishes.

    Raises:
        MinisubError: It has no header or no setup cell.
    """
    if not HEADER.search(code) or code.count(SETUP) != 1:
        raise MinisubError("a page of the course has a header and one setup cell")
    own = {file.split("-")[0]: file for file in wheels}
    needed = ", ".join(f'"{name}"' for name in (*own, *NEEDED))
    lines = [f"# dependencies = [{needed}]", "# [tool.uv.sources]"]
    lines += [f'# {name} = {{ path = "{WHEELS}/{file}" }}' for name, file in own.items()]
    code = HEADER.sub(lambda _: "\n".join(lines) + "\n", code)
    return code.replace(SETUP, SETUP + PRELUDE)


def export_live(
    folder: Path,
    offline: bool = False,
    pyodide_url: str = "",
    seeds: Sequence[int] = tuple(SEEDS.values()),
) -> list[Path]:
    """Write all pages so that they train in a browser, and an index; return the pages and it.

    Args:
        folder: Where they are written; the index is the last of the files.
        offline: Have marimo copy Python and its packages beside them. It needs the net for that,
            `uv` and a chromium of playwright.
        pyodide_url: Where Python and its packages are copied from, if not from Pyodide's own host.
        seeds: Whose teachers are made before.

    Raises:
        MinisubError: A page cannot be written.
    """
    wheels = package_wheels()
    more = ["--offline"] if offline else []
    more += ["--pyodide-index-url", pyodide_url] if pyodide_url else []
    write_file(folder / "public" / TEACHERS, teachers_zip(page_configs(), seeds))
    written, rows = [], []
    for notebook in list_notebooks():
        out = folder / f"{notebook.path.stem}.html"
        _export_page(notebook, out, wheels, more)
        written.append(out)
        rows.append(index_row(notebook, out.name))
    (folder / "CLAUDE.md").unlink(missing_ok=True)  # marimo's notes for its own users
    index = PAGE.format(told=LIVE_PAGES, rows="".join(rows))
    write_file(folder / "index.html", index.encode())
    return [*written, folder / "index.html"]


def _export_page(
    notebook: Notebook, out: Path, wheels: Mapping[str, bytes], more: Sequence[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        staging = Path(folder)
        source = staging / notebook.path.name
        source.write_text(for_browser(notebook.path.read_text("utf8"), list(wheels)), "utf8")
        shutil.copyfile(notebook.path.parent / "head.html", staging / "head.html")
        for name, content in wheels.items():
            write_file(staging / WHEELS / name, content)
        run_marimo(source, out, "html-wasm", "--mode", "run", *more)
    stored = page_text(notebook)
    page = with_plain(out.read_text("utf8"), stored, notebook.path.stem[:2], is_live=True)
    write_file(out, page.encode())
