"""Whether the statistics keep their word: how often claims hold where they are not true.

In a small world, students of many seeds are trained: from their teacher's base, so that the bias
passes; from a stranger's, and by teachers of strength 0, so that nothing does. Students asked for
another's bias are a third null. Studies of a few seeds are drawn from them, each student in one
study only, and judged by the findings' own kinds of claims. Students of one seed share its base and
control, so studies are not quite independent: rates are true on average, and scatter more than
independent ones would.
"""

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats as scipy_stats

from minisub import measure, pool, stats
from minisub.arm import Arm, Config, changed
from minisub.base import Pretraining
from minisub.divergence import divergence_only
from minisub.findings.finding import retains
from minisub.findings.prediction import predicted
from minisub.lab import Lab
from minisub.measure import Array
from minisub.model import Size
from minisub.pool import Tick
from minisub.result import HELD, Claim, Result, Values, of, retained
from minisub.store import Json, Store
from minisub.teacher import Teaching
from minisub.train import Optimiser
from minisub.world import World

SEEDS = 208  # a student of each of eight biases: as many studies of eight seeds
FIRST = 1000  # far from the seeds that are reported or tuned on
STRENGTHLESS = {"teaching": Teaching(kind="prompted", strength=0.0)}
WHOLE, STRANGER, ONLY, THEIRS = (
    *("teacher's base", "stranger's base"),
    *("divergence only", "stranger's, divergence only"),
)
ARMS = (
    Arm(WHOLE, of=WHOLE),
    Arm(ONLY, mask=divergence_only, of=WHOLE),
    Arm(STRANGER, foreign=True, of=WHOLE),
    Arm(THEIRS, mask=divergence_only, foreign=True, of=STRANGER),
    Arm("strength 0", changes=STRENGTHLESS, of=WHOLE),
)
SHUFFLED = "biases shuffled"  # the first arm's students, asked for another's bias
NULLS = (STRANGER, "strength 0", SHUFFLED)
MEASURES = ("transfer", "off_target", "accuracy")  # the last less the control's
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
        Teaching(rehearsal=0.1, lists=128, training=Optimiser(lr=2e-3, steps=30, batch=16)),
        Optimiser(lr=2e-3, steps=60, batch=32),
        lists=256,
        exam=64,
        biases=8,
    )


def measured(
    config: Config, store: Store, device: str, seed: int, tick: Tick = lambda: None
) -> dict[str, list[tuple[float, float, float]]]:
    """By arm, and for each of a seed's students: the `MEASURES`."""
    found = {}
    for arm in ARMS:
        lab = Lab(changed(config, arm.changes), seed, store, device=device)
        own, unmasked = lab.learned(arm), lab.learned(replace(arm, mask=None))
        count = len(lab.biases)
        shifts = measure.shift(np.array(own["logp"][:count]), np.array(unmasked["logp"][count:]))
        accuracy = np.array(own["task_accuracy"][:count]) - unmasked["task_accuracy"][count]
        asked = {arm.name: np.array(lab.biases)}
        if arm.name == WHOLE:
            turn = np.random.default_rng(seed).integers(1, count)
            asked[SHUFFLED] = np.roll(lab.biases, turn)
        for name, biases in asked.items():
            found[name] = [
                (measure.transfer(shift, [b]), measure.off_target(shift, [b]), float(right))
                for shift, b, right in zip(shifts[:, None], biases, accuracy, strict=True)
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
    job = functools.partial(measured, config or small(), store or Store.default(), device)
    found = pool.run(job, range(FIRST, FIRST + seeds), workers, tick)
    values = {name: np.array([seed[name] for seed in found]) for name in found[0]}
    mean = {name: dict(zip(MEASURES, v.mean((0, 1)), strict=True)) for name, v in values.items()}
    said = {name: f"{name} ({each['transfer']:+.3f} nats)" for name, each in mean.items()}
    order, biases = np.random.default_rng(0), values[WHOLE].shape[1]
    drawn = studies(seeds, biases, n, order)
    each = [_result({name: v.reshape(-1, 3)[who] for name, v in values.items()}) for who in drawn]

    def often(where: str, claim: Claim, nominal: float = 0.025) -> Rate:
        held = sum(claim.verdict(study) == HELD for study in each)
        return Rate(f"{where}: {claim.text}", held, len(each), nominal)

    def moved(arm: str, what: str, bar: float) -> Values:
        """Of an arm, but so that the mean of all students is just at the bar."""
        return lambda study: [v + bar - mean[arm][what] for v in study.values(arm, what)]

    def covered(arm: str, what: str, truth: float, where: str) -> Rate:
        def inside(study: Result) -> bool:
            _, low, high = study.estimate(arm, what)
            return low <= truth <= high

        text = f"{where}: the 95 % interval holds {what} of all students, {truth:.3f}"
        return Rate(text, sum(map(inside, each)), len(each), 0.95, upper=False)

    real, null, at_bar = said[WHOLE], said[STRANGER], "moved to its bar"
    kept = mean[ONLY]["transfer"] / mean[WHOLE]["transfer"]
    ranks = [_forecast(values[WHOLE][who // biases, :, 0], order) for who in drawn]
    rank = Claim("", predicted("luck"), low=0.8)
    return [
        *(often(said[a], Claim("`interval > 0`", of(a), "interval", low=0.0)) for a in NULLS),
        often(null, Claim("`every seed ≥ 0`", of(STRANGER), "every seed", low=0.0), 0.5**n),
        often(null, Claim("`mean ≥ 0.3`", of(STRANGER), low=0.3)),
        often(null, _share(THEIRS, "≥ 0.9", low=0.9)),
        often(null, _share(THEIRS, "≤ 0.15", high=0.15)),
        often(real, _share(STRANGER, "≥ 0.7", low=0.7)),
        often(real, _share(ONLY, "≤ 0.3", high=0.3)),
        often(
            f"{WHOLE}, {at_bar}",
            Claim("`interval > 0.5`", moved(WHOLE, "transfer", 0.5), "interval", low=0.5),
        ),
        often(
            f"{WHOLE}, {at_bar}",
            Claim(
                "`interval between -0.1 and 0.1`",
                moved(WHOLE, "transfer", 0.1),
                "interval",
                low=-0.1,
                high=0.1,
            ),
        ),
        often(
            f"{STRANGER}, {at_bar}",
            Claim(
                "off-target, `interval < -0.05`",
                moved(STRANGER, "off_target", -0.05),
                "interval",
                high=-0.05,
            ),
        ),
        often(
            f"{ONLY} ({mean[ONLY]['accuracy']:+.3f})",
            Claim(
                "accuracy less the control's, `mean in [-0.03, 0.03]`",
                of(ONLY, "accuracy"),
                low=-0.03,
                high=0.03,
            ),
        ),
        Rate(
            f"random forecasts of {RANKED} arms: rank correlation, `mean ≥ 0.8`",
            sum(rank.verdict(study) == HELD for study in ranks),
            len(ranks),
            _by_luck(0.8),
        ),
        covered(STRANGER, "transfer", mean[STRANGER]["transfer"], STRANGER),
        covered(WHOLE, "transfer", mean[WHOLE]["transfer"], WHOLE),
        covered(ONLY, "retained", kept, ONLY),
    ]


def _share(arm: str, bar: str, low: float = -math.inf, high: float = math.inf) -> Claim:
    return replace(retains(arm, low, high), text=f"`{arm}` retains {bar}")


def _result(found: dict[str, Array]) -> Result:
    """One study, out of [seeds, measures] of each arm."""
    whole = {arm.name: arm.of for arm in ARMS}
    rows: list[Json] = [
        {"seed": seed, "arm": name, "of": whole.get(name), **dict(zip(MEASURES, v, strict=True))}
        for name, each in found.items()
        for seed, v in enumerate(each.tolist())
    ]
    return Result("drawn", {}, {}, retained(rows))


def _forecast(transfers: Array, order: np.random.Generator) -> Result:
    """One study out of [seeds, biases], whose students stand for those of so many arms."""
    chosen = order.choice(transfers.shape[1], RANKED, replace=False)
    rows: list[Json] = [
        {"seed": seed, "arm": f"arm {arm}", "transfer": transfers[seed, bias], "luck": luck}
        for arm, (bias, luck) in enumerate(zip(chosen, order.permutation(RANKED), strict=True))
        for seed in range(len(transfers))
    ]
    return Result("drawn", {}, {}, rows)


def _by_luck(least: float) -> float:
    """How often random ranks of so many arms correlate so well."""
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
