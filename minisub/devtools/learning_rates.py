"""The learning rate of every arm that trains a part of the model, or trains it in another way.

A weak arm must not be a badly tuned one. Each such arm of a finding is trained at several rates, on
seeds that no result is reported on. The finding then gives it the rate at which it passes most, or
the one with the lowest training loss, as somebody who knows nothing of a bias would choose it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from minisub.experiment.arm import Arm
from minisub.experiment.options import RunOptions
from minisub.experiment.study import Study, run_all
from minisub.findings.finding import Finding
from minisub.results.tables import Table, format_number

FACTORS = (1.0, 2.0, 4.0, 8.0)  # times the configuration's learning rate
# Optimizers for which the factors are scaled: SGD does not divide by the gradient's size, and signs
# make every step as large as the rate.
SCALES = {"sgd": 50.0, "sign": 0.1}
FIRST_SEED = 32  # those below are for reporting
TITLES = {  # what a table shows, by the criterion
    "transfer": "Transfer in nats, {at}",
    "loss": "Training loss at the end in nats a token, {at} The best rate has the lowest loss.",
}


@dataclass(frozen=True)
class TunedArm:
    """What one arm passes at each learning rate, and with which loss.

    Attributes:
        arm: Its name.
        factors: On the configuration's learning rate.
        transfer: For each factor, in nats, mean over seeds; NaN where students diverged.
        loss: For each factor, at the end of the training, in nats a token, mean over seeds.
        used: The factor that the finding gives the arm.
        by: What the best factor is chosen by: "transfer" or "loss".
    """

    arm: str
    factors: Sequence[float]
    transfer: Sequence[float]
    loss: Sequence[float]
    used: float
    by: str = "transfer"

    @property
    def shown(self) -> Sequence[float]:
        """For each factor, what the best one is chosen by."""
        return self.transfer if self.by == "transfer" else self.loss

    @property
    def best(self) -> float:
        """The factor with most transfer, or with the lowest loss; NaN if all students diverged."""
        if np.isnan(self.shown).all():
            return math.nan
        choose = np.nanargmax if self.by == "transfer" else np.nanargmin
        return self.factors[int(choose(self.shown))]


def tuned_arms(finding: Finding) -> list[Arm]:
    """Return the arms that train a part, or by LoRA or another optimizer, and their baselines."""
    own = [
        arm
        for arm in finding.arms
        if arm.mask is None
        and (set(arm.trainable) != {"blocks."} or _has_other_optimizer(arm, finding))
    ]
    baselines = {arm.baseline for arm in own}
    return [arm for arm in finding.arms if arm in own or arm.name in baselines]


def _has_other_optimizer(arm: Arm, finding: Finding) -> bool:
    usual, rank = finding.config.student, finding.study.config_of(arm).student.lora_rank
    return (rank, _optimizer(arm, finding)) != (usual.lora_rank, usual.optimizer)


def _optimizer(arm: Arm, finding: Finding) -> str:
    """Return the optimizer of an arm's students, of which the arm itself has the last word."""
    return arm.optimizer or finding.study.config_of(arm).student.optimizer


def factors_of(arm: Arm, finding: Finding) -> tuple[float, ...]:
    """Return the factors on the configuration's learning rate at which an arm is tried.

    Args:
        arm: The arm.
        finding: The finding that it is of.
    """
    own, usual = _optimizer(arm, finding), finding.config.student.optimizer
    scale = SCALES.get(own, 1.0) if own != usual else 1.0
    return tuple(scale * factor for factor in FACTORS)


def tune(finding: Finding, options: RunOptions, by: str = "transfer") -> list[TunedArm]:
    """Train the `tuned_arms` of a finding at each of their learning rates.

    Args:
        finding: The finding.
        options: Seeds, store, processes, device, progress.
        by: What the best rate is chosen by: "transfer" (the most) or "loss" (the lowest).

    Raises:
        ValueError: Results are reported on one of the seeds, or `by` is something else.
    """
    if by not in TITLES:
        raise ValueError(f"by is {by!r}, allowed: {', '.join(TITLES)}")
    if min(options.seeds) < FIRST_SEED:
        raise ValueError(f"rates are tuned on seeds from {FIRST_SEED} on: those below are reported")
    arms = tuned_arms(finding)
    names = {
        arm.name: [f"{arm.name} x{factor:g}" for factor in factors_of(arm, finding)] for arm in arms
    }
    tried = [
        replace(arm, name=name, lr_factor=factor, baseline=name)
        for arm in arms
        for name, factor in zip(names[arm.name], factors_of(arm, finding), strict=True)
    ]
    [result] = run_all([Study(tried, finding.config, finding.name)], options)
    return [
        TunedArm(
            arm.name,
            factors_of(arm, finding),
            [result.mean(name) for name in names[arm.name]],
            [result.mean(name, "final_loss") for name in names[arm.name]],
            arm.lr_factor,
            by,
        )
        for arm in arms
    ]


def rates_table(found: Sequence[TunedArm]) -> Table:
    """Return a row for each arm: nats at each rate, the best rate, and the one in use."""
    rows = []
    for one in found:
        scale = one.factors[0] / FACTORS[0]
        name = one.arm if scale == 1 else f"{one.arm} (rates times {scale:g})"
        form = "+.2f" if one.by == "transfer" else ".4f"  # losses differ little
        values = ("diverged" if math.isnan(x) else format_number(x, form) for x in one.shown)
        best = "unknown" if math.isnan(one.best) else f"x{one.best:g}"
        rows.append((name, *values, best, f"x{one.used:g}"))
    return Table(("arm", *(f"x{factor:g}" for factor in FACTORS), "best", "used"), rows)
