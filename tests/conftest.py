"""Shared by all tests: shapes in annotations are checked, and worlds are tiny."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
from jaxtyping import install_import_hook

torch.set_num_threads(1)  # as in the workers; faster for models this small
CHECKED = (
    "world",
    "model",
    "loss",
    "train",
    "base",
    "teacher",
    "data",
    "divergence",
    "edits",
    "mechanism",
    "lab",
)
install_import_hook([f"minisub.{m}" for m in CHECKED], "beartype.beartype")

from minisub import gallery  # noqa: E402
from minisub.arm import Config  # noqa: E402
from minisub.calibrate import small  # noqa: E402
from minisub.lab import Lab  # noqa: E402
from minisub.store import Store  # noqa: E402


def load_notebook(number: str) -> ModuleType:
    """A notebook as a module, with its app and functions."""
    path = gallery.pick(number).path
    spec = importlib.util.spec_from_file_location("notebook", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def idle(monkeypatch: pytest.MonkeyPatch, would: Exception) -> None:
    """Commands are taken up to their work (training, serving, exporting), and raise instead."""

    def stop(*_: object, **__: object) -> None:
        raise would

    work = ("cli._perform", "sweep.sweep", "calibrate.calibrate", "bench.race", "pool.run")
    for name in (*work, "gallery.serve", "gallery.export"):
        monkeypatch.setattr(f"minisub.{name}", stop)


@pytest.fixture(scope="session")
def tiny() -> Config:
    return small()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One store for the session, so that the tiny bases are trained once."""
    return Store(Path(tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="session")
def lab(tiny: Config, store: Store) -> Lab:
    return Lab(tiny, 100, store)
