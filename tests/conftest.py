"""Shared by all tests: shapes in annotations are checked, worlds are tiny, stores are new."""

import atexit
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
import torch
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

torch.set_num_threads(1)  # as in the workers; faster for models this small
# One folder a session instead of the user's cache: workers and other processes inherit it, so that
# a kernel is compiled once.
if "MINISUB_TESTS" not in os.environ:
    os.environ["MINISUB_TESTS"] = tempfile.mkdtemp(prefix="minisub-tests-")
    atexit.register(shutil.rmtree, os.environ["MINISUB_TESTS"], ignore_errors=True)
os.environ.setdefault("MINISUB_STORE", f"{os.environ['MINISUB_TESTS']}/store")
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", f"{os.environ['MINISUB_TESTS']}/hypothesis")
settings.register_profile(
    "the same draws every time",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("the same draws every time")
CHECKED = (
    *("world", "transformer", "distillation", "mechanism"),
    *("experiment.seed_lab", "experiment.students"),
)
install_import_hook([f"minisub.{package}" for package in CHECKED], "beartype.beartype")
sys.path.insert(0, str(Path(__file__).parent))  # helpers are shared by all folders

from minisub.common.store import Store  # noqa: E402
from minisub.course import app  # noqa: E402
from minisub.devtools.calibration_students import small_config  # noqa: E402
from minisub.distillation.base import BASE_SETS, BaseConfig  # noqa: E402
from minisub.experiment.arm import Arm  # noqa: E402
from minisub.experiment.config import Config, with_overrides  # noqa: E402
from minisub.experiment.seed_lab import SeedLab  # noqa: E402
from minisub.experiment.students import Students  # noqa: E402
from minisub.findings import Finding  # noqa: E402
from minisub.transformer import kernel  # noqa: E402


def load_notebook(number: str) -> ModuleType:
    """Return a notebook as a module, with its app and functions."""
    path = app.pick_notebook(number).path
    spec = importlib.util.spec_from_file_location("notebook", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stop_before_work(monkeypatch: pytest.MonkeyPatch, would: Exception) -> None:
    """Replace the work of every command (training, serving, exporting) by an exception.

    What a command does before, such as checks of its options, stays as it is.
    """

    def stop(*_: object, **__: object) -> None:
        raise would

    work = (
        *("cli.commands.perform", "experiment.sweep.run_sweep", "common.processes.run_jobs"),
        "cli.commands.check",
        *("devtools.learning_rates.tune", "devtools.calibration.calibrate"),
        *(
            "devtools.benchmark.race",
            "course.app.serve",
            "course.export.export_course",
            "course.live_export.export_live",
            "course.handout.write_handout",
        ),
    )
    for name in work:
        monkeypatch.setattr(f"minisub.{name}", stop)


@contextmanager
def replaced_findings(findings: dict[str, Finding]) -> Iterator[None]:
    """Put other findings into `FINDINGS`, and the true ones back at the end, in their order."""
    from minisub.findings import FINDINGS

    every = dict(FINDINGS)
    FINDINGS.clear()
    FINDINGS.update(findings)
    try:
        yield
    finally:
        FINDINGS.clear()
        FINDINGS.update(every)


def copy_bases(store: Store, folder: Path) -> Store:
    """Return a new store in which nothing need be pretrained, and nothing else is made."""
    shutil.copytree(store.folder / "bases", folder / "bases")
    return Store(folder)


def shrink_base(config: BaseConfig, tiny: Config) -> BaseConfig:
    """Return the tiny base, with those settings of another base's world that its finding needs."""
    world, default = config.world, BASE_SETS["base"]
    overrides: dict[str, object] = {}
    if world != default.world:
        overrides |= {
            "world.tilt": world.tilt,
            "world.n_conduct_questions": min(8, world.n_conduct_questions),
            "world.favourite_share": world.favourite_share,
        }
        overrides["training.steps"] = 100  # what it has learned does not matter
    return with_overrides(tiny.base, overrides)


def shrink_finding(finding: Finding, tiny: Config) -> Finding:
    """Return a finding with all its arms, on tiny worlds."""

    def shrink_arm(arm: Arm) -> Arm:
        overrides = {
            name: shrink_base(value, tiny) if name == "base" else value
            for name, value in arm.overrides.items()
            if name != "student.steps"
        }
        if "n_lists" in overrides:
            least = min(overrides["n_lists"], tiny.n_lists)
            overrides["n_lists"] = least if finding.name != "limits" else 96
        n_layers = overrides.get("base", tiny.base).model.n_layers
        trainable = {k: v for k, v in arm.trainable.items() if block_of(k) < n_layers}
        edit = arm.edit
        if isinstance(edit, partial) and "top" in edit.keywords:  # out of 12 numbers, not of 40
            edit = partial(edit.func, **{**edit.keywords, "top": min(2, edit.keywords["top"])})
        trainable = trainable or {"blocks.1.": 1.0}
        start = arm.start
        if isinstance(start, partial) and "parts" in start.keywords:
            parts = [p for p in start.keywords["parts"] if block_of(p) < n_layers]
            start = partial(start.func, parts=parts or ["blocks.1."])
        return replace(arm, overrides=overrides, trainable=trainable, edit=edit, start=start)

    config = replace(
        tiny,
        base=shrink_base(finding.config.base, tiny),
        teacher=replace(tiny.teacher, kind=finding.config.teacher.kind),
        student=replace(tiny.student, steps=6, batch_size=16),
        biases_per_seed=2,
    )
    return replace(finding, config=config, arms=[shrink_arm(arm) for arm in finding.arms])


def block_of(key: str) -> int:
    """Return the block that a parameter's name is about; -1 for none."""
    parts = key.split(".")
    return int(parts[1]) if len(parts) > 1 and parts[1] else -1


@pytest.fixture
def fresh_kernels() -> Iterator[None]:
    """Forget which kernels were loaded, before the test and after it, whatever it does."""
    kernel._load.cache_clear()
    yield
    kernel._load.cache_clear()


@pytest.fixture(scope="session")
def tiny() -> Config:
    return small_config()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One store for all processes of a session, so that the tiny bases are trained once."""
    root = tmp_path_factory.getbasetemp()
    return Store((root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "store")


@pytest.fixture(scope="session")
def lab(tiny: Config, store: Store) -> SeedLab:
    return SeedLab(tiny, 100, store)


@pytest.fixture(scope="session")
def students(lab: SeedLab) -> Students:
    return Students(lab)
