"""Sweeps: a study at every combination of some settings, on any executor.

    sweep(FINDINGS["limits"].study, {"student.rank": [1, 2, 0]}, range(8), executor=mine)

A job is one point of the grid on one seed: all arms of the study, each trained as a stack. Workers
write into the store themselves, so that whatever dies costs only what was in flight.
"""

import contextlib
import csv
import functools
import io
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
    as_completed,
)
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from minisub import base, pool
from minisub.arm import Config, changed
from minisub.base import Pretraining
from minisub.pool import Tick
from minisub.result import Result, retained
from minisub.store import Json, MinisubError, Store, write
from minisub.study import Study, missing_bases, run_seed
from minisub.tables import grid as columns
from minisub.tables import span

# What a setting may be called for short.
SHORT = {"world": "pretraining.world", "size": "pretraining.size", "teacher": "teaching"}
ATTEMPTS = 5  # pools of processes that break one after another without a job done between

Settings = Mapping[str, Sequence[Any]]


def full(name: str) -> str:
    """The dotted name of a setting in the configuration."""
    head, dot, rest = name.partition(".")
    return SHORT.get(head, head) + dot + rest


def parse(config: Config, texts: Sequence[str]) -> dict[str, list[Any]]:
    """Settings out of "name=value,value"; MinisubError for a name or value that cannot be."""
    settings: dict[str, list[Any]] = {}
    if not texts:
        raise MinisubError("--set is missing: NAME=VALUE,VALUE,...")
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not values:
            raise MinisubError(f"--set is {text!r}, allowed: NAME=VALUE,VALUE,...")
        now: Any = config
        for part in full(name).split("."):
            now = getattr(now, part, None)
        try:
            changed(config, {full(name): now})
        except ValueError as error:
            raise MinisubError(f"--set is {text!r}: {error}") from None
        if full(name) in map(full, settings):
            raise MinisubError(f"--set names {full(name)} twice, allowed: each setting once")
        settings[name] = [_value(name, now, value) for value in values.split(",")]
        if len(set(settings[name])) < len(settings[name]):
            raise MinisubError(f"--set is {text!r}, allowed: each value once")
    return settings


def _value(name: str, now: Any, text: str) -> Any:
    """Read as the kind that the setting has now."""
    if text == "full" and name.endswith("rank"):
        return 0
    kind = type(now).__name__
    if kind not in ("int", "float", "str"):
        raise MinisubError(f"--set {name}: a {kind} cannot be swept")
    try:
        return type(now)(text)
    except ValueError:
        raise MinisubError(f"--set {name} has {text!r}, allowed: values of kind {kind}") from None


def combinations(settings: Settings) -> list[Json]:
    """Each value of each setting with each of the others, the last setting fastest."""
    return [dict(zip(settings, v, strict=True)) for v in itertools.product(*settings.values())]


def left_out(study: Study, settings: Settings) -> list[str]:
    """Arms that set one of the settings themselves, for which a point's label would be untrue.

    And the arms that are part of them.
    """
    swept = [full(name) + "." for name in settings]
    out: list[str] = []
    for arm in study.arms:
        own = [name + "." for name in arm.changes]
        if any(a.startswith(b) or b.startswith(a) for a in own for b in swept):
            out.append(arm.name)
    while more := [
        a.name for a in study.arms if a.of in out and a.of != "all" and a.name not in out
    ]:
        out += more
    return out


def points(study: Study, settings: Settings) -> list[tuple[Json, Study]]:
    """Each combination of values, and the study there, without the arms that are `left_out`.

    MinisubError for a combination that cannot be.
    """
    found, dropped = [], left_out(study, settings)
    arms = [arm for arm in study.arms if arm.name not in dropped]
    if not arms:
        raise MinisubError(f"every arm sets {', '.join(settings)} itself: nothing to sweep")
    for point in combinations(settings):
        try:
            config = changed(study.config, {full(n): v for n, v in point.items()})
            found.append((point, replace(study, arms=arms, config=config, probes=())))
        except (ValueError, ArithmeticError) as error:
            raise MinisubError(f"{_told(point)} cannot be: {error}") from None
    return found


def _told(point: Json) -> str:
    return ", ".join(f"{name}={value}" for name, value in point.items())


@dataclass(frozen=True)
class Sweep:
    """What a sweep found. `rows`: one for each point, seed and arm, settings first."""

    name: str
    settings: dict[str, list[Any]]
    rows: list[Json]

    def csv(self) -> str:
        """The table, comma-separated, with a header."""
        out = io.StringIO()
        writer = csv.DictWriter(out, list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return out.getvalue()

    def jsonl(self) -> str:
        """The table, a JSON object a line."""
        return "".join(json.dumps(row, allow_nan=False) + "\n" for row in self.rows)

    def write(self, folder: Path) -> None:
        """sweep.csv and sweep.jsonl, the same table."""
        write(folder / "sweep.csv", self.csv().encode())
        write(folder / "sweep.jsonl", self.jsonl().encode())

    def values(self, point: Json, arm: str, measure: str = "transfer") -> list[float]:
        """One value a seed."""
        return self.at(point).values(arm, measure)

    def at(self, point: Json) -> Result:
        """What was found at one combination of the settings."""
        fits = [row for row in self.rows if all(row[k] == v for k, v in point.items())]
        return Result(self.name, {}, {}, fits)

    @property
    def points(self) -> list[Json]:
        """Every combination of the settings."""
        return combinations(self.settings)

    @property
    def arms(self) -> list[str]:
        """Names of the arms, in order."""
        return list(dict.fromkeys(row["arm"] for row in self.rows))

    def table(self) -> str:
        """Means over seeds with intervals, a line for each point and arm."""
        rows = []
        for point in self.points:
            found = self.at(point)
            for arm in self.arms:
                texts = [
                    span(*found.estimate(arm, measure), form)
                    for measure, form in (("transfer", "+.2f"), ("retained", ".0%"))
                ]
                rows.append((*map(str, point.values()), arm, *texts))
        return columns((*self.settings, "arm", "transfer, nats [95 %]", "retained [95 %]"), rows)


def job(study: Study, point: Json, store: Store, seed: int, device: str) -> list[Json]:
    """One point of the grid on one seed: its rows of the table."""
    with pool.threads(1), _blamed(f"seed {seed} with {_told(point)}"):
        [found] = run_seed([study], store, seed, device=device)
    return [
        {**point, **{k: v for k, v in row.items() if not isinstance(v, list)}}
        for row in found["rows"]
    ]


def _base(how: Pretraining, store: Store, seed: int, device: str) -> None:
    with pool.threads(1), _blamed(f"the base of seed {seed}"):
        base.load(how, seed, store, device)


@contextlib.contextmanager
def _blamed(what: str) -> Iterator[None]:
    """Settings that nobody has checked end in one line; torch says its own as RuntimeError."""
    try:
        yield
    except (ValueError, ArithmeticError, IndexError, RuntimeError) as error:
        raise MinisubError(f"{what}: {str(error).partition(chr(10))[0]}") from error


def sweep(
    study: Study,
    settings: Settings,
    seeds: Sequence[int],
    store: Store | None = None,
    executor: Executor | None = None,
    workers: int | None = None,
    tick: Tick = lambda: None,
    device: str = "cpu",
) -> Sweep:
    """Run a study at every combination of settings, on every seed. `tick()` after each job.

    Bases that are missing are jobs too, and come first.

    `executor` is any of `concurrent.futures`, such as `dask.distributed.Client().get_executor()`;
    its workers must reach the store's folder. By default a pool of `workers` processes of one
    thread each, which is made anew when one of them is killed; threads of this one for a study that
    cannot be sent to others, such as one with a lambda.
    """
    if executor is None and not pool.can_travel(study):
        with ThreadPoolExecutor(workers or pool.CORES) as here:
            return sweep(study, settings, seeds, store, here, None, tick, device)
    store, grid = store or Store.default(), points(study, settings)
    # A base that several points need is made once, before any of them.
    first = [
        functools.partial(_base, how, store, seed, device)
        for how, seed in missing_bases([s for _, s in grid], seeds, store)
    ]
    _each(first, executor, workers, tick)
    jobs = [functools.partial(job, s, p, store, seed, device) for p, s in grid for seed in seeds]
    found = _each(jobs, executor, workers, tick)
    rows: list[Json] = []  # of a point's seeds together, as what is retained is a mean over them
    for at in range(0, len(found), len(seeds)):
        rows += retained([row for of_seed in found[at : at + len(seeds)] for row in of_seed])
    return Sweep(study.name, {n: list(v) for n, v in settings.items()}, rows)


def _each(
    jobs: Sequence[Callable[[], Any]], executor: Executor | None, workers: int | None, tick: Tick
) -> list[Any]:
    """What every job returns, in order."""
    own: Executor
    done: dict[int, Any] = {}
    attempt = 0
    while left := [i for i in range(len(jobs)) if i not in done]:
        before = len(done)
        if executor is not None:
            own, end = executor, _nothing
        else:
            own, end = pool.executor(min(workers or pool.CORES, len(left)))
        futures: dict[Future[Any], int] = {}
        try:
            for i in left:
                futures[own.submit(jobs[i])] = i
            for future in as_completed(futures):
                done[futures[future]] = future.result()
                tick()
        except CancelledError:  # not by us: a cluster that is gone cancels what it was to do
            raise MinisubError(
                "the cluster is gone; what is done is kept, the same command goes on"
            ) from None
        except BrokenExecutor as error:  # a process was killed: the others' work is in the store
            attempt = 0 if len(done) > before else attempt + 1
            if executor is not None or attempt == ATTEMPTS:
                raise MinisubError(f"the workers died, again and again: {error}") from None
        except BaseException:
            for future in futures:
                future.cancel()
            end()  # the jobs that are running as well
            raise
        finally:
            if executor is None:
                own.shutdown(wait=False, cancel_futures=True)
    return [done[i] for i in range(len(jobs))]


def _nothing() -> None:
    """Somebody else's executor is not ours to end."""


@contextlib.contextmanager
def cluster(address: str) -> Iterator[Executor | None]:
    """An executor on a Dask cluster; None without an address."""
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
