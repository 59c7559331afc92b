"""The scripts beside the tests: each is imported, and its functions do what they say."""

import json
from pathlib import Path
from typing import Any

import pytest
from system import compare_results, compat, other_worlds, release

from minisub.common.provenance import PACKAGE
from minisub.findings import headline


def write_rows(folder: Path, transfer: float, more: dict[str, Any] | None = None) -> Path:
    folder.mkdir()
    rows = [
        {"seed": seed, "arm": "all", "transfer": transfer + seed, "retained": seed, "by_bias": [1]}
        for seed in (0, 1)
    ]
    rows[0] |= more or {}
    (folder / "shuffle.json").write_text(json.dumps({"rows": rows}))
    return folder


@pytest.mark.parametrize(
    ("transfer", "more", "status"),
    [
        (0.5, {}, 0),
        (0.5, {"retained": 7}, 0),  # follows from the seeds of a run
        (0.5 + 1e-7, {}, 0),
        (0.5 + 1e-5, {}, 1),
        (0.5, {"transfer": None}, 1),
        (0.5, {"arm": "none"}, 0),  # what one of them has not
    ],
)
def test_runs_are_compared_to_a_millionth(
    transfer: float, more: dict[str, Any], status: int, tmp_path: Path
) -> None:
    before = write_rows(tmp_path / "before", 0.5)
    after = write_rows(tmp_path / "after", transfer, more)
    assert compare_results.main(before, after) == status


def test_runs_without_a_row_in_common_are_not_the_same(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert compare_results.main(write_rows(tmp_path / "some", 0.5), tmp_path / "empty") == 1


@pytest.mark.parametrize(
    ("name", "old", "new", "is_same"),
    [
        ("a.json", {"x": [1.0, 2], "provenance": "here"}, {"x": [1.0, 2]}, True),
        ("a.json", {"x": [1.0, 2]}, {"x": [1.0 + 1e-7, 2]}, True),
        ("a.json", {"x": [1.0, 2]}, {"x": [1.0 + 1e-5, 2]}, False),
        ("a.json", {"x": "held"}, {"x": "not held"}, False),
        ("a.json", {"x": 1}, {"x": 1, "y": 1}, False),
        ("a.md", "# A\nMade by one\nb", "# A\nMade by another\nb", True),
        ("a.md", "# A\nMade by one\nb", "# A\nMade by one\nc", False),
        ("a.svg", "<svg/>", "<svg/>", True),
        ("a.svg", "<svg/>", "<svg />", False),
        ("a.svg", None, "<svg/>", False),
    ],
)
def test_a_release_is_stale_where_a_file_says_something_else(
    name: str, old: object, new: object, is_same: bool, tmp_path: Path
) -> None:
    def raw(content: object) -> bytes:
        return (content if isinstance(content, str) else json.dumps(content)).encode()

    if old is not None:
        (tmp_path / name).write_bytes(raw(old))
    assert release._is_same(tmp_path / name, raw(new)) is is_same


def test_lowest_versions_are_those_of_the_project() -> None:
    """Of minisub, on a Python that pip has chosen lines for, and of what its tests need."""
    lines = ["numpy>=1.26", "torch>=2.6,<3", "marimo>=0.24"]
    found = compat.requirements("lowest", lines)
    assert found[:3] == ["numpy==1.26", "torch==2.6", "marimo==0.24"]
    assert any(line.startswith("pytest==") for line in found)
    assert any(line.startswith("dask[distributed]==") for line in found)
    assert compat.requirements("newest", lines)[:2] == ["--upgrade", "numpy>=1.26"]
    constraints = str(PACKAGE.parent / "constraints.txt")
    assert compat.requirements("pinned", lines)[:3] == ["-c", constraints, "numpy>=1.26"]


def test_every_requirement_of_the_project_has_a_lowest_version() -> None:
    lines = [line.partition(";")[0] for line in compat.PROJECT["dependencies"]]
    assert len(compat.requirements("lowest", lines)) > len(lines) > 5


def test_the_tests_that_other_versions_run_are_there() -> None:
    for name in compat.TESTS:
        assert (PACKAGE.parent / "tests" / name).exists()


@pytest.mark.parametrize("name", other_worlds.VARIANTS)
def test_other_worlds_are_worlds(name: str) -> None:
    """Each variant of each headline can be a study; what is changed is changed for all arms."""
    _, changes = other_worlds.VARIANTS[name]
    for finding in headline.quick_findings():
        moved = other_worlds.elsewhere(finding, changes)
        for arm in moved.arms:
            world = moved.study.config_of(arm).base.world
            for key, value in changes.items():
                assert getattr(world, key.removeprefix("base.world.")) == value
