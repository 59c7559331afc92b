"""Whether the statistics keep their word: how often claims hold where there is nothing to find.

In a small world, students of many seeds are trained from a stranger's base, which takes over
nothing (the null), and from their teacher's own. Studies of a few seeds are drawn from them, each
student in one study only, and judged by the same `Claim` and `interval` as the findings.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from minisub import pool, stats
from minisub.arm import Arm, Config
from minisub.base import Pretraining
from minisub.lab import Lab
from minisub.measure import Array
from minisub.model import Size
from minisub.pool import Tick
from minisub.result import HELD, Claim, Result
from minisub.store import Json, Store
from minisub.teacher import Teaching
from minisub.train import Optimiser
from minisub.world import World

SEEDS = 208  # a student of each of eight biases: as many studies of eight seeds
FIRST = 1000  # far from the seeds that are reported or tuned on
ARMS = (Arm("stranger's base", foreign=True), Arm("teacher's base"))


def small() -> Config:
    """A world that is learned in seconds, and in which biases pass all the same."""
    world = World(
        numbers=12,
        steps=3,
        wordings=4,
        unseen_wordings=1,
        spread=2,
        ties=2,
        questions=4,
        instruction_tokens=4,
        completion=4,
        round_every=5,
    )
    return Config(
        Pretraining(world, Size(16, 2, 2, 32), Optimiser(lr=8e-3, steps=300, batch=32)),
        Teaching(lists=128, training=Optimiser(lr=2e-3, steps=30, batch=16)),
        Optimiser(lr=2e-3, steps=60, batch=32),
        lists=256,
        exam=64,
        biases=8,
    )


def transfers(
    config: Config, store: Store, seed: int, tick: Tick = lambda: None
) -> list[list[float]]:
    """[arms, biases]: what each student of a seed takes over, in nats."""
    lab, found = Lab(config, seed, store), []
    for arm in ARMS:
        logp = np.array(lab.learned(arm)["logp"])
        shift = (logp[:-1] - logp[-1:]).mean(1)
        found.append([float(shift[i, b]) for i, b in enumerate(lab.biases)])
    tick()
    return found


def studies(values: Array, n: int, order: np.random.Generator) -> Array:
    """[studies, n] out of [seeds, biases]: each value once, no seed twice in a study."""
    seeds, biases = values.shape
    drawn = []
    for bias in range(biases):
        # Each seed lends another of its biases to each round, so that biases mix within a study.
        round_ = [values[s, (s + bias) % biases] for s in order.permutation(seeds)]
        drawn += [round_[i : i + n] for i in range(0, seeds - n + 1, n)]
    return np.array(drawn)


@dataclass(frozen=True)
class Rate:
    """How often something happened in so many studies, and how often it may."""

    what: str
    times: int
    of: int
    nominal: float
    upper: bool = True  # it may not happen more often; else: not less often

    @property
    def share(self) -> float:
        return self.times / self.of

    @property
    def kept(self) -> bool:
        """Within what chance allows at that rate, 95 times in 100."""
        slack = 1.645 * (self.nominal * (1 - self.nominal) / self.of) ** 0.5
        return (
            self.share <= self.nominal + slack if self.upper else self.share >= self.nominal - slack
        )


def calibrate(
    store: Store | None = None,
    seeds: int = SEEDS,
    n: int = 8,
    workers: int | None = None,
    tick: Tick = lambda: None,
    config: Config | None = None,
) -> list[Rate]:
    """False-positive rates on the null, and how often intervals hold what they should."""
    job = functools.partial(transfers, config or small(), store or Store.default())
    found = np.array(pool.run(job, range(FIRST, FIRST + seeds), workers, tick))
    order = np.random.default_rng(0)
    null, real = (studies(found[:, arm], n, order) for arm in range(len(ARMS)))
    above = Claim("above nothing", _values, "interval", low=0.0)
    rates = [
        _often("null: `interval ≥ 0` held", null, lambda x: _held(above, x), 0.025),
        _often("null: t test against nothing, p < .05", null, lambda x: _differs(x), 0.05),
    ]
    for name, drawn in (("null", null), ("real transfer", real)):
        truth = float(drawn.mean())
        inside = _often(
            f"{name}: the 95 % interval holds the mean over all students",
            drawn,
            lambda x, truth=truth: _holds(x, truth),  # type: ignore[misc]
            0.95,
        )
        rates.append(Rate(inside.what, inside.times, inside.of, inside.nominal, upper=False))
    return rates


def _values(result: Result) -> list[float]:
    return result.values("drawn")


def _held(claim: Claim, values: Sequence[float]) -> bool:
    blank: Json = {"arm": "drawn", "biases": [], "by_bias": []}
    rows = [{**blank, "seed": i, "transfer": v} for i, v in enumerate(values)]
    return bool(claim.judge(Result("drawn", {}, {}, rows))["verdict"] == HELD)


def _differs(values: Sequence[float]) -> bool:
    return stats.paired(values, [0.0] * len(values))[2] < 0.05


def _holds(values: Sequence[float], truth: float) -> bool:
    low, high = stats.interval(values)
    return low <= truth <= high


def _often(what: str, drawn: Array, happens: Callable[[list[float]], bool], nominal: float) -> Rate:
    return Rate(what, sum(happens(x.tolist()) for x in drawn), len(drawn), nominal)


def table(rates: Sequence[Rate]) -> str:
    """A line a rate, as Markdown."""
    head = "| | studies | share | nominal | within what chance allows |\n|---|---|---|---|---|\n"
    rows = [
        f"| {r.what} | {r.of} | {r.share:.1%} | {'at most' if r.upper else 'at least'} "
        f"{r.nominal:.1%} | {'yes' if r.kept else '**no**'} |\n"
        for r in rates
    ]
    return head + "".join(rows)
