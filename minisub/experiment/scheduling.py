"""Share out the arms of one seed over processes."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from minisub.common.files import digest
from minisub.common.processes import N_CORES, OnProgress, run_jobs
from minisub.common.store import Store
from minisub.experiment.arm import Arm
from minisub.experiment.config import Config
from minisub.experiment.options import RunOptions
from minisub.experiment.seed_lab import SeedLab
from minisub.experiment.students import Students


@dataclass(frozen=True)
class Job:
    """One training: an arm's students, and how many arms of the studies are done with it."""

    config: Config
    arm: Arm
    n_arms: int


def required_runs(arm: Arm) -> tuple[Arm, Arm]:
    """Return which students an arm's row needs: those with its control, and its own."""
    unmasked = arm.unmasked()
    return unmasked, unmasked if arm.control else arm


def required_jobs(arms_of: Mapping[Config, Sequence[Arm]]) -> dict[Config, list[Job]] | None:
    """Return each training that some arms need, once; None where one cannot be stored.

    Args:
        arms_of: The arms of each configuration.
    """
    required: dict[Config, dict[str, Job]] = {}
    for config, arms in arms_of.items():
        jobs = required.setdefault(config, {})
        for arm in arms:
            runs = required_runs(arm)
            if not all(run.is_known for run in runs):
                return None
            keys = [digest(run.spec()) for run in runs]
            for key, run in zip(keys, runs, strict=True):
                jobs.setdefault(key, Job(config, run, 0))
            own = jobs[keys[1]]  # with its own students an arm is done
            jobs[keys[1]] = replace(own, n_arms=own.n_arms + 1)
    return {config: list(jobs.values()) for config, jobs in required.items()}


def share_out(
    arms_of: Mapping[Config, Sequence[Arm]], own: Sequence[Config], seed: int, options: RunOptions
) -> bool:
    """Train all that one seed needs into the store, spread over the cores.

    Teachers and lists of the studies' own configurations are made here, by threads; whoever trains
    an arm with another one makes its own. The costliest are dealt first.

    Args:
        arms_of: The arms of each configuration.
        own: The configurations of the studies themselves.
        seed: The seed.
        options: Store, device, progress.

    Returns:
        Whether that was done: not where an arm cannot be stored.
    """
    required = required_jobs(arms_of)
    if required is None:
        return False
    store, device = options.store, options.device
    labs = {config: SeedLab(config, seed, store, None, device) for config in own}
    for config, lab in labs.items():
        for is_sampled in sorted({arm.is_sampled for arm in arms_of.get(config, ())}):
            lab.marked_lists(is_sampled)
    parcels: list[tuple[float, list[Job]]] = []  # with what each costs
    for config, jobs in required.items():
        if config in labs:
            students = Students(labs[config])
            parcels += [(students.cost(job.arm), [job]) for job in jobs]
        else:
            n_biases = len(SeedLab(config, seed, store).biases)
            parcels.append((float(len(jobs) * n_biases), jobs))
    shares: list[list[Job]] = [[] for _ in range(N_CORES)]
    loads = [0.0] * len(shares)
    for cost, jobs in sorted(parcels, key=lambda p: -p[0]):
        least = loads.index(min(loads))
        shares[least] += jobs
        loads[least] += cost
    shares = [share for share in shares if share]
    run = functools.partial(_train_share, shares, seed, options.store, options.device)
    run_jobs(run, range(len(shares)), len(shares), options.on_progress)
    return True


def _train_share(
    shares: Sequence[Sequence[Job]],
    seed: int,
    store: Store,
    device: str,
    share: int,
    on_progress: OnProgress,
) -> None:
    """Train one process's share of what one seed needs."""
    students: dict[Config, Students] = {}
    for job in shares[share]:
        if job.config not in students:
            lab = SeedLab(job.config, seed, store, None, device)
            students[job.config] = Students(lab)
        students[job.config].measured(job.arm)
        for _ in range(job.n_arms):
            on_progress()
