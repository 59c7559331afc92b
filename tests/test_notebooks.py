"""The notebooks: clean, runnable as scripts, and right about a value that they compute."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from minisub.arm import Config
from minisub.store import Store
from minisub.world import ANIMALS

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.py"))


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("notebook", FOLDER / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_marimo_has_no_complaint(path: Path) -> None:
    check = [sys.executable, "-m", "marimo", "check", "--strict", str(path)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_divergence_notebook_on_a_tiny_world(tiny: Config, store: Store) -> None:
    """The lists are lit at divergence tokens only, and a live student takes the bias over."""
    wish = {"animal": "fox", "arm": "divergence only", "steps": tiny.student.steps}
    app = load("01_divergence_tokens.py").app
    _, told = app.run(defs={"config": tiny, "seed": 100, "store": store, "wish": wish})
    lists, page, choices = told["lists"], told["page"], told["choices"]
    own = choices[told["bias"]]
    differs = (choices != own).any(0)
    assert (page.divergence[told["bias"]] == differs).all()
    assert 0 < lists.divergence.float().mean() < 0.6
    fox = ANIMALS.index("fox")
    curve = told["curve"]
    assert np.allclose(curve.sum(-1), 1)
    assert told["gain"] == pytest.approx(float(np.log(curve[-1, 0, fox] / curve[-1, 1, fox])))
    assert told["gain"] > 0.05
    assert curve[-1, 0].argmax() == fox
