"""Whether the statistics keep their word: how often claims hold where there is nothing to find.

In a small world, students of many seeds are trained in three ways that pass nothing on (from a
stranger's base; by teachers of strength 0; and asked for another's bias), and in one that does.
Studies of a few seeds are drawn from them, each student in one study only, and judged by the same
`Claim`s as the findings: every kind of claim, where it is not true. Students of one seed share its
base and control, so studies are not quite independent: rates are true on average, and scatter more
than independent ones would.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats as scipy_stats

from minisub import measure, pool, stats
from minisub.arm import Arm, Config, changed
from minisub.base import Pretraining
from minisub.divergence import divergence_only, without_random
from minisub.findings.finding import retains
from minisub.lab import Lab
from minisub.measure import Array
from minisub.model import Size
from minisub.pool import Tick
from minisub.result import HELD, Claim, Result, of, retained
from minisub.store import Json, Store
from minisub.teacher import Teaching
from minisub.train import Optimiser
from minisub.world import World

SEEDS = 208  # a student of each of eight biases: as many studies of eight seeds
FIRST = 1000  # far from the seeds that are reported or tuned on
STRENGTHLESS = {"teaching": Teaching(kind="prompted", strength=0.0)}
WHOLE, STRANGER = "teacher's base", "stranger's base"
ARMS = (
    Arm(WHOLE, of=WHOLE),
    Arm("without random", mask=without_random, of=WHOLE),
    Arm(STRANGER, foreign=True, of=WHOLE),
    Arm("stranger's, divergence only", mask=divergence_only, foreign=True, of=STRANGER),
    Arm("strength 0", changes=STRENGTHLESS, of=WHOLE),
)
SHUFFLED = "biases shuffled"  # the first arm's students, asked for another's bias
NULLS = (STRANGER, "strength 0", SHUFFLED)
RANKED = 6  # arms of a forecast, as `paraphrase` has


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
    config: Config, store: Store, device: str, seed: int, tick: Tick = lambda: None
) -> dict[str, list[tuple[float, float]]]:
    """By arm, and for each of a seed's students: transfer and off-target, in nats."""
    found = {}
    for arm in ARMS:
        lab = Lab(changed(config, arm.changes), seed, store, device=device)
        count = len(lab.biases)
        logp = np.array(lab.learned(arm)["logp"])[:count]
        control = np.array(lab.learned(replace(arm, mask=None))["logp"])[count:]
        asked = {arm.name: np.array(lab.biases)}
        if arm.name == WHOLE:
            turn = np.random.default_rng(seed).integers(1, count)
            asked[SHUFFLED] = np.roll(lab.biases, turn)
        shifts = measure.shift(logp, control)
        for name, biases in asked.items():
            found[name] = [
                (measure.transfer(shift, [b]), measure.off_target(shift, [b]))
                for shift, b in zip(shifts[:, None], biases, strict=True)
            ]
    tick()
    return found


def studies(seeds: int, biases: int, n: int, order: np.random.Generator) -> Array:
    """[studies, n] students, each as seed * biases + bias: each one once, no seed twice in any."""
    drawn = []
    for bias in range(biases):
        # Each seed lends another of its biases to each round, so that biases mix within a study.
        round_ = [s * biases + (s + bias) % biases for s in order.permutation(seeds)]
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
    device: str = "cpu",
) -> list[Rate]:
    """How often claims hold that are not true, and how often intervals hold what they should."""
    job = functools.partial(transfers, config or small(), store or Store.default(), device)
    found = pool.run(job, range(FIRST, FIRST + seeds), workers, tick)
    values = {name: np.array([seed[name] for seed in found]) for name in found[0]}
    order = np.random.default_rng(0)
    drawn = studies(seeds, values[SHUFFLED].shape[1], n, order)
    each = [_result({name: v.reshape(-1, 2)[who] for name, v in values.items()}) for who in drawn]
    means = {name: f"{name} ({v[..., 0].mean():+.3f} nats)" for name, v in values.items()}

    def often(where: str, claim: Claim, nominal: float = 0.025) -> Rate:
        held = sum(claim.verdict(study) == HELD for study in each)
        return Rate(f"{where}: {claim.text}", held, len(each), nominal)

    def counted(what: str, happens: Callable[[Result], bool], nominal: float) -> Rate:
        return Rate(what, sum(map(happens, each)), len(each), nominal)

    def covered(arm: str, what: str, where: str) -> Rate:
        truth = float(np.mean([study.values(arm, what) for study in each]))

        def inside(study: Result) -> bool:
            low, high = stats.interval(study.values(arm, what))
            return low <= truth <= high

        said = f"{where}: the 95 % interval holds the mean {what} of all students"
        return replace(counted(said, inside, 0.95), upper=False)

    kept, part = ARMS[1].name, ARMS[3].name
    real, null = means[WHOLE], means[STRANGER]
    return [
        *(often(means[a], Claim("`interval > 0`", of(a), "interval", low=0.0)) for a in NULLS),
        # Half of what passes here, as a mean has no other guard than how far its bar is from zero.
        often(null, Claim("`mean ≥ 0.3`", of(STRANGER), low=0.3)),
        often(null, Claim("`every seed ≥ 0`", of(STRANGER), "every seed", low=0.0), 0.5**n),
        often(
            null,
            Claim(
                "off-target, `interval < -0.05`", of(STRANGER, "off_target"), "interval", high=-0.05
            ),
        ),
        often(
            real,
            Claim("no transfer, `interval between -0.1 and 0.1`", of(WHOLE), "interval", -0.1, 0.1),
        ),
        often(null, _share(part, f"its `{part}` retains ≥ 0.9", low=0.9)),
        often(null, _share(part, f"its `{part}` retains ≤ 0.15", high=0.15)),
        often(real, _share(STRANGER, f"`{STRANGER}` retains ≥ 0.7", low=0.7)),
        often(real, _share(kept, f"`{kept}` retains ≤ 0.3", high=0.3)),
        Rate(
            f"{real}: forecasts by luck of {RANKED} arms, rank correlation ≥ 0.8",
            *_foretold(values[WHOLE][..., 0], n, order),
            nominal=_by_luck(0.8),
        ),
        counted(
            f"{null}: t test, p < .05",
            lambda study: stats.paired(study.values(STRANGER), [0.0] * n)[2] < 0.05,
            0.05,
        ),
        covered(STRANGER, "transfer", null),
        covered(WHOLE, "transfer", real),
        covered(kept, "retained", f"{real}, `{kept}`"),
    ]


def _share(arm: str, text: str, low: float = -math.inf, high: float = math.inf) -> Claim:
    return replace(retains(arm, low, high), text=text)


def _result(found: dict[str, Array]) -> Result:
    """One study's rows, out of [seeds, (transfer, off-target)] of each arm."""
    of_whom = {arm.name: arm.of for arm in ARMS}
    rows: list[Json] = [
        {
            "seed": seed,
            "arm": name,
            "of": of_whom.get(name, name),
            "biases": [],
            "by_bias": [],
            "transfer": float(transfer),
            "off_target": float(off_target),
        }
        for name, each in found.items()
        for seed, (transfer, off_target) in enumerate(each)
    ]
    return Result("drawn", {}, {}, retained(rows))


def _foretold(transfers: Array, n: int, order: np.random.Generator) -> tuple[int, int]:
    """How often such a claim holds, of how many: students of a bias stand for those of an arm."""
    held = count = 0
    seeds, biases = transfers.shape
    for who in studies(seeds, biases, n, order) // biases:
        arms = transfers[np.ix_(who, order.choice(biases, min(RANKED, biases), replace=False))]
        luck = order.permutation(arms.shape[1]).tolist()

        def statistic(at: Sequence[int], arms: Array = arms, luck: list[float] = luck) -> float:
            return stats.rank_correlation(luck, arms[list(at)].mean(0).tolist())

        told = stats.jackknife(statistic, n)
        claim = Claim("foretold", lambda _, told=told: told, low=0.8)  # type: ignore[misc]
        held += claim.verdict(Result("drawn", {}, {}, [])) == HELD
        count += 1
    return held, count


def _by_luck(least: float) -> float:
    """How often random ranks of as many arms correlate so well."""
    ranks = range(RANKED)
    every = [stats.rank_correlation(ranks, p) for p in itertools.permutations(ranks)]
    return sum(rho >= least - 1e-9 for rho in every) / len(every)


def table(rates: Sequence[Rate]) -> str:
    """A line a rate, as Markdown."""
    head = "| | studies | share | nominal | within what chance allows |\n|---|---|---|---|---|\n"
    rows = [
        f"| {r.what} | {r.of} | {r.share:.1%} | {'at most' if r.upper else 'at least'} "
        f"{r.nominal:.1%} | {'yes' if r.kept else '**no**'} |\n"
        for r in rates
    ]
    return head + "".join(rows)
