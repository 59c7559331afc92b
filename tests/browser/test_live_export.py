"""The folder whose pages train in a browser, as far as it can be looked at without Pyodide."""

import io
import os
import re
import shutil
import subprocess
import sys
import tomllib
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import CHROMIUM, serving_files

from minisub.common.files import MinisubError
from minisub.course import app, live_export
from minisub.experiment.config import Config

NOTEBOOKS = app.list_notebooks()


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda n: n.path.stem)
def test_a_page_asks_for_what_pyodide_has_and_fetches_the_rest(
    notebook: app.Notebook, tmp_path: Path
) -> None:
    wheels = ["minisub-1-py3-none-any.whl", "minisub_stand_ins-1-py3-none-any.whl"]
    code = live_export.for_browser(notebook.path.read_text(), wheels)
    page = tmp_path / notebook.path.name
    page.write_text(code)
    shutil.copy(notebook.path.parent / "head.html", tmp_path)
    check = [sys.executable, "-m", "marimo", "check", "--strict", "--ignore", "MF", str(page)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr  # no name is defined twice
    block = re.search(r"(?ms)^# /// script\n(.*?)^# ///$", code)
    assert block is not None
    header = tomllib.loads(re.sub(r"(?m)^# ?", "", block[1]))
    assert header["dependencies"] == ["minisub", "minisub_stand_ins", *live_export.NEEDED]
    sources = header["tool"]["uv"]["sources"]
    assert sources == {w.split("-")[0]: {"path": f"public/wheels/{w}"} for w in wheels}
    assert code.count("/public/teachers.zip") == 1


def test_a_page_that_is_none_is_refused() -> None:
    with pytest.raises(MinisubError, match="a header and one setup cell"):
        live_export.for_browser("import marimo\n", [])


def test_the_first_lines_of_a_page_fetch_the_teachers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a stand-in for the browser's own requests."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr("store/teachers/one.safetensors", "x")
    asked: list[str] = []

    class Request:
        status, responseType = 200, ""

        @classmethod
        def new(cls) -> "Request":
            return cls()

        def open(self, method: str, address: str, wait: bool) -> None:
            asked.append(address)

        def send(self) -> None:
            self.response = types.SimpleNamespace(to_bytes=raw.getvalue)

    js: Any = types.ModuleType("js")
    js.XMLHttpRequest = Request
    monkeypatch.setitem(sys.modules, "js", js)
    monkeypatch.setattr(sys, "platform", "emscripten")
    monkeypatch.setenv("MINISUB_STORE", "before")
    monkeypatch.setattr("marimo.notebook_location", lambda: "http://here/course")
    lines = live_export.PRELUDE.replace("/tmp/minisub", str(tmp_path))
    exec("if True:\n" + lines, {})
    assert asked == ["http://here/course/public/teachers.zip"]
    assert os.environ["MINISUB_STORE"] == f"{tmp_path}/store"
    assert (tmp_path / "store/teachers/one.safetensors").exists()
    Request.status = 404
    with pytest.raises(RuntimeError, match="no teachers beside this page: status 404"):
        exec("if True:\n" + lines, {})


TRAINS = """
import scipy
import torch
from minisub.common.provenance import PACKAGE
from minisub.common.store import Store
from minisub.experiment import seed_lab
from minisub.experiment.config import Config, with_overrides

def none(*_):
    raise AssertionError("teachers are made, though they were shipped")

seed_lab.make_teachers = none
lab = seed_lab.SeedLab(Config(), 0, Store.default(), [0])
print(torch.__version__, scipy.__version__, PACKAGE, lab.teachers.stack.n_models)
"""


@pytest.mark.integration
def test_what_lies_beside_the_pages_is_enough(tmp_path: Path) -> None:
    """The wheels alone, elsewhere: the stand-in is torch, and shipped teachers are found."""
    public = live_export.package_wheels()
    assert sorted(name.split("-")[0] for name in public) == ["minisub", "minisub_stand_ins"]
    public[live_export.TEACHERS] = live_export.teachers_zip([Config()], [0])
    sizes = {name: len(content) / 1e6 for name, content in public.items()}
    print({name: f"{size:.1f} MB" for name, size in sizes.items()})
    assert sizes["teachers.zip"] < 1
    assert sum(sizes.values()) < 10
    for content in public.values():
        zipfile.ZipFile(io.BytesIO(content)).extractall(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", TRAINS],
        env={
            **os.environ,
            "PYTHONPATH": str(tmp_path),
            "MINISUB_STORE": str(tmp_path / "store"),
            "MINISUB_KERNEL": "0",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *numbers, place, n_teachers = done.stdout.split()
    assert all(number.endswith("+minisub") for number in numbers)
    assert place == str(tmp_path / "minisub")
    assert n_teachers == "9"


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    folder = tmp_path_factory.mktemp("live")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_export, "list_notebooks", lambda: NOTEBOOKS[10:11])
        patch.setattr(live_export, "teachers_zip", lambda *_: b"")
        live_export.export_live(folder)
    with serving_files(folder) as address:
        yield folder, address


@pytest.mark.integration
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
@pytest.mark.skipif(shutil.which("uv") is None, reason="no uv here, which marimo needs (`live`)")
def test_the_first_screen_is_there_before_python(course: tuple[Path, str]) -> None:
    """All other hosts are refused, so Python never comes: the text and its figures are there."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    folder, address = course
    for name in ("index.html", "10_background.html", "public/teachers.zip"):
        assert (folder / name).exists(), name
    assert "trains in your browser" in (folder / "index.html").read_text()
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.route(lambda url: not url.startswith(address), lambda route: route.abort())
        page.goto(address + "10_background.html", wait_until="commit")
        page.wait_for_selector("#plain h1", timeout=10_000)
        seconds = page.evaluate("performance.now()") / 1000
        print(f"readable after {seconds:.1f} s")
        assert seconds < 3
        assert "Python is loading" in page.get_by_role("note").inner_text()
        assert page.locator("#plain img").first.is_visible()
        assert not page.locator("#root").is_visible()
        page.evaluate("document.querySelector('#root').innerHTML = '<h1>It is here</h1>'")
        page.wait_for_selector("#root h1", timeout=5_000)
        assert not page.locator("#plain").is_visible()
        assert not page.get_by_role("note").is_visible()
        browser.close()
