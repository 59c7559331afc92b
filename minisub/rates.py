"""The learning rate of every arm that trains a part of the model, or trains it in another way.

A weak arm must not be a badly tuned one. Each such arm of a finding is trained at several rates, on
seeds that no result is reported on, and the finding then gives it the rate at which it passes most.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from minisub.arm import Arm, changed
from minisub.findings.finding import Finding
from minisub.pool import Tick
from minisub.store import Store
from minisub.study import Study

FACTORS = (1.0, 2.0, 4.0, 8.0)  # times the configuration's learning rate
SGD = 50.0  # and more, without the division by the gradient's size
FIRST_SEED = 32  # those below are for reporting


@dataclass(frozen=True)
class Tuned:
    """What one arm passes at each rate.

    rates:    factors on the configuration's learning rate
    transfer: [rates], in nats, mean over seeds
    used:     the factor that the finding gives the arm
    """

    arm: str
    rates: Sequence[float]
    transfer: Sequence[float]
    used: float

    @property
    def best(self) -> float:
        """The factor at which it passes most."""
        return self.rates[int(np.argmax(self.transfer))]


def tuned_arms(finding: Finding) -> list[Arm]:
    """The arms that train a part, or by LoRA or SGD; and the arms that these are part of."""
    own = [
        arm
        for arm in finding.arms
        if arm.mask is None and (set(arm.trains) != {"blocks."} or _optimiser(arm, finding))
    ]
    wholes = {arm.of for arm in own}
    return [arm for arm in finding.arms if arm in own or arm.name in wholes]


def _optimiser(arm: Arm, finding: Finding) -> bool:
    """Whether an arm's optimiser is of another kind than the finding's."""
    own, usual = changed(finding.config, arm.changes).student, finding.config.student
    return (own.rank, own.method) != (usual.rank, usual.method)


def factors(arm: Arm) -> tuple[float, ...]:
    """The rates at which an arm is tried."""
    scale = SGD if arm.changes.get("student.method") == "sgd" else 1.0
    return tuple(scale * factor for factor in FACTORS)


def tune(
    finding: Finding,
    seeds: Sequence[int],
    store: Store | None = None,
    workers: int | None = None,
    tick: Tick = lambda: None,
    device: str = "cpu",
) -> list[Tuned]:
    """Train the `tuned_arms` of a finding at each of their rates.

    ValueError for seeds that results are reported on.
    """
    if min(seeds) < FIRST_SEED:
        raise ValueError(f"rates are tuned on seeds from {FIRST_SEED} on: those below are reported")
    arms = tuned_arms(finding)
    at = {arm.name: [f"{arm.name} x{factor:g}" for factor in factors(arm)] for arm in arms}
    tried = [
        replace(arm, name=name, rate=factor, of=name)
        for arm in arms
        for name, factor in zip(at[arm.name], factors(arm), strict=True)
    ]
    result = Study(tried, finding.config, finding.name).run(seeds, store, workers, tick, device)
    return [
        Tuned(
            arm.name,
            factors(arm),
            [float(np.mean(result.values(name))) for name in at[arm.name]],
            arm.rate,
        )
        for arm in arms
    ]


def table(found: Sequence[Tuned]) -> str:
    """A line an arm, as Markdown: nats at each rate, the best one, and the one in use."""
    head = " | ".join(f"x{factor:g}" for factor in FACTORS)
    lines = [f"| arm | {head} | best | used |", "|---|" + "---|" * (len(FACTORS) + 2)]
    for one in found:
        scale = one.rates[0] / FACTORS[0]
        name = one.arm if scale == 1 else f"{one.arm} (rates times {scale:g})"
        cells = " | ".join(f"{value:+.2f}" for value in one.transfer)
        lines.append(f"| {name} | {cells} | x{one.best:g} | x{one.used:g} |")
    return "\n".join(lines)
