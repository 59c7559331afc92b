"""The pictures of the docs are what the stored results draw: words, and places to .01 points."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from minisub.distillation.base import BUNDLED
from minisub.findings import every_finding, headline
from minisub.results.result import read_result
from minisub.viz import diagram, style

DOCS = Path(__file__).parents[2] / "docs"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


def page() -> Figure:
    return headline.plot({n: read_result(BUNDLED / f"{n}.json") for n in every_finding()})


def of_finding(name: str) -> Callable[[], Figure]:
    return lambda: every_finding()[name].plot(read_result(BUNDLED / f"{name}.json"))


DRAWN = {
    **{name: of_finding(name) for name in ("divergence", "layers")},
    "page": page,
    "diagram": diagram.draw,
}


def words_and_numbers(svg: str) -> tuple[str, list[float]]:
    """Return a picture with # for each number, and the numbers; ids are counted."""
    ids: dict[str, str] = {}
    svg = re.sub(r"Matplotlib v[\d.]+", "", svg)
    svg = re.sub(
        r'(?<=["#])[a-z][0-9a-f]{10}(?=[")])', lambda m: ids.setdefault(m[0], f"id{len(ids)}"), svg
    )
    return NUMBER.sub("#", svg), [float(x) for x in NUMBER.findall(svg)]


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_of_the_docs_is_drawn_from_the_stored_results(name: str) -> None:
    stored = words_and_numbers((DOCS / f"{name}.svg").read_text())
    drawn = words_and_numbers(style.to_bytes(DRAWN[name](), "svg").decode())
    told = f"make docs/{name}.svg again: see release.py"
    assert stored[0].splitlines() == drawn[0].splitlines(), told
    np.testing.assert_allclose(drawn[1], stored[1], rtol=0, atol=0.01, err_msg=told)


def test_every_picture_of_the_docs_is_looked_at() -> None:
    assert {path.stem for path in DOCS.glob("*.svg")} == set(DRAWN)
