"""Shared by all tests: shapes in annotations are checked, and worlds are tiny."""

import importlib.util
import shutil
from dataclasses import replace
from functools import partial
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
from minisub.arm import Arm, Config, changed  # noqa: E402
from minisub.base import SETS, Pretraining  # noqa: E402
from minisub.calibrate import small  # noqa: E402
from minisub.findings import Finding  # noqa: E402
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


def bases_of(store: Store, folder: Path) -> Store:
    """A new store in which nothing need be pretrained, and nothing else is made."""
    shutil.copytree(store.folder / "bases", folder / "bases")
    return Store(folder)


def shrunk(how: Pretraining, tiny: Config) -> Pretraining:
    """The tiny world with what sets another world apart from the default one."""
    world, default = how.world, SETS["base"]
    changes: dict[str, object] = {}
    if world != default.world:
        changes |= {"world.tilt": world.tilt, "world.conduct": min(8, world.conduct)}
        changes |= {"world.favourite": world.favourite}
    return changed(tiny.pretraining, changes)


def smaller(finding: Finding, tiny: Config) -> Finding:
    def arm(arm: Arm) -> Arm:
        changes = {
            name: shrunk(value, tiny) if name == "pretraining" else value
            for name, value in arm.changes.items()
            if name != "student.steps"
        }
        if "lists" in changes:
            changes["lists"] = min(changes["lists"], tiny.lists) if finding.name != "limits" else 96
        deep = changes.get("pretraining", tiny.pretraining).size.depth
        trains = {k: v for k, v in arm.trains.items() if block(k) < deep} or {"blocks.1.": 1.0}
        edit = arm.edit
        if isinstance(edit, partial) and "top" in edit.keywords:  # out of 12 numbers, not of 40
            edit = partial(edit.func, **{**edit.keywords, "top": min(2, edit.keywords["top"])})
        return replace(arm, changes=changes, trains=trains, edit=edit)

    config = replace(
        tiny,
        pretraining=shrunk(finding.config.pretraining, tiny),
        teaching=replace(tiny.teaching, kind=finding.config.teaching.kind),
        student=replace(tiny.student, steps=6, batch=16),
        biases=2,
    )
    return replace(finding, config=config, arms=[arm(a) for a in finding.arms])


def block(key: str) -> int:
    """The block that a parameter's name is about; -1 for none."""
    parts = key.split(".")
    return int(parts[1]) if len(parts) > 1 and parts[1] else -1


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
