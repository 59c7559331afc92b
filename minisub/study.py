"""Studies: every experiment is a list of arms.

    Study([Arm("all"), Arm("odd positions", mask=lambda d: d.position % 2 == 1)]).run(range(8))

An arm says which decoding, edit, loss mask, trained parameters and start, and what it changes in
the configuration; all have defaults. For each seed an arm trains, as one stack, one student a bias
and one control student, whose teacher has no bias and which is treated like the others. A loss
mask has no meaning for that teacher, so masked arms have the control of the same arm without one.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from minisub import base, pool
from minisub.arm import Arm, Config, changed
from minisub.base import Pretraining
from minisub.lab import SOURCES, Lab
from minisub.pool import Tick
from minisub.result import Result, retained
from minisub.store import Json, Store, code_version, digest

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
    store = store or Store.default()
    alone = len(seeds) == 1 and workers is None and pool.CORES > 1
    if alone and _share_out(studies, store, seeds[0], tick, device):
        tick = _quietly
    job = functools.partial(run_seed, tuple(studies), store, device=device)
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
            rows=retained([row for entry in found for row in entry["rows"]]),
            **{
                part: [row for entry in found for row in entry[part]]
                for part in ("teachers", "lists", "probes")
            },
        )
        for study, found in zip(studies, zip(*done, strict=True), strict=True)
    ]


def missing_bases(
    studies: Sequence[Study], seeds: Sequence[int], store: Store
) -> list[tuple[Pretraining, int]]:
    """The bases that a run will have to pretrain, with their seeds."""
    needed: dict[tuple[Pretraining, int], None] = {}
    for study in studies:
        # Whether the next seed's base is needed too, which is the stranger's.
        owed = [(study.config.pretraining, bool(study.probes))]  # probes may ask for it
        for arm in study.arms:
            mixed_in = "foreign base" in getattr(arm.edit, "keywords", {}).values()
            owed.append((changed(study.config, arm.changes).pretraining, arm.foreign or mixed_in))
        for how, stranger in owed:
            for seed in seeds:
                needed[how, seed] = None
                if stranger:
                    needed[how, seed + 1] = None
    return [(how, seed) for how, seed in needed if not base.there(how, seed, store)]


def units(arm: Arm) -> tuple[Arm, Arm]:
    """Of whom there have to be students for an arm's row: those with its control, and its own."""
    plain = replace(arm, mask=None)
    return plain, plain if arm.name == "control" else arm


def _quietly() -> None:
    """Somebody else has told."""


def _share_out(studies: Sequence[Study], store: Store, seed: int, tick: Tick, device: str) -> bool:
    """Train all that one seed needs into the store, spread over the cores; whether that was done.

    Teachers and lists of a study's own configuration are made here, by threads; whoever trains
    an arm with another one makes its own. The costliest are dealt first.
    """
    owed: dict[Config, dict[str, tuple[Arm, int]]] = {}  # and how many arms each settles
    sampled: dict[Config, set[bool]] = {}
    for study in studies:
        for arm in study.arms:
            config = changed(study.config, arm.changes)
            here = owed.setdefault(config, {})
            for unit in units(arm):
                spec = unit.spec()
                if spec is None:
                    return False
                here.setdefault(digest(spec), (unit, 0))
            here[digest(spec)] = unit, here[digest(spec)][1] + 1
            sampled.setdefault(config, set()).add(arm.sampled)
    own = {study.config: Lab(study.config, seed, store, None, device) for study in studies}
    for config, lab in own.items():
        for which in sorted(sampled.get(config, ())):
            lab.data(which)
    parcels: list[tuple[float, list[tuple[Config, Arm, int]]]] = []  # with what each costs
    for config, of_config in owed.items():
        each = [(config, *unit) for unit in of_config.values()]
        if config in own:
            parcels += [(own[config].cost(unit[1]), [unit]) for unit in each]
        else:
            parcels.append((float(len(each) * len(Lab(config, seed, store).biases)), each))
    shares: list[list[tuple[Config, Arm, int]]] = [[] for _ in range(pool.CORES)]
    loads = [0.0] * len(shares)
    for cost, parcel in sorted(parcels, key=lambda p: -p[0]):
        least = loads.index(min(loads))
        shares[least] += parcel
        loads[least] += cost
    shares = [share for share in shares if share]
    job = functools.partial(_learn, shares, store, seed, device=device)
    pool.run(job, range(len(shares)), len(shares), tick)
    return True


def _learn(
    shares: Sequence[Sequence[tuple[Config, Arm, int]]],
    store: Store,
    seed: int,
    share: int,
    tick: Tick,
    device: str,
) -> None:
    """One process's share of what one seed needs."""
    labs: dict[Config, Lab] = {}
    for config, arm, settles in shares[share]:
        lab = labs.setdefault(config, Lab(config, seed, store, None, device))
        lab.learned(arm)
        for _ in range(settles):
            tick()


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
        rows.append({**lab_of(changed(study.config, arm.changes)).row(arm), "of": arm.of})
        tick()
    decodings = dict.fromkeys(arm.sampled for arm in study.arms if not arm.changes)
    found = []
    for probe in study.probes:
        # Nobody can tell whether what another's probe calls has changed.
        lasting = probe.__module__.startswith("minisub.") and "<" not in probe.__qualname__
        key = own.key(probe.__qualname__, _source(probe)) if lasting else None
        entry = own.stored("probes", key, functools.partial(_probe, probe, own))
        found += [{"seed": seed, **row} for row in entry["rows"]]
    return {
        "rows": rows,
        "teachers": own.teacher_report(),
        "lists": [own.list_report(sampled) for sampled in decodings],
        "probes": found,
    }
