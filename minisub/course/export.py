"""The course as static pages, and the thumbnails of its gallery.

`python -m minisub.course.export` draws the thumbnails from the stored results.
"""

import html
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import marimo

from minisub.common.files import MinisubError, write_file
from minisub.course.app import Notebook, list_notebooks
from minisub.course.plain import read_outputs, to_plain
from minisub.course.show import load_result
from minisub.results import figures
from minisub.viz import style

NET = re.compile(r"https://[^\s\"']*?/@marimo-team/frontend@[^/\s\"']*/dist")  # marimo's front end
OPTIONS = ("-f", "--no-sandbox")

# The plain version of a page stands beside marimo's: on paper and without scripts it is the page.
PLAIN = """<style>
#plain{{display:none;font:17px/1.5 system-ui,sans-serif;color:#222;max-width:44rem;margin:2rem auto;
padding:0 1rem}}
#plain img{{max-width:100%;min-width:0!important}} #plain h4{{margin:1rem 0 .3rem}}
#plain .paragraph{{display:block;margin:.7rem 0}} #plain .control .paragraph{{display:inline}}
#plain .control ul{{list-style:none;padding-left:1rem;margin:.2rem 0}}
#plain .frame{{border:1px solid #bbb;border-radius:6px;padding:.2rem .8rem;margin:.6rem 0}}
#plain table{{border-collapse:collapse;font-size:.85rem}}
#plain th,#plain td{{border-bottom:1px solid #ddd;padding:.15rem .6rem;text-align:left}}
#plain pre{{font-size:.8rem;overflow-x:auto;white-space:pre-wrap}}
#stored{{position:fixed;bottom:0;left:0;right:0;z-index:50;background:#fff8e1;color:#222;
border-top:1px solid #c9a227;padding:.4rem 1rem;font:15px/1.4 system-ui,sans-serif}}
#stored details{{display:inline}}
@media print{{#root,#stored{{display:none!important}}#plain{{display:block}}
html,body{{height:auto!important;overflow:visible!important;position:static!important}}
#plain .frame,#plain img,#plain table{{break-inside:avoid}}}}
</style><noscript><style>#root,#stored{{display:none!important}}#plain{{display:block}}
html,body{{height:auto!important;overflow:visible!important}}</style></noscript>
{note}
<main id="plain"><p><i>A stored page of minisub, the course. Controls show where they stood;
<code>minisub app {number}</code> makes them live.</i></p>{plain}</main>
"""
STORED = """<div id="stored" role="note">A stored page: its controls are not live here.
<code>minisub app {number}</code> makes them live.
<details><summary>Which controls?</summary> {controls}.</details></div>"""
# A page that trains in the browser: its stored copy is there until Python has loaded.
LOADING = """<style>html:not([data-live]) #root{{display:none}}
html:not([data-live]) #plain{{display:block}} html[data-live] #stored{{display:none}}</style>
<div id="stored" role="note">Python is loading, which takes some seconds. Until then this is a
stored copy, and these controls do nothing:
<details><summary>which?</summary> {controls}.</details></div>
<script>new MutationObserver(() => {{
  if (document.querySelector("#root h1")) document.documentElement.dataset.live = "";
}}).observe(document.documentElement, {{ subtree: true, childList: true }});</script>"""
INDEX_ROW = '<li><a href="{file}">{picture}{title}</a><br>{description}</li>'
STORED_PAGES = (
    "Each page holds its notebook with all outputs. Controls need <code>minisub app</code>."
)
LIVE_PAGES = "Each page trains in your browser; nothing need be installed."

PAGE = """<!doctype html><html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>minisub: the course</title>
<style>body{{font:17px/1.5 system-ui,sans-serif;color:#222;max-width:44rem;margin:2rem auto;
padding:0 1rem}}li{{margin:1.2rem 0}}
img{{display:block;max-width:100%;border:1px solid #ddd}}a{{color:#005b8f}}</style>
<h1>minisub: the course</h1><p>{told}</p><ol start="0">{rows}</ol></html>
"""


def export_course(folder: Path, offline: bool = False) -> list[Path]:
    """Write every notebook as one HTML file with its outputs, and an index; return the files.

    Args:
        folder: Where they are written; the index is the last of the files.
        offline: Copy marimo's front end beside them, so that they need no net, but a web server:
            browsers load no modules from plain files.

    Raises:
        MinisubError: A page cannot be written.
    """
    written, rows = [], []
    for notebook in list_notebooks():
        out = folder / f"{notebook.path.stem}.html"
        stored = page_text(notebook)
        page = with_plain(stored, stored, notebook.path.stem[:2])
        write_file(out, (NET.sub("./marimo", page) if offline else page).encode())
        picture = ""
        if notebook.thumbnail.exists():
            shutil.copyfile(notebook.thumbnail, out.with_suffix(".png"))
            picture = f'<img src="{out.stem}.png" alt="" width="600" height="315" loading="lazy">'
        written.append(out)
        rows.append(index_row(notebook, out.name, picture))
    if offline:
        front = Path(marimo.__file__).parent / "_static"
        shutil.copytree(front, folder / "marimo", dirs_exist_ok=True)
    index = folder / "index.html"
    write_file(index, PAGE.format(told=STORED_PAGES, rows="".join(rows)).encode())
    return [*written, index]


def index_row(notebook: Notebook, file: str, picture: str = "") -> str:
    """Return a page's line of the index.

    Args:
        notebook: The page.
        file: Where it is.
        picture: Its picture, in HTML.
    """
    title, description = html.escape(notebook.title), html.escape(notebook.description)
    return INDEX_ROW.format(file=file, picture=picture, title=title, description=description)


def run_marimo(source: Path, out: Path, *options: str) -> None:
    """Export a notebook by marimo.

    Args:
        source: The notebook.
        out: The file to write.
        *options: Of `marimo export`, from its kind on.

    Raises:
        MinisubError: marimo cannot.
    """
    kind, *rest = options
    command = [sys.executable, "-m", "marimo", "--log-level", "ERROR", "export", kind]
    command += [str(source), "-o", str(out), *OPTIONS, *rest]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not out.exists():
        why = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise MinisubError(f"cannot export {source.name}: {' '.join(why)}")


def page_text(notebook: Notebook) -> str:
    """Return a page with its outputs as marimo exports it, to be read and not to be changed.

    Args:
        notebook: The page.

    Raises:
        MinisubError: marimo cannot export it.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "page.html"
        run_marimo(notebook.path, out, "html")
        return out.read_text("utf8")


def with_plain(page: str, stored: str, number: str, is_live: bool = False) -> str:
    """Return a page with a plain version of its outputs, and a line on what its controls do.

    Args:
        page: What a browser with scripts shows.
        stored: The page with its outputs, as marimo exports it.
        number: Of the notebook, such as "03".
        is_live: Whether the page computes once it has loaded.
    """
    plain, controls = to_plain(read_outputs(stored))
    told = html.escape("; ".join(controls))
    note = (LOADING if is_live else STORED).format(number=number, controls=told)
    added = PLAIN.format(number=number, note=note, plain=plain)
    body = re.search(r"<body[^>]*>", page)
    assert body is not None
    return page[: body.end()] + added + page[body.end() :]


def draw_thumbnail(notebook: Notebook) -> bytes:
    """Return the transfer of some arms of a stored result, as a PNG."""
    finding, *arms = notebook.pictured
    figure = style.new_figure(6.0, 3.15)
    axes = figure.subplots()
    figures.arm_bars(axes, load_result(finding), arms)
    style.finish(axes, x="transfer of the bias, nats", scale=1.45)
    return style.to_bytes(figure)


if __name__ == "__main__":
    for each in list_notebooks():
        each.thumbnail.parent.mkdir(parents=True, exist_ok=True)
        write_file(each.thumbnail, draw_thumbnail(each))
