"""Pages in Pyodide, if MINISUB_PYODIDE names a folder of it (`python pyodide_folder.py FOLDER`)."""

import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from browsing import CHROMIUM, serving_files, trained
from test_wasm_kernel import SHAPE, example

from minisub.course import app, live_export
from minisub.transformer.kernel import browser_kernel

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
FOLDER = Path(os.environ.get("MINISUB_PYODIDE", "no folder"))
LOCK = FOLDER / "pyodide-lock.json"
HAS_NUMPY = LOCK.exists() and "numpy" in json.loads(LOCK.read_text())["packages"]
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here"),
    pytest.mark.skipif(not LOCK.exists(), reason="MINISUB_PYODIDE names no folder of Pyodide"),
]
needs_uv = pytest.mark.skipif(shutil.which("uv") is None, reason="no uv here (extra `live`)")


@contextmanager
def alone(address: str, elsewhere: list[str]) -> Iterator[Any]:
    """Open a page that gets nothing from other hosts; note what it asks them for."""

    def refuse(route: Any) -> None:
        elsewhere.append(route.request.url)
        route.abort()

    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1200, "height": 1000})
        # Of the context: workers, in which Python runs, ask for files too.
        context.route(lambda url: not url.startswith((address, "blob:", "data:")), refuse)
        yield context.new_page()
        browser.close()


@pytest.fixture
def browser_of_marimo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put chromium where marimo's export looks for playwright's own."""
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "browsers"))
    look = (
        "from playwright.sync_api import sync_playwright as start\nwith start() as p:\n"
        "    try: p.chromium.launch()\n    except Exception as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    found = re.search(r"exist at (\S+)", told.stdout)
    assert found is not None, told.stdout
    place = Path(found[1])
    place.parent.mkdir(parents=True)
    place.write_text(f'#!/bin/sh\nexec {CHROMIUM} --no-sandbox --headless "$@"\n')
    place.chmod(0o755)


CALL = """
import base64, ctypes
kernel = ctypes.CDLL("/tmp/kernel.wasm")
flat, tokens = (bytearray(base64.b64decode(x)) for x in (flat, tokens))
out = bytearray(4 * n_out)
def address(raw):
    return ctypes.c_void_p(ctypes.addressof((ctypes.c_char * len(raw)).from_buffer(raw)))
failed = kernel.logits(
    2, ctypes.c_int64(64), length, 8, ctypes.c_int64(n_params),
    address(flat), address(tokens), 0, address(out),
)
assert not failed
base64.b64encode(out).decode()
"""


def test_pyodide_loads_the_kernel(tmp_path: Path) -> None:
    """As minisub does, by ctypes; the logits are torch's."""
    model, data = example()
    tokens = data.tokens[:, :, :-1].contiguous()
    with torch.no_grad():
        expected = model(tokens, n_last=8)
    (tmp_path / "index.html").write_text("<!doctype html>")
    shutil.copy(browser_kernel(SHAPE), tmp_path / "kernel.wasm")
    (tmp_path / "pyodide").symlink_to(FOLDER.resolve())
    given = {
        "flat": base64.b64encode(model.flat_params.numpy().tobytes()).decode(),
        "tokens": base64.b64encode(tokens.numpy().tobytes()).decode(),
        "length": tokens.shape[-1],
        "n_params": SHAPE.n_params,
        "n_out": expected.numel(),
    }
    with serving_files(tmp_path) as address, alone(address, []) as page:
        page.goto(address)
        found = page.evaluate(
            """async ([code, given]) => {
                const {loadPyodide} = await import("/pyodide/pyodide.mjs");
                const pyodide = await loadPyodide();
                const kernel = await (await fetch("/kernel.wasm")).arrayBuffer();
                pyodide.FS.writeFile("/tmp/kernel.wasm", new Uint8Array(kernel));
                for (const [name, value] of Object.entries(given)) pyodide.globals.set(name, value);
                return pyodide.runPython(code);
            }""",
            [CALL, given],
        )
    logits = torch.frombuffer(bytearray(base64.b64decode(found)), dtype=torch.float32)
    torch.testing.assert_close(logits.view_as(expected), expected, rtol=1e-4, atol=2e-5)


PAGE = """# /// script
# requires-python = ">=3.11"
# dependencies = ["minisub"]
# [tool.uv.sources]
# minisub = { path = "..", editable = true }
# ///

import marimo

app = marimo.App(html_head_file="head.html")

with app.setup:
    import marimo as mo


@app.cell
def _():
    import ctypes
    import os
    import sys
    import warnings
    from importlib.util import find_spec
    from pathlib import Path

    told = []
    if sys.platform == "emscripten":
        package = Path(find_spec("minisub").origin).parent
        for kernel in sorted((package / "bundled").glob("*.wasm")):
            told.append(f"{kernel.name}: {ctypes.CDLL(str(kernel)).logits is not None}")
        for name in ("torch", "scipy"):
            text = (Path(find_spec(name).origin)).read_text()
            told.append(f"{name}: {'minisub' in text}")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for source in package.rglob("*.py"):
                compile(source.read_text("utf8"), source, "exec")
        store = Path(os.environ["MINISUB_STORE"])
        told += [p.relative_to(store).as_posix() for p in store.rglob("*.safetensors")]
    mo.md("# The page\\n\\n" + "\\n\\n".join(told))
    return


if __name__ == "__main__":
    app.run()
"""


@needs_uv
@pytest.mark.usefixtures("browser_of_marimo")
def test_a_folder_needs_no_other_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page without numpy: the wheels, kernels and teachers that lie beside it arrive."""
    source = tmp_path / "notebooks" / "90_page.py"
    source.parent.mkdir()
    source.write_text(PAGE)
    shutil.copy(app.list_notebooks()[0].path.parent / "head.html", source.parent)
    notebook = app.Notebook(source, "The page", "A page.")
    monkeypatch.setattr(live_export, "list_notebooks", lambda: [notebook])
    monkeypatch.setattr(live_export, "NEEDED", ())
    shipped = {"store/teachers/one.safetensors": b"", "store/lists/two.safetensors": b""}
    monkeypatch.setattr(live_export, "teachers_zip", lambda *_: archive(shipped))
    out, elsewhere = tmp_path / "out", list[str]()
    with serving_files(FOLDER) as pyodide:
        live_export.export_live(out, offline=True, pyodide_url=pyodide)
    with serving_files(out) as address, alone(address, elsewhere) as page:
        page.goto(address + "90_page.html", wait_until="commit")
        page.wait_for_selector("#plain h1", timeout=10_000)
        readable = page.evaluate("performance.now()") / 1000
        page.wait_for_selector("#root >> text=teachers/one.safetensors", timeout=120_000)
        live = page.evaluate("performance.now()") / 1000
        text = page.locator("#root").inner_text()
    size = sum(f.stat().st_size for f in out.rglob("*") if f.is_file()) / 1e6
    print(f"readable after {readable:.1f} s, live after {live:.1f} s, {size:.0f} MB")
    assert "lists/two.safetensors" in text
    assert text.count(".wasm: True") == 2
    assert "torch: True" in text
    assert "scipy: True" in text
    assert not elsewhere
    assert readable < 3
    assert live < 25


def archive(files: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as out:
        for name, content in files.items():
            out.writestr(name, content)
    return raw.getvalue()


def press_train(page: Any) -> tuple[float, float]:
    """Return what has passed, in nats, and after how many seconds."""
    start = time.perf_counter()
    return trained(page), time.perf_counter() - start


@needs_uv
@pytest.mark.skipif(not HAS_NUMPY, reason="MINISUB_PYODIDE has no numpy, matplotlib, safetensors")
@pytest.mark.usefixtures("browser_of_marimo")
def test_the_course_trains_in_a_tab(tmp_path: Path) -> None:
    """The whole folder: the surprise, from opening to verdict, on the kernel, within its times."""
    elsewhere, out = list[str](), tmp_path / "out"
    with serving_files(FOLDER) as pyodide:
        live_export.export_live(out, offline=True, pyodide_url=pyodide)
    size = sum(f.stat().st_size for f in out.rglob("*") if f.is_file()) / 1e6
    with serving_files(out) as address, alone(address, elsewhere) as page:

        def open_it() -> float:
            page.goto(address + "00_playground.html", wait_until="commit")
            page.wait_for_selector("#root >> text=This tab computes", timeout=120_000)
            assert "with minisub's kernel" in page.locator("#root").inner_text()
            return float(page.evaluate("performance.now()")) / 1000

        live = open_it()
        nats, took = press_train(page)
        (out / "public" / "teachers.zip").write_bytes(archive({}))
        open_it()
        again, longer = press_train(page)
    print(f"{size:.0f} MB, live after {live:.1f} s, {nats:+.2f} nats after {took:.1f} s,")
    print(f"{again:+.2f} after {longer:.1f} s with teachers trained in the tab")
    assert min(nats, again) > 0.25
    assert live < 25
    assert took < 10
    assert longer < 25
    assert size < 90
    assert not elsewhere
