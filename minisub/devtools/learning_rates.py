"""The learning rate of every arm that trains a part of the model, or trains it in another way.

A weak arm must not be a badly tuned one. Each such arm of a finding is trained at several rates, on
seeds that no result is reported on, and the finding then gives it the rate at which it passes most.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from minisub.experiment.arm import Arm
from minisub.experiment.options import RunOptions
from minisub.experiment.study import Study, run_all
from minisub.findings.finding import Finding
from minisub.results.tables import Table

FACTORS = (1.0, 2.0, 4.0, 8.0)  # times the configuration's learning rate
SGD_FACTOR = 50.0  # and more, without the division by the gradient's size
FIRST_SEED = 32  # those below are for reporting


@dataclass(frozen=True)
class TunedArm:
    """What one arm passes at each learning rate.

    Attributes:
        arm: Its name.
        factors: On the configuration's learning rate.
        transfer: For each factor, in nats, mean over seeds.
        used: The factor that the finding gives the arm.
    """

    arm: str
    factors: Sequence[float]
    transfer: Sequence[float]
    used: float

    @property
    def best(self) -> float:
        """The factor at which it passes most."""
        return self.factors[int(np.argmax(self.transfer))]


def tuned_arms(finding: Finding) -> list[Arm]:
    """Return the arms that train a part, or by LoRA or SGD, and their baselines."""
    own = [
        arm
        for arm in finding.arms
        if arm.mask is None
        and (set(arm.trainable) != {"blocks."} or _has_other_optimizer(arm, finding))
    ]
    baselines = {arm.baseline for arm in own}
    return [arm for arm in finding.arms if arm in own or arm.name in baselines]


def _has_other_optimizer(arm: Arm, finding: Finding) -> bool:
    own, usual = finding.study.config_of(arm).student, finding.config.student
    return (own.lora_rank, own.optimizer) != (usual.lora_rank, usual.optimizer)


def factors_of(arm: Arm) -> tuple[float, ...]:
    """Return the factors at which an arm is tried."""
    scale = SGD_FACTOR if arm.overrides.get("student.optimizer") == "sgd" else 1.0
    return tuple(scale * factor for factor in FACTORS)


def tune(finding: Finding, options: RunOptions) -> list[TunedArm]:
    """Train the `tuned_arms` of a finding at each of their learning rates.

    Args:
        finding: The finding.
        options: Seeds, store, processes, device, progress.

    Raises:
        ValueError: Results are reported on one of the seeds.
    """
    if min(options.seeds) < FIRST_SEED:
        raise ValueError(f"rates are tuned on seeds from {FIRST_SEED} on: those below are reported")
    arms = tuned_arms(finding)
    names = {arm.name: [f"{arm.name} x{factor:g}" for factor in factors_of(arm)] for arm in arms}
    tried = [
        replace(arm, name=name, lr_factor=factor, baseline=name)
        for arm in arms
        for name, factor in zip(names[arm.name], factors_of(arm), strict=True)
    ]
    [result] = run_all([Study(tried, finding.config, finding.name)], options)
    return [
        TunedArm(
            arm.name,
            factors_of(arm),
            [result.mean(name) for name in names[arm.name]],
            arm.lr_factor,
        )
        for arm in arms
    ]


def rates_table(found: Sequence[TunedArm]) -> Table:
    """Return a row for each arm: nats at each rate, the best one, and the one in use."""
    rows = []
    for one in found:
        scale = one.factors[0] / FACTORS[0]
        name = one.arm if scale == 1 else f"{one.arm} (rates times {scale:g})"
        values = (f"{value:+.2f}" for value in one.transfer)
        rows.append((name, *values, f"x{one.best:g}", f"x{one.used:g}"))
    return Table(("arm", *(f"x{factor:g}" for factor in FACTORS), "best", "used"), rows)
