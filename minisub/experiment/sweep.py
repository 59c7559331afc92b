"""Sweeps: a study at every combination of some settings, on any executor.

    run_sweep(FINDINGS["limits"].study, {"student.lora_rank": [1, 2, 0]}, RunOptions(range(8)))

A job is one point of the grid on one seed: all arms of the study, each trained as a stack. Workers
write into the store themselves, so that whatever dies costs only what was in flight.
"""

import contextlib
import functools
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
    as_completed,
)
from dataclasses import replace
from typing import Any

from minisub.common.files import Json, MinisubError
from minisub.common.process_pool import ProcessPool
from minisub.common.processes import (
    N_CORES,
    OnProgress,
    can_be_sent,
    torch_threads,
)
from minisub.common.store import Store
from minisub.distillation.base import BaseConfig, load_base
from minisub.experiment.config import with_overrides
from minisub.experiment.options import RunOptions
from minisub.experiment.settings import full_name
from minisub.experiment.study import Study, missing_bases, run_seed
from minisub.results.retained import add_retained
from minisub.results.sweep_result import Settings, SweepResult, combinations

TUNING_SEEDS = (100, 101, 102)
CHANGE_THE_BEST_RATE = (
    *("student.lora_rank", "student.optimizer", "student.batch_size", "student.steps"),
    "base.model",
)
MAX_ATTEMPTS = 5  # pools of processes that break one after another without a job done between


def left_out(study: Study, settings: Settings) -> list[str]:
    """Return the arms that override one of the settings themselves, and those with such a baseline.

    A point's label would be untrue for them.

    Args:
        study: What is swept.
        settings: Values of each setting.
    """
    swept = [full_name(study.config, name) + "." for name in settings]
    out: list[str] = []
    for arm in study.arms:
        own = [name + "." for name in arm.overrides]
        if any(a.startswith(b) or b.startswith(a) for a in own for b in swept):
            out.append(arm.name)
    while more := [
        a.name
        for a in study.arms
        if a.baseline in out and a.baseline != "all" and a.name not in out
    ]:
        out += more
    return out


def sweep_points(study: Study, settings: Settings) -> list[tuple[Json, Study]]:
    """Return each combination of values, and the study there, without the arms `left_out`.

    Args:
        study: What is swept.
        settings: Values of each setting.

    Raises:
        MinisubError: A combination cannot be.
    """
    found, dropped = [], left_out(study, settings)
    arms = [arm for arm in study.arms if arm.name not in dropped]
    if not arms:
        raise MinisubError(f"every arm sets {', '.join(settings)} itself: nothing to sweep")
    for point in combinations(settings):
        overrides = {full_name(study.config, name): value for name, value in point.items()}
        try:
            config = with_overrides(study.config, overrides)
            found.append((point, replace(study, arms=arms, config=config, probes=())))
        except (ValueError, ArithmeticError) as error:
            raise MinisubError(f"{_label(point)} cannot be: {error}") from None
    return found


def check_tuning(
    study: Study, settings: Settings, tune: Settings, seeds: Sequence[int] = ()
) -> None:
    """Warn of a sweep at one learning rate over what changes the best one.

    Args:
        study: What is swept.
        settings: Values of each setting.
        tune: What is tuned at each point.
        seeds: On which points are compared.

    Raises:
        MinisubError: Something is both swept and tuned, or seeds are used for both.
    """
    swept = [full_name(study.config, name) for name in settings]
    tuned = [full_name(study.config, name) for name in tune]
    if both := [name for name in tuned if name in swept]:
        raise MinisubError(f"{both[0]} is both swept and tuned")
    if tune and set(seeds) & set(TUNING_SEEDS):
        raise MinisubError(
            f"seeds {TUNING_SEEDS[0]} to {TUNING_SEEDS[-1]} are those for tuning, allowed: others"
        )
    changing = [name for name in swept if name.startswith(CHANGE_THE_BEST_RATE)]
    if changing and "student.lr" not in (*swept, *tuned):
        warnings.warn(
            f"{changing[0]} changes the best learning rate, and every point has the same one: "
            "tune it (--tune student.lr=1e-3,2e-3,4e-3,8e-3)",
            stacklevel=3,
        )


def n_tuning_jobs(tune: Settings) -> int:
    """Return how many jobs each point of the grid takes to tune."""
    return len(combinations(tune)) * len(TUNING_SEEDS) if tune else 0


def _tuned_points(
    study: Study, settings: Settings, tune: Settings, options: RunOptions, executor: Executor | None
) -> list[tuple[Json, Study]]:
    """Return the points of a grid, each arm at the tuned values with which it transfers most.

    A control student, whose transfer is 0, takes the values of `all`.
    """
    found = run_sweep(study, {**settings, **tune}, replace(options, seeds=TUNING_SEEDS), executor)
    out = left_out(study, {**settings, **tune})
    points = []
    for point, at in sweep_points(study, settings):
        arms = []
        for arm in (arm for arm in at.arms if arm.name not in out):
            judged = "all" if arm.control and "all" in found.arms else arm.name
            best = max(
                combinations(tune),
                key=lambda values: _mean_transfer(found, {**point, **values}, judged),
            )
            chosen = {full_name(study.config, name): value for name, value in best.items()}
            arms.append(replace(arm, overrides={**arm.overrides, **chosen}))
        points.append((point, replace(at, arms=arms)))
    return points


def _mean_transfer(found: SweepResult, point: Json, arm: str) -> float:
    mean = found.at(point).mean(arm)
    return mean if math.isfinite(mean) else -math.inf  # of students that diverged


def _label(point: Json) -> str:
    return ", ".join(f"{name}={value}" for name, value in point.items())


def sweep_job(study: Study, point: Json, store: Store, seed: int, device: str) -> list[Json]:
    """Return the rows of one point of the grid on one seed.

    Args:
        study: The study at this point.
        point: A value for each setting.
        store: Where results are kept.
        seed: The seed.
        device: Where models are trained.
    """
    with torch_threads(1), _one_line_errors(f"seed {seed} with {_label(point)}"):
        [found] = run_seed([study], store, seed, device=device)
    lr_of = {arm.name: study.config_of(arm).student.lr * arm.lr_factor for arm in study.arms}
    return [
        {
            **point,
            **{k: v for k, v in row.items() if not isinstance(v, list)},
            "lr": lr_of[row["arm"]],
        }
        for row in found["rows"]
    ]


def _base_job(config: BaseConfig, store: Store, seed: int, device: str) -> None:
    with torch_threads(1), _one_line_errors(f"the base of seed {seed}"):
        load_base(config, seed, store, device)


@contextlib.contextmanager
def _one_line_errors(what: str) -> Iterator[None]:
    """Turn errors of settings that were not checked into one line; torch's are RuntimeErrors."""
    try:
        yield
    except (ValueError, ArithmeticError, IndexError, RuntimeError) as error:
        raise MinisubError(f"{what}: {str(error).partition(chr(10))[0]}") from error


def run_sweep(
    study: Study,
    settings: Settings,
    options: RunOptions,
    executor: Executor | None = None,
    tune: Settings | None = None,
) -> SweepResult:
    """Run a study at every combination of settings, on every seed.

    Bases that are missing are jobs too, and come first. `options.on_progress` is called after each
    job.

    Args:
        study: What is swept.
        settings: Values of each setting, by name.
        options: Seeds, store, processes, device, progress.
        executor: Any of `concurrent.futures`, such as `dask.distributed.Client().get_executor()`;
            its workers must reach the store's folder. By default a pool of processes of one thread
            each, which is made again when one of them is killed; threads of this process for a
            study that cannot be sent to others.
        tune: Values of settings to choose from, such as {"student.lr": [1e-3, 2e-3]}: each arm of
            each point takes those with which it transfers most on `TUNING_SEEDS`.
    """
    if executor is None and not can_be_sent(study):
        with ThreadPoolExecutor(options.workers or N_CORES) as here:
            return run_sweep(study, settings, options, here, tune)
    store, seeds, device = options.store, options.seeds, options.device
    check_tuning(study, settings, tune or {}, seeds)
    if tune:
        grid = _tuned_points(study, settings, tune, options, executor)
    else:
        grid = sweep_points(study, settings)
    # A base that several points need is made once, before any of them.
    first = [
        functools.partial(_base_job, config, store, seed, device)
        for config, seed in missing_bases([s for _, s in grid], seeds, store)
    ]
    _run_each(first, executor, options.workers, options.on_progress)
    jobs = [
        functools.partial(sweep_job, at, point, store, seed, device)
        for point, at in grid
        for seed in seeds
    ]
    found = _run_each(jobs, executor, options.workers, options.on_progress)
    rows: list[Json] = []  # of a point's seeds together, as what is retained is a mean over them
    for at in range(0, len(found), len(seeds)):
        rows += add_retained([row for of_seed in found[at : at + len(seeds)] for row in of_seed])
    return SweepResult(study.name, {n: list(v) for n, v in settings.items()}, rows)


def _run_each(
    jobs: Sequence[Callable[[], Any]],
    executor: Executor | None,
    workers: int | None,
    on_progress: OnProgress,
) -> list[Any]:
    """Return what every job returns, in order."""
    done: dict[int, Any] = {}
    attempt = 0
    while left := [i for i in range(len(jobs)) if i not in done]:
        before = len(done)
        if executor is not None:
            own: Executor = executor
        else:
            own = ProcessPool(min(workers or N_CORES, len(left)))
        futures: dict[Future[Any], int] = {}
        try:
            for i in left:
                futures[own.submit(jobs[i])] = i
            for future in as_completed(futures):
                done[futures[future]] = future.result()
                on_progress()
        except CancelledError:  # not by us: a cluster that is gone cancels what it was to do
            raise MinisubError(
                "the cluster is gone; what is done is kept, the same command goes on"
            ) from None
        except BrokenExecutor as error:  # a process was killed: the others' work is in the store
            attempt = 0 if len(done) > before else attempt + 1
            if executor is not None or attempt == MAX_ATTEMPTS:
                raise MinisubError(f"the workers died, again and again: {error}") from None
        except BaseException:
            for future in futures:
                future.cancel()
            if isinstance(own, ProcessPool):  # somebody else's executor is not ours to end
                own.end_now()  # the jobs that are running as well
            raise
        finally:
            if executor is None:
                own.shutdown(wait=False, cancel_futures=True)
    return [done[i] for i in range(len(jobs))]


@contextlib.contextmanager
def dask_cluster(address: str) -> Iterator[Executor | None]:
    """Give an executor on a Dask cluster; None without an address.

    Raises:
        MinisubError: Dask is not installed, nothing answers, or the workers died over a job.
    """
    if not address:
        yield None
        return
    try:
        from distributed import Client
        from distributed.scheduler import KilledWorker
    except ImportError:
        raise MinisubError("--cluster needs Dask, which is the extra `cluster`") from None
    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise MinisubError(f"--cluster is {address!r}: nothing answers there ({error})") from None
    with client:
        try:
            yield client.get_executor()
        except KilledWorker as error:
            raise MinisubError(
                f"a job was given up, as {error.allowed_failures + 1} workers died over it; what "
                "is done is kept, the same command goes on"
            ) from None
