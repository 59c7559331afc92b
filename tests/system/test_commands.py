"""Every command through the command line to its end, on the tiny world: what it prints and leaves.

`test_cli.py` has `run --json`, `check`, `reproduce` and `reproduce --quick`.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import replaced_findings, shrink_finding, stop_before_work

from minisub.cli import main as cli
from minisub.common.files import read_json
from minisub.common.store import Store
from minisub.course import app, export
from minisub.devtools import calibration
from minisub.devtools.calibration import Rate
from minisub.distillation import base
from minisub.experiment.config import Config
from minisub.findings import DISPUTES, FINDINGS, Finding
from minisub.results.result import read_result

SEEDS = ["--seeds", "100:102"]


def chosen(name: str, tiny: Config, *arms: str) -> Finding:
    """Return a finding on the tiny world, with some of its arms and no claims, or with all."""
    finding = shrink_finding({**FINDINGS, **DISPUTES}[name], tiny)
    some = [arm for arm in finding.arms if arm.name in arms]
    return replace(finding, arms=some, claims=[], probes=[]) if arms else finding


@pytest.fixture
def small(tiny: Config) -> Iterator[None]:
    some = {
        "shuffle": chosen("shuffle", tiny, "all", "shuffle within"),
        "layers": chosen("layers", tiny, "all", "block 0"),
    }
    with replaced_findings(some):
        yield


@pytest.fixture
def machine(store: Store) -> list[str]:
    return ["--store", str(store.folder), "--workers", "1"]


def done(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """Run a command to its good end, and return what it prints."""
    status = cli.main(args)
    said = capsys.readouterr()
    assert status == 0, said.err
    return said.out


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_run_draws_its_figure(
    kind: str,
    small: None,
    machine: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plot = tmp_path / "new" / f"x.{kind}"
    assert "shuffle within" in done(capsys, "run", "shuffle", *SEEDS, *machine, "--plot", str(plot))
    assert (b"<svg" if kind == "svg" else b"PNG") in plot.read_bytes()[:600]


def test_run_quick_is_two_seeds_with_fewer_lists(
    small: None, machine: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, whole = tmp_path / "x.json", FINDINGS["shuffle"].config
    args = ["run", "shuffle", "--quick", "--seeds", "100:108", *machine, "--json", str(file)]
    assert cli.main(args) == 0
    assert "A quick look: two seeds" in capsys.readouterr().err
    result = read_result(file)
    assert result.seeds == [100, 101]
    assert result.config["n_lists"] == whole.n_lists // 4
    assert result.config["student"]["steps"] == whole.student.steps // 4


def test_a_sweep_leaves_its_table_and_its_figure(
    small: None, machine: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["sweep", "shuffle", *SEEDS, *machine, "--out", str(tmp_path / "out")]
    said = done(capsys, *args, "--set", "lists=96,128", "--arms", "shuffle within")
    table = (tmp_path / "out" / "sweep.csv").read_text().splitlines()
    assert len(table) == 1 + 2 * 2 * 2  # lists, seeds, arms
    assert {line.split(",")[0] for line in table[1:]} == {"96", "128"}
    assert (tmp_path / "out" / "sweep.svg").read_text().count("<svg") == 1
    assert "shuffle within" in said
    assert len((tmp_path / "out" / "sweep.jsonl").read_text().splitlines()) == 2 * 2 * 2
    assert said.endswith(f"The table is {tmp_path / 'out' / 'sweep.csv'}\n")


def test_rates_are_a_table_of_all_factors(
    small: None, machine: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    said = done(capsys, "rates", "layers", *SEEDS, *machine)
    assert said.startswith("Transfer in nats, mean over 2 seeds")
    assert [line.split(" | ")[0] for line in said.splitlines()[-2:]] == ["| all", "| block 0"]


@pytest.mark.parametrize(("times", "status"), [(3, 0), (30, 1)])
def test_calibrate_says_by_its_status_whether_all_is_kept(
    times: int,
    status: int,
    machine: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rates = [Rate("one that is kept", 5, 200, 0.05), Rate("another", times, 200, 0.05)]
    monkeypatch.setattr(calibration, "calibrate", lambda options: rates)
    assert cli.main(["calibrate", "--seeds", "16", *machine]) == status
    said = capsys.readouterr().out
    assert "one that is kept" in said
    assert "another" in said


def test_bases_are_made_for_each_seed(
    tiny: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    short = replace(tiny.base, training=replace(tiny.base.training, steps=20))
    monkeypatch.setitem(base.BASE_SETS, "uneven", short)
    args = ["bases", "--set", "uneven", *SEEDS, "--workers", "1", "--out", str(tmp_path)]
    lines = done(capsys, *args).splitlines()
    assert [line.split(":")[0] for line in lines] == ["uneven-100", "uneven-101"]
    files = {f"uneven-{seed}.{kind}" for seed in (100, 101) for kind in ("json", "safetensors")}
    assert {path.name for path in tmp_path.iterdir()} == files
    assert read_json(tmp_path / "uneven-101.json")["seed"] == 101


@pytest.mark.integration
def test_the_course_is_exported_with_an_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export, "list_notebooks", lambda: app.list_notebooks()[7:8])
    said = done(capsys, "export", str(tmp_path / "course"))
    assert said == f"The course is {tmp_path / 'course' / 'index.html'}\n"
    [page] = [p for p in (tmp_path / "course").glob("*.html") if p.name != "index.html"]
    assert page.name in (tmp_path / "course" / "index.html").read_text()


def test_the_handout_is_written_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = done(capsys, "handout", str(tmp_path)).splitlines()
    files = [tmp_path / f"handout.{kind}" for kind in ("pdf", "svg")]
    assert lines == [f"The hand-out is {file}" for file in files]
    assert all(file.stat().st_size > 10_000 for file in files)


def test_a_command_that_is_stopped_says_that_it_goes_on(
    small: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """130 is what shells take for Ctrl-C."""
    stop_before_work(monkeypatch, KeyboardInterrupt())
    assert cli.main(["run", "shuffle", *SEEDS]) == 130
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "minisub: stopped; what is done is kept, the same command goes on\n"


@pytest.mark.integration
@pytest.mark.parametrize("buffer", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_reader_that_leaves_is_no_error(buffer: str) -> None:
    """As in `minisub list | head -1`, which may be gone before the last line."""
    with subprocess.Popen(
        [sys.executable, "-m", "minisub", "list"],
        env={**os.environ, "PYTHONUNBUFFERED": buffer},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as listing:
        assert listing.stdout is not None
        assert listing.stderr is not None
        listing.stdout.close()
        assert listing.stderr.read() == b""
        assert listing.wait(60) == 0


@pytest.mark.integration
def test_reproduce_all_adds_the_disputes(
    tiny: Config,
    machine: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The findings of the page, and two disputes for all nine."""
    for name in [name for name in DISPUTES if name not in ("rank", "context")]:
        monkeypatch.delitem(DISPUTES, name)
    for name in DISPUTES:
        monkeypatch.setitem(DISPUTES, name, shrink_finding(DISPUTES[name], tiny))
    of_the_page = ("transfer", "divergence", "layers", "paraphrase", "mixing", "misalignment")
    with replaced_findings({name: chosen(name, tiny) for name in of_the_page}):
        said = done(capsys, "reproduce", "--all", *SEEDS, *machine, "--out", str(tmp_path / "out"))
    for name in (*of_the_page, "rank", "context"):
        assert read_result(tmp_path / "out" / f"{name}.json").seeds == [100, 101]
        assert f"<h2 id={name}>" in (tmp_path / "out" / "report.html").read_text()
    assert "Left out" not in said
    assert (
        "minisub reproduce --seeds 100:102 --all" in (tmp_path / "out" / "results.md").read_text()
    )
