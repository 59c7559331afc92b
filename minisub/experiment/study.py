"""Studies: every experiment is a list of arms.

    Study([Arm("all"), Arm("odd positions", mask=lambda d: d.position % 2 == 1)]).run(range(8))

An arm says which decoding, edit, loss mask, trainable weights and start, and what it overrides in
the configuration; all have defaults. For each seed an arm trains, as one stack, one student per
bias and one control student, whose teacher has no bias and which is treated like the others. A loss
mask has no meaning for that teacher, so masked arms have the control of the same arm without one.
"""

import contextlib
import functools
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from minisub.common.fields import check_fields
from minisub.common.files import Json
from minisub.common.processes import N_CORES, OnProgress, no_progress, run_jobs
from minisub.common.progress import progress_bar
from minisub.common.provenance import code_version, versions
from minisub.common.store import NotStored, Store, only_stored
from minisub.distillation.base import BaseConfig, has_base
from minisub.distillation.slots import PERSONAS
from minisub.experiment.arm import STUDENT_SOURCES, Arm
from minisub.experiment.config import Config, with_overrides
from minisub.experiment.options import RunOptions
from minisub.experiment.scheduling import share_out
from minisub.experiment.seed_lab import SeedLab
from minisub.experiment.students import Students
from minisub.results.result import Result
from minisub.results.retained import add_retained

Probe = Callable[[SeedLab], list[Json]]


@dataclass(frozen=True)
class Study:
    """Arms to compare, and probes: further measurements of each seed's laboratory.

    Attributes:
        arms: The arms, each with a name of its own.
        config: Everything that an arm does not say.
        name: Of its results.
        probes: Functions of a laboratory that return rows.
    """

    arms: Sequence[Arm]
    config: Config = field(default_factory=Config)
    name: str = "study"
    probes: Sequence[Probe] = ()

    def __post_init__(self) -> None:
        check_fields(self)
        is_listed = isinstance(self.arms, list | tuple)
        if not is_listed or not all(isinstance(arm, Arm) for arm in self.arms):
            raise ValueError(f"arms are {self.arms!r}, allowed: a list of arms")
        is_listed = isinstance(self.probes, list | tuple)
        if not is_listed or not all(map(callable, self.probes)):
            raise ValueError(f"probes are {self.probes!r}, allowed: functions")
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names) or not names:
            raise ValueError("a study needs arms, each with a name of its own")
        for arm in self.arms:
            if arm.baseline not in (*names, "all"):
                raise ValueError(
                    f"{arm.name!r} has the baseline {arm.baseline!r}, which is no arm of the study"
                )
            if arm.name == "control" and not arm.control:
                raise ValueError("an arm called 'control' needs control=True")
            self._check_slots(arm)

    def _check_slots(self, arm: Arm) -> None:
        """Raise ValueError where an arm puts into a slot what its world does not have."""
        config, tokens = self.config_of(arm), [arm.asked_with, arm.trained_with]
        if arm.trained_with in PERSONAS:
            tokens.remove(arm.trained_with)
            if config.teacher.trait_name != "animals":
                raise ValueError(
                    f"trained_with is {arm.trained_with!r}, allowed where teachers love animals"
                )
        for token in filter(None, tokens):
            config.base.world.token(token)

    def config_of(self, arm: Arm) -> Config:
        """Return the configuration of an arm, with its overrides."""
        return with_overrides(self.config, arm.overrides)

    def run(
        self,
        seeds: Sequence[int] = tuple(range(8)),
        store: Store | str | None = None,
        workers: int | None = None,
        device: str = "cpu",
        on_progress: OnProgress | None = None,
    ) -> Result:
        """Run every arm on every seed. What the store has is not computed again.

        Args:
            seeds: Whole numbers from 0 on, each once.
            store: Where results are kept, or its folder; by default see `Store.default`.
            workers: Processes of one thread each; None for one per core; 1 runs here.
            device: Where models are trained.
            on_progress: Called after each arm of each seed. By default there is a progress bar
                where somebody looks: in a terminal, in marimo and in Jupyter.
        """
        where = Store.default() if store is None else store
        options = RunOptions(seeds, where, workers, device, on_progress or no_progress)  # type: ignore[arg-type]
        if on_progress is not None:
            return run_all([self], options)[0]
        with progress_bar(len(options.seeds) * len(self.arms), self.name, "arm") as move:
            return run_all([self], replace(options, on_progress=move))[0]


def run_all(studies: Sequence[Study], options: RunOptions) -> list[Result]:
    """Run several studies at once: a seed's job is all of them.

    Args:
        studies: The studies.
        options: Seeds, store, processes, device, progress.
    """
    seeds, on_progress = options.seeds, options.on_progress
    job = functools.partial(run_seed, tuple(studies), options.store, device=options.device)
    found_of = _stored_seeds(job, options)
    for _ in range(len(found_of) * sum(len(study.arms) for study in studies)):
        on_progress()
    left = [seed for seed in seeds if seed not in found_of]
    alone = len(left) == 1 and options.workers is None and N_CORES > 1
    if alone and share_out(*_arms_by_config(studies), left[0], options):
        on_progress = no_progress  # all of it was reported
    if left:
        made = run_jobs(job, left, options.workers, on_progress)
        found_of |= dict(zip(left, made, strict=True))
    done = [found_of[seed] for seed in seeds]
    _warn_of_diverged(found_of)
    return [
        Result(
            finding=study.name,
            config=study.config.as_dict(),
            provenance={
                **versions(),
                "code": code_version(*STUDENT_SOURCES),
                "device": options.device,
                "seeds": list(seeds),
            },
            rows=add_retained([row for entry in found for row in entry["rows"]]),
            **{
                part: [row for entry in found for row in entry[part]]
                for part in ("teachers", "lists", "probes")
            },
        )
        for study, found in zip(studies, zip(*done, strict=True), strict=True)
    ]


def _stored_seeds(job: Callable[..., list[Json]], options: RunOptions) -> dict[int, list[Json]]:
    """Return what was found on the seeds of which the store has everything, read here."""
    found = {}
    for seed in options.seeds:
        with contextlib.suppress(NotStored), only_stored():
            found[seed] = job(seed)
    return found


def _warn_of_diverged(found_of: Mapping[int, Sequence[Json]]) -> None:
    """Name the students that diverged: their rows have no numbers, and no claim counts them."""
    rows = [row for found in found_of.values() for study in found for row in study["rows"]]
    for name, seed, lr in sorted({(r["arm"], r["seed"], r["lr"]) for r in rows if "lr" in r}):
        warnings.warn(
            f"students of {name!r} diverged on seed {seed} at the learning rate {lr:g}: "
            "the row has no numbers, and claims about the arm are undecided",
            stacklevel=4,
        )


def _arms_by_config(studies: Sequence[Study]) -> tuple[dict[Config, list[Arm]], list[Config]]:
    """Return the arms of each configuration, and the studies' own configurations."""
    arms_of: dict[Config, list[Arm]] = {}
    for study in studies:
        for arm in study.arms:
            arms_of.setdefault(study.config_of(arm), []).append(arm)
    return arms_of, list(dict.fromkeys(study.config for study in studies))


def missing_bases(
    studies: Sequence[Study], seeds: Sequence[int], store: Store
) -> list[tuple[BaseConfig, int]]:
    """Return the bases that a run will have to pretrain, with their seeds.

    Args:
        studies: What is run.
        seeds: On which seeds.
        store: Where bases are kept.
    """
    needed: dict[tuple[BaseConfig, int], None] = {}
    for study in studies:
        # Whether the next seed's base is needed too; probes may ask for it.
        configs = [(study.config, bool(study.probes))]
        configs += [(study.config_of(arm), arm.needs_other_base) for arm in study.arms]
        for config, needs_other in configs:
            for seed in seeds:
                needed[config.base, seed] = None
                if needs_other:
                    needed[config.base, seed + 1] = None
    return [(config, seed) for config, seed in needed if not has_base(config, seed, store)]


def run_seed(
    studies: Sequence[Study],
    store: Store,
    seed: int,
    on_progress: OnProgress = no_progress,
    device: str = "cpu",
) -> list[Json]:
    """Run all studies on one seed; arms of one configuration share its teachers and lists.

    Args:
        studies: What is run.
        store: Where results are kept.
        seed: The seed.
        on_progress: Called after each arm.
        device: Where models are trained.

    Returns:
        For each study: rows, reports on teachers and lists, what the probes found.
    """
    students: dict[Config, Students] = {}

    def students_of(config: Config) -> Students:
        if config not in students:
            students[config] = Students(SeedLab(config, seed, store, None, device))
        return students[config]

    return [_run_study(study, students_of, on_progress) for study in studies]


def _run_study(
    study: Study, students_of: Callable[[Config], Students], on_progress: OnProgress
) -> Json:
    rows, lab = [], students_of(study.config).lab
    for arm in study.arms:
        rows.append({**students_of(study.config_of(arm)).row(arm), "of": arm.baseline})
        on_progress()
    decodings = dict.fromkeys(arm.is_sampled for arm in study.arms if not arm.overrides)
    found = []
    for probe in study.probes:
        # What another's probe calls may have changed without a trace.
        is_own = probe.__module__.startswith("minisub.") and "<" not in probe.__qualname__
        key = lab.key(probe.__qualname__, _source_of_module(probe)) if is_own else None
        entry = lab.stored("probes", key, functools.partial(_run_probe, probe, lab))
        found += [{"seed": lab.seed, **row} for row in entry["rows"]]
    return {
        "rows": rows,
        "teachers": lab.teacher_report(),
        "lists": [lab.list_report(is_sampled) for is_sampled in decodings],
        "probes": found,
    }


def _source_of_module(probe: Probe) -> str:
    """Return the source of a probe's module, which `STUDENT_SOURCES` need not cover."""
    return inspect.getsource(inspect.getmodule(probe) or probe)


def _run_probe(probe: Probe, lab: SeedLab) -> Json:
    return {"rows": probe(lab)}
