"""Whether the statistics keep their word: how often claims hold where there is nothing to find.

In a small world, students of many seeds are trained in three ways that pass nothing on (from a
stranger's base; by teachers of strength 0; and asked for another's bias), and in one that does.
Studies of a few seeds are drawn from them, each student in one study only, and judged by the same
`Claim` and `interval` as the findings. Students of one seed share its base and control, so studies
are not quite independent: rates are true on average, and scatter more than independent ones would.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats as scipy_stats

from minisub import pool, stats
from minisub.arm import Arm, Config, changed
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
STRENGTHLESS = {"teaching": Teaching(kind="prompted", strength=0.0)}
ARMS = (
    Arm("stranger's base", foreign=True),
    Arm("strength 0", changes=STRENGTHLESS),
    Arm("teacher's base"),
)
NULLS = ("stranger's base", "strength 0", "biases shuffled")


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
    """[nulls and the real one, biases]: what each student of a seed takes over, in nats."""
    found = []
    for arm in ARMS:
        lab = Lab(changed(config, arm.changes), seed, store)
        logp = np.array(lab.learned(arm)["logp"])
        shift = (logp[:-1] - logp[-1:]).mean(1)
        found.append([float(shift[i, b]) for i, b in enumerate(lab.biases)])
    real = found.pop()
    asked = np.roll(lab.biases, np.random.default_rng(seed).integers(1, len(lab.biases)))
    found.append([float(shift[i, b]) for i, b in enumerate(asked)])
    tick()
    return [*found, real]


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
        """How often, as a share."""
        return self.times / self.of

    @property
    def kept(self) -> bool:
        """Within what chance allows at that rate, 99 times in 100 (binomial)."""
        way = "greater" if self.upper else "less"
        test = scipy_stats.binomtest(self.times, self.of, self.nominal, alternative=way)
        return bool(test.pvalue >= 0.01)


def calibrate(
    store: Store | None = None,
    seeds: int = SEEDS,
    n: int = 8,
    workers: int | None = None,
    tick: Tick = lambda: None,
    config: Config | None = None,
) -> list[Rate]:
    """False-positive rates on the nulls, and how often intervals hold what they should."""
    job = functools.partial(transfers, config or small(), store or Store.default())
    found = np.array(pool.run(job, range(FIRST, FIRST + seeds), workers, tick))
    order = np.random.default_rng(0)
    *nulls, real = (studies(found[:, i], n, order) for i in range(len(NULLS) + 1))
    above, rates = Claim("above nothing", _values, "interval", low=0.0), []
    for name, null in zip(NULLS, nulls, strict=True):
        said = f"{name} ({null.mean():+.3f} nats)"
        rates.append(_often(f"{said}: `interval > 0` held", null, lambda x: _held(above, x), 0.025))
    rates.append(_often(f"{NULLS[0]}: t test, p < .05", nulls[0], _differs, 0.05))
    for name, drawn in ((NULLS[0], nulls[0]), (f"real transfer ({real.mean():+.3f} nats)", real)):
        truth = float(drawn.mean())
        inside = _often(
            f"{name}: the 95 % interval holds the mean over all students",
            drawn,
            lambda x, truth=truth: _holds(x, truth),  # type: ignore[misc]
            0.95,
        )
        rates.append(replace(inside, upper=False))
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
