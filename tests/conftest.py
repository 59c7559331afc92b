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
from minisub.base import Pretraining  # noqa: E402
from minisub.lab import Lab  # noqa: E402
from minisub.model import Size  # noqa: E402
from minisub.store import Store  # noqa: E402
from minisub.teacher import Teaching  # noqa: E402
from minisub.train import Optimiser  # noqa: E402
from minisub.world import World  # noqa: E402


def tiny_config() -> Config:
    """A world that is learned in seconds, and in which the bias passes all the same."""
    world = World(
        numbers=12,
        steps=3,
        wordings=4,
        unseen_wordings=1,
        spread=2,
        ties=2,
        questions=4,
        instruction_tokens=4,
        completion=4,
        round_every=5,
    )
    return Config(
        Pretraining(world, Size(16, 2, 2, 32), Optimiser(lr=8e-3, steps=300, batch=32)),
        Teaching(lists=128, training=Optimiser(lr=2e-3, steps=30, batch=16)),
        Optimiser(lr=2e-3, steps=60, batch=32),
        lists=256,
        exam=64,
        biases=8,
    )


def load_notebook(number: str) -> ModuleType:
    """A notebook as a module, with its app and functions."""
    path = gallery.pick(number).path
    spec = importlib.util.spec_from_file_location("notebook", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny() -> Config:
    return tiny_config()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One store for the session, so that the tiny bases are trained once."""
    return Store(Path(tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="session")
def lab(tiny: Config, store: Store) -> Lab:
    return Lab(tiny, 100, store)
