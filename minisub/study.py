"""Studies: every experiment is a list of arms.

    Study([Arm("all"), Arm("odd positions", mask=lambda d: d.position % 2 == 1)]).run(range(8))

An arm says which decoding, edit, loss mask, trained parameters and start, and what it changes in
the configuration; all have defaults. For each seed an arm trains, as one stack, one student a bias
and one control student that differs in nothing but its teacher, which has no bias. A loss mask has
no meaning for that teacher, so masked arms have the control of the same arm without a mask.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from minisub import base, pool
from minisub.arm import Arm, Config, changed
from minisub.lab import SOURCES, Lab
from minisub.pool import Tick
from minisub.result import Result
from minisub.store import Json, Store, code_version

Probe = Callable[[Lab], list[Json]]


@dataclass(frozen=True)
class Study:
    """Arms to compare, and probes: further measurements of each seed's laboratory.

    ValueError for two arms of one name, or for an arm that is part of another which is not there.
    """

    arms: Sequence[Arm]
    config: Config = field(default_factory=Config)
    name: str = "study"
    probes: Sequence[Probe] = ()

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names) or not names:
            raise ValueError("a study needs arms, each with a name of its own")
        for arm in self.arms:
            if arm.of not in (*names, "all"):
                raise ValueError(
                    f"{arm.name!r} is part of {arm.of!r}, which is no arm of the study"
                )
            changed(self.config, arm.changes)

    def run(
        self,
        seeds: Sequence[int],
        store: Store | None = None,
        workers: int | None = None,
        tick: Tick = lambda: None,
        device: str = "cpu",
    ) -> Result:
        """Run every arm on every seed. `tick()` is called after each arm of each seed.

        Seeds run in `workers` processes of one thread each (a process a core by default; 1 runs
        here). What the store has is not computed again. Arms with functions that cannot be sent
        to another process, such as lambdas, run in threads of this one.
        """
        return run_all([self], seeds, store, workers, tick, device)[0]


def run_all(
    studies: Sequence[Study],
    seeds: Sequence[int],
    store: Store | None = None,
    workers: int | None = None,
    tick: Tick = lambda: None,
    device: str = "cpu",
) -> list[Result]:
    """As `Study.run`, for several studies at once: a seed's job is all of them."""
    job = functools.partial(run_seed, tuple(studies), store or Store.default(), device=device)
    done = pool.run(job, list(seeds), workers, tick)
    return [
        Result(
            finding=study.name,
            config=study.config.as_dict(),
            provenance={
                **base.versions(),
                "code": code_version(*SOURCES),
                "device": device,
                "seeds": list(seeds),
            },
            **{part: [row for entry in found for row in entry[part]] for part in found[0]},
        )
        for study, found in zip(studies, zip(*done, strict=True), strict=True)
    ]


def run_seed(
    studies: Sequence[Study],
    store: Store,
    seed: int,
    tick: Tick = lambda: None,
    device: str = "cpu",
) -> list[Json]:
    """All studies on one seed; arms of one configuration share its teachers and lists."""
    labs: dict[Config, Lab] = {}
    return [_rows(study, labs, store, seed, tick, device) for study in studies]


def _source(probe: Probe) -> str:
    """Of the module of a probe, which the laboratory's own version does not cover."""
    return inspect.getsource(inspect.getmodule(probe) or probe)


def _probe(probe: Probe, lab: Lab) -> Json:
    return {"rows": probe(lab)}


def _rows(
    study: Study, labs: dict[Config, Lab], store: Store, seed: int, tick: Tick, device: str
) -> Json:
    """One study on one seed: rows, reports on teachers and lists, what the probes found."""

    def lab_of(config: Config) -> Lab:
        if config not in labs:
            labs[config] = Lab(config, seed, store, None, device)
        return labs[config]

    rows, own = [], lab_of(study.config)
    for arm in study.arms:
        rows.append(lab_of(changed(study.config, arm.changes)).row(arm))
        tick()
    transfer = {row["arm"]: row["transfer"] for row in rows}
    for arm, row in zip(study.arms, rows, strict=True):
        whole = transfer.get(arm.of)
        row["retained"] = row["transfer"] / whole if whole else None
    decodings = dict.fromkeys(arm.sampled for arm in study.arms if not arm.changes)
    found = []
    for probe in study.probes:
        lasting = "<" not in getattr(probe, "__qualname__", "<")  # no lambda
        key = own.key(getattr(probe, "__qualname__", ""), _source(probe)) if lasting else None
        entry = own.stored("probes", key, functools.partial(_probe, probe, own))
        found += [{"seed": seed, **row} for row in entry["rows"]]
    return {
        "rows": rows,
        "teachers": own.teacher_report(),
        "lists": [own.list_report(sampled) for sampled in decodings],
        "probes": found,
    }
