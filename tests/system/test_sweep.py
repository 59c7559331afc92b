"""Sweeps: every point once, the same numbers on any executor, and nothing lost with a worker."""

import contextlib
import csv
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import copy_bases

from minisub.common.files import MinisubError
from minisub.common.store import Store
from minisub.distillation import masks
from minisub.distillation.base import load_base
from minisub.experiment import sweep
from minisub.experiment.arm import Arm
from minisub.experiment.config import Config, with_overrides
from minisub.experiment.options import RunOptions
from minisub.experiment.presets import LIGHT_CONFIG
from minisub.experiment.settings import SHORT_NAMES, full_name, parse_settings
from minisub.experiment.study import Study
from minisub.experiment.sweep import (
    dask_cluster,
    left_out,
    run_sweep,
    sweep_points,
)
from minisub.results import figures
from minisub.results.sweep_result import SweepResult


@pytest.fixture(scope="module")
def study(tiny: Config) -> Study:
    small = replace(
        tiny,
        n_lists=64,
        biases_per_seed=1,
        n_eval_prompts=8,
        student=replace(tiny.student, steps=4),
    )
    return Study([Arm("all"), Arm("less", mask=masks.without_divergence)], small, "tiny")


GRID = {"student.rank": [0, 1], "lists": [32, 64], "student.lr": [1e-3, 2e-3]}


@pytest.fixture(scope="module")
def plain(study: Study, store: Store) -> SweepResult:
    """In this process."""
    return run_sweep(study, GRID, RunOptions([100, 101], store), ThreadPoolExecutor(1))


def entries(store: Store) -> dict[str, int]:
    """What the store has of students, and when it was written."""
    found = (store.folder / "students").glob("*.json")
    return {path.name: path.stat().st_mtime_ns for path in found}


def same(found: SweepResult, plain: SweepResult) -> bool:
    return [r["transfer"] for r in found.rows] == pytest.approx(
        [r["transfer"] for r in plain.rows], abs=1e-4
    )


def test_the_table_has_every_point_seed_and_arm(plain: SweepResult, tmp_path: Path) -> None:
    assert len(plain.rows) == 8 * 2 * 2
    plain.write(tmp_path)
    with (tmp_path / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    lines = [json.loads(line) for line in (tmp_path / "sweep.jsonl").read_text().splitlines()]
    assert lines == plain.rows
    assert [float(r["transfer"]) for r in rows] == [r["transfer"] for r in plain.rows]
    assert list(rows[0])[:5] == [*GRID, "seed", "arm"]
    assert all(r["retained"] == 1 for r in plain.rows if r["arm"] == "all")
    assert "student.rank" in plain.table().text()


def test_a_point_is_what_the_study_gives_there(
    plain: SweepResult, study: Study, store: Store
) -> None:
    config = replace(
        study.config, n_lists=32, student=replace(study.config.student, lora_rank=1, lr=1e-3)
    )
    alone = replace(study, config=config).run([100, 101], store, workers=1)
    at = {"student.rank": 1, "lists": 32, "student.lr": 1e-3}
    assert plain.values(at, "less") == alone.values("less")


def test_arms_that_set_what_is_swept_are_left_out(study: Study) -> None:
    """Else a row would be labelled with a setting that it did not have."""
    own = Arm("own rate", overrides={"student.lr": 0.1})
    parts = [Arm("of it", baseline="own rate"), Arm("of that", baseline="of it")]
    more = replace(study, arms=[*study.arms, *parts, own])
    assert left_out(more, {"lr": [1]}) == []
    for name in ("student.lr", "student"):
        assert left_out(more, {name: [1]}) == ["own rate", "of it", "of that"]
    bare = replace(study, arms=[replace(own, name="all"), Arm("another")])
    assert left_out(bare, {"student.lr": [1]}) == ["all"]  # whose transfer is no one's 100 %
    assert [a.name for a in sweep_points(more, {"student.lr": [1e-3]})[0][1].arms] == [
        "all",
        "less",
    ]
    with pytest.raises(MinisubError, match=r"every arm sets student\.lr itself"):
        sweep_points(replace(study, arms=[own]), {"student.lr": [1e-3]})


@pytest.mark.parametrize("how", ["a base", "a job"])
def test_what_goes_wrong_in_a_worker_is_said_in_a_line(
    study: Study, store: Store, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch says its own as RuntimeError, at length."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no such size\nand twenty lines more")

    if how == "a base":
        monkeypatch.setattr("minisub.experiment.sweep.load_base", broken)
        seeds, said = [77], "^the base of seed 77: no such size$"
    else:
        monkeypatch.setattr("minisub.experiment.sweep.run_seed", broken)
        seeds, said = [100], "^seed 100 with lists=32: no such size$"
    with pytest.raises(MinisubError, match=said):
        run_sweep(study, {"lists": [32]}, RunOptions(seeds, store), ThreadPoolExecutor(1))


def test_the_plot_has_a_panel_for_each_value_of_the_rest(plain: SweepResult) -> None:
    figure = figures.sweep(plain)
    assert len([a for a in figure.axes if a.get_visible()]) == 4
    assert figure.axes[0].get_xlabel() == "student.rank"


@pytest.mark.integration
def test_a_killed_process_costs_what_was_in_flight(
    study: Study, plain: SweepResult, store: Store, tmp_path: Path
) -> None:
    """Its pool breaks and is made anew; the numbers are the same."""
    new = copy_bases(store, tmp_path)
    killed: list[int] = []

    def kill() -> None:
        import multiprocessing as mp

        if not killed:
            victim = mp.active_children()[0]
            killed.append(victim.pid or 0)
            os.kill(victim.pid or 0, signal.SIGKILL)

    ticks: list[int] = []

    def tick() -> None:
        ticks.append(1)
        if len(ticks) == 4:
            kill()

    found = run_sweep(study, GRID, RunOptions([100, 101], new, 2, on_progress=tick))
    assert killed
    assert same(found, plain)


def test_a_study_with_a_lambda_runs_in_threads(study: Study, store: Store) -> None:
    arms = [Arm("all"), Arm("odd", mask=lambda data: data.position % 2 == 1)]
    threads = torch.get_num_threads()
    found = run_sweep(
        replace(study, arms=arms), {"student.lr": [1e-3, 2e-3]}, RunOptions([100], store)
    )
    assert len(found.rows) == 4
    assert torch.get_num_threads() == threads


def test_missing_bases_are_counted(study: Study, tmp_path: Path) -> None:
    """They take longest, and a bar that stood still would look like a sweep that does."""
    ticks: list[int] = []
    training = study.config.base.training
    shorter = replace(study.config.base, training=replace(training, steps=training.steps - 1))
    changed = replace(study, config=replace(study.config, base=shorter))
    run_sweep(
        changed,
        {"student.lr": [1e-3, 2e-3]},
        RunOptions([100], Store(tmp_path), on_progress=lambda: ticks.append(1)),
        ThreadPoolExecutor(1),
    )
    assert len(ticks) == 3


def test_a_cluster_that_is_gone_is_one_line(study: Study, store: Store) -> None:
    """Dask then cancels what it was to do."""

    class Gone(Executor):
        def submit(self, *_: object, **__: object) -> Future[Any]:
            future: Future[Any] = Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    with pytest.raises(MinisubError, match="the cluster is gone") as error:
        run_sweep(study, GRID, RunOptions([100], store), Gone())
    assert "\n" not in str(error.value)


@pytest.mark.integration
def test_on_a_dask_cluster_a_killed_worker_costs_nothing(
    study: Study, plain: SweepResult, store: Store
) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        pids = list(client.run(os.getpid).values())
        ticks: list[int] = []

        def tick() -> None:
            ticks.append(1)
            if len(ticks) == 32:  # half-way
                os.kill(pids[0], signal.SIGKILL)

        grid = {**GRID, "student.beta1": [0.9, 0.8, 0.7, 0.6]}
        found = run_sweep(
            study, grid, RunOptions([100, 101], store, on_progress=tick), client.get_executor()
        )
    assert len(ticks) == 64
    assert len(found.rows) == 4 * len(plain.rows)  # 64 jobs
    usual = [r for r in found.rows if r["student.beta1"] == 0.9]
    assert same(replace(found, rows=usual), plain)


@pytest.mark.integration
def test_a_sweep_that_was_killed_goes_on(
    study: Study, plain: SweepResult, store: Store, tmp_path: Path
) -> None:
    """The whole command, and at once: its workers end with it, and what they had done is kept."""
    new = copy_bases(store, tmp_path)
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=run_sweep, args=(study, GRID, RunOptions([100, 101], new, 2)))
    process.start()
    while len(entries(new)) < 5:
        assert process.is_alive(), "it ended before it was killed"
        time.sleep(0.02)
    process.kill()
    process.join()
    time.sleep(1)
    done = entries(new)
    time.sleep(1)
    assert entries(new) == done, "a worker goes on by itself"
    found = run_sweep(study, GRID, RunOptions([100, 101], new), ThreadPoolExecutor(1))
    assert same(found, plain)
    assert done.items() <= entries(new).items()


@pytest.mark.integration
def test_a_scheduler_that_is_killed_costs_what_was_in_flight(
    study: Study, plain: SweepResult, store: Store, tmp_path: Path
) -> None:
    dask = pytest.importorskip("dask", reason="Dask is not installed")
    new = copy_bases(store, tmp_path)
    code = (
        "import distributed, time\n"
        "if __name__ == '__main__':\n"
        "    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1,"
        " dashboard_address=None)\n"
        "    print(cluster.scheduler_address, flush=True)\n"
        "    time.sleep(600)\n"
    )
    (tmp_path / "scheduler.py").write_text(code)
    running = subprocess.Popen(
        [sys.executable, tmp_path / "scheduler.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert running.stdout is not None
    ticks: list[int] = []

    def tick() -> None:
        ticks.append(1)
        if len(ticks) == 5:
            os.killpg(running.pid, signal.SIGKILL)

    try:
        address = running.stdout.readline().strip()
        with (
            dask.config.set({"distributed.comm.timeouts.connect": "3s"}),
            pytest.raises(MinisubError, match="the cluster is gone") as error,
            dask_cluster(address) as executor,
        ):
            run_sweep(study, GRID, RunOptions([100, 101], new, on_progress=tick), executor)
        assert "\n" not in str(error.value)
    finally:
        with contextlib.suppress(ProcessLookupError):  # with its workers, if it is still there
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        running.stdout.close()
    done = entries(new)
    assert len(done) >= 5
    assert same(run_sweep(study, GRID, RunOptions([100, 101], new), ThreadPoolExecutor(1)), plain)
    assert done.items() <= entries(new).items()


@pytest.mark.soak
def test_two_dask_workers_are_nearly_twice_as_fast_as_one(tmp_path: Path) -> None:
    """On two free cores: jobs of some ten seconds each, with an empty store for each."""
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    took = {}
    for workers in (1, 2):
        with (
            distributed.LocalCluster(
                n_workers=workers, threads_per_worker=1, dashboard_address=None
            ) as local,
            distributed.Client(local) as client,
        ):
            client.run(load_base, LIGHT_CONFIG.base, 0, Store(tmp_path))  # imports are not timed
            grid, begun = {"student.lr": [1e-3, 2e-3]}, time.perf_counter()
            study, new = Study([Arm("all")], LIGHT_CONFIG), Store(tmp_path / str(workers))
            run_sweep(study, grid, RunOptions(range(4), new), client.get_executor())
            took[workers] = time.perf_counter() - begun
    print(f"eight jobs: {took[1]:.0f} s by one worker, {took[2]:.0f} s by two")
    assert took[1] / took[2] >= 1.7


def test_settings_are_read_as_what_they_are_now(tiny: Config) -> None:
    texts = ["student.lora_rank=1,full", "world.n_wordings=4,8", "student.lr=1e-3"]
    assert parse_settings(tiny, texts) == {
        "student.lora_rank": [1, 0],
        "world.n_wordings": [4, 8],
        "student.lr": [1e-3],
    }


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("world.n_wordings", "base.world.n_wordings"),
        ("model.d_model", "base.model.d_model"),
        ("student.rank", "student.lora_rank"),
        ("student.steps", "student.steps"),
        ("world.wordings", "base.world.n_wordings"),
        ("size.heads", "base.model.n_heads"),
        ("teacher.training.batch", "teacher.training.batch_size"),
        ("lists", "n_lists"),
    ],
)
def test_short_names_of_settings_work(tiny: Config, name: str, full: str) -> None:
    assert full_name(tiny, name) == full
    with_overrides(tiny, {full: 2})


def test_every_short_name_leads_somewhere(tiny: Config) -> None:
    there = {f.name for thing in (tiny, tiny.base, tiny.base.world, tiny.base.model, tiny.student,
                                  tiny.teacher) for f in fields(thing)}  # fmt: skip
    assert set(SHORT_NAMES.values()) <= there
    assert not set(SHORT_NAMES) & there


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("student.rank", "allowed: NAME=VALUE"),
        ("student.rank=", "allowed: NAME=VALUE"),
        ("student.rang=1", "there is no 'rang' to change"),
        ("student.rank.x=1", "there is no 'x' to change"),
        ("student.rank=two", "allowed: values of kind int"),
        ("student=1", "cannot be swept"),
    ],
)
def test_settings_that_cannot_be_are_refused(tiny: Config, text: str, said: str) -> None:
    with pytest.raises(MinisubError, match=said):
        parse_settings(tiny, [text])


def test_a_combination_that_cannot_be_is_refused_before_the_run(study: Study) -> None:
    with pytest.raises(
        MinisubError, match=r"size\.heads=3 cannot be: d_model is 16, allowed: a mult"
    ):
        sweep_points(study, {"size.heads": [2, 3]})


def test_each_arm_of_each_point_is_tuned_on_seeds_of_its_own(
    study: Study, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "TUNING_SEEDS", (100,))
    rates = [1e-4, 2e-3]
    found = run_sweep(
        study,
        {"student.rank": [0, 1]},
        RunOptions([101], store),
        ThreadPoolExecutor(1),
        tune={"student.lr": rates},
    )
    tried = run_sweep(
        study,
        {"student.rank": [0, 1], "student.lr": rates},
        RunOptions([100], store),
        ThreadPoolExecutor(1),
    )
    assert {row["seed"] for row in found.rows} == {101}
    for row in found.rows:
        point = {"student.rank": row["student.rank"]}
        passed = {
            lr: tried.at({**point, "student.lr": lr}).mean(row["arm"], "transfer") for lr in rates
        }
        assert row["lr"] == max(passed, key=lambda lr: passed[lr])
    table = found.table().text()
    assert re.search(r"(?m)^full +all +0\.\d+ .* baseline$", table)


def test_a_sweep_at_one_rate_over_what_changes_the_best_one_warns(
    study: Study, store: Store
) -> None:
    grid, options = {"student.rank": [0, 1]}, RunOptions([100], store)
    with pytest.warns(UserWarning, match=r"student\.lora_rank changes the best learning rate"):
        run_sweep(study, grid, options, ThreadPoolExecutor(1))
    for tune, told in (
        ({"student.lora_rank": [1]}, "student.lora_rank is both swept and tuned"),
        ({"student.lr": [1e-3]}, "seeds 100 to 102 are those for tuning"),
    ):
        with pytest.raises(MinisubError, match=told):
            run_sweep(study, grid, options, ThreadPoolExecutor(1), tune=tune)
