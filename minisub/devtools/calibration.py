"""How often claims are judged held where they are not true, and intervals hold the true value.

Studies of a few seeds are drawn from the students of `calibration_students`, each student in one
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

from minisub.common import processes
from minisub.common.files import Array, Json
from minisub.devtools.calibration_students import (
    ARMS,
    AT_RATES,
    MEASURES,
    NULLS,
    ONLY,
    OTHER,
    OTHER_ONLY,
    WEIGHTED,
    WHOLE,
    draw_studies,
    measure_seed,
    small_config,
)
from minisub.experiment.config import Config
from minisub.experiment.options import RunOptions
from minisub.findings.prediction import predicted
from minisub.results import statistics
from minisub.results.claims import (
    HELD,
    Claim,
    Values,
    arm_values,
    at_best_of_others,
    difference,
    retains,
)
from minisub.results.result import Result
from minisub.results.retained import add_retained
from minisub.results.tables import Table

N_SEEDS = 208  # each gives eight students, so there are 208 studies of eight seeds
FIRST_SEED = 1000  # far from the seeds that are reported or tuned on
LOST_ACCURACY = -0.12  # where the claim that it is kept is false: these students lose none
N_RANKED = 6  # arms of a forecast, as `paraphrase` has
N_TUNING = 3  # seeds that a learning rate is chosen on, as for `layers`
TUNED = f"{OTHER}, at the best of four rates on {N_TUNING} other seeds"
LEFT_OUT = f"{OTHER}, each seed at the best of four rates on the others"


@dataclass(frozen=True)
class Rate:
    """How often something happened in so many studies, and how often it may."""

    what: str
    times: int
    n_studies: int
    nominal: float
    upper: bool = True  # it may not happen more often; else: not less often

    @property
    def share(self) -> float:
        """How often, as a share."""
        return self.times / self.n_studies

    @property
    def is_kept(self) -> bool:
        """Whether it is within what chance allows at that rate, 99 times in 100 (binomial)."""
        way = "greater" if self.upper else "less"
        test = scipy_stats.binomtest(self.times, self.n_studies, self.nominal, alternative=way)
        return bool(test.pvalue >= 0.01)


def calibrate(options: RunOptions, n: int = 8, config: Config | None = None) -> list[Rate]:
    """Return how often false claims are judged held, and how often intervals hold the true value.

    Args:
        options: Seeds (see `calibration_seeds`), store, processes, device, progress.
        n: Seeds of a study.
        config: World, teachers and students; a small world by default.
    """
    job = functools.partial(measure_seed, config or small_config(), options.store, options.device)
    found = processes.run_jobs(job, options.seeds, options.workers, options.on_progress)
    values = {name: np.array([seed[name] for seed in found]) for name in found[0]}
    rng, n_biases = np.random.default_rng(0), values[WHOLE].shape[1]
    drawn = draw_studies(len(options.seeds), n_biases, n, rng)
    flat = {name: v.reshape(-1, len(MEASURES)) for name, v in values.items()}
    results = []
    for who in drawn:
        of_study = {name: v[who] for name, v in flat.items()}
        of_study[TUNED] = of_study[best_rate(values, who // n_biases, rng)]
        results.append(_study(of_study))
    ranks = [_forecast(values[WHOLE][who // n_biases, :, 0], rng) for who in drawn]
    return [*_false_claims(values, results), _false_forecasts(ranks), *_coverage(values, results)]


def best_rate(values: dict[str, Array], of_study: Array, rng: np.random.Generator) -> str:
    """Return the arm of `AT_RATES` that passes most on seeds that are not in the study.

    Args:
        values: [seeds, biases, measures] of each arm.
        of_study: The study's own seeds, by their place.
        rng: Where the seeds to tune on are drawn from.
    """
    others = np.setdiff1d(np.arange(len(values[OTHER])), of_study)
    tuning = rng.choice(others, min(N_TUNING, len(others)), replace=False)
    return max(AT_RATES, key=lambda name: float(values[name][tuning, :, 0].mean()))


def calibration_seeds(n: int = N_SEEDS) -> range:
    """Return the first `n` seeds of the calibration."""
    return range(FIRST_SEED, FIRST_SEED + n)


def _means(values: dict[str, Array]) -> dict[str, dict[str, float]]:
    """Return the mean of every measure over all students, by arm."""
    return {name: dict(zip(MEASURES, v.mean((0, 1)), strict=True)) for name, v in values.items()}


def _false_claims(values: dict[str, Array], results: Sequence[Result]) -> list[Rate]:
    """Return how often each kind of claim holds where it is not true."""
    mean = _means(values)
    label = {name: f"{name} ({each['transfer']:+.3f} nats)" for name, each in mean.items()}

    def often(where: str, claim: Claim, nominal: float = 0.025) -> Rate:
        held = sum(claim.verdict(study) == HELD for study in results)
        return Rate(f"{where}: {claim.text}", held, len(results), nominal)

    def moved(arm: str, measure: str, bar: float) -> Values:
        """Return an arm's values, moved so that the mean of all students is just at the bar."""
        return lambda study: [v + bar - mean[arm][measure] for v in study.values(arm, measure)]

    def apart(arm: str) -> Values:
        """Return what an arm passes less `WHOLE`, moved so that the mean over all is 0."""
        gap = mean[arm]["transfer"] - mean[WHOLE]["transfer"]
        less = difference(arm_values(arm), arm_values(WHOLE))
        return lambda study: [v - gap for v in less(study)]

    def share(arm: str, bar: str, low: float = -math.inf, high: float = math.inf) -> Claim:
        return replace(retains(arm, low, high), text=f"`{arm}` retains {bar}")

    at_bar, n = "moved to its bar", len(results[0].seeds)
    return [
        *(
            often(label[arm], Claim("`interval > 0`", arm_values(arm), "interval", low=0.0))
            for arm in NULLS
        ),
        *(
            often(what, Claim("`interval > 0`", chosen, "interval", low=0.0))
            for what, chosen in (
                (TUNED, arm_values(TUNED)),
                (LEFT_OUT, at_best_of_others(AT_RATES)),
            )
        ),
        *(
            often(
                f"{arm} less {WHOLE}, moved to 0",
                Claim("`interval > 0`", apart(arm), "interval", low=0.0),
            )
            for arm in (ONLY, WEIGHTED)
        ),
        often(
            label[OTHER],
            Claim("`every seed ≥ 0`", arm_values(OTHER), "every seed", low=0.0),
            0.5**n,
        ),
        often(label[OTHER], Claim("`mean ≥ 0.3`", arm_values(OTHER), low=0.3)),
        often(
            label[OTHER],
            Claim(
                "hit rate, times the control's, `mean ≥ 1.5`",
                arm_values(OTHER, "hit_rate"),
                low=1.5,
                baseline=arm_values(OTHER, "control_hit_rate"),
            ),
        ),
        often(label[OTHER], share(OTHER_ONLY, "≥ 0.9", low=0.9)),
        often(label[OTHER], share(OTHER_ONLY, "≤ 0.15", high=0.15)),
        often(label[WHOLE], share(OTHER, "≥ 0.7", low=0.7)),
        often(label[WHOLE], share(ONLY, "≤ 0.3", high=0.3)),
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
            f"{OTHER}, {at_bar}",
            Claim(
                "off-target, `interval < -0.05`",
                moved(OTHER, "off_target", -0.05),
                "interval",
                high=-0.05,
            ),
        ),
        often(
            f"{ONLY}, moved to {LOST_ACCURACY:g}",
            Claim(
                "accuracy less the control's, `mean in [-0.03, 0.03]`",
                moved(ONLY, "accuracy", LOST_ACCURACY),
                low=-0.03,
                high=0.03,
            ),
        ),
    ]


def _coverage(values: dict[str, Array], results: Sequence[Result]) -> list[Rate]:
    """Return how often intervals hold the value of all students."""
    mean = _means(values)

    def retained(arm: str) -> float:
        return mean[arm]["transfer"] / mean[WHOLE]["transfer"]

    rates = []
    for arm, measure, truth in (
        (OTHER, "transfer", mean[OTHER]["transfer"]),
        (WHOLE, "transfer", mean[WHOLE]["transfer"]),
        (ONLY, "retained", retained(ONLY)),
        (WEIGHTED, "retained", retained(WEIGHTED)),
    ):
        ends = [study.estimate(arm, measure)[1:] for study in results]
        inside = sum(low <= truth <= high for low, high in ends)
        text = f"{arm}: the 95 % interval holds {measure} of all students, {truth:.3f}"
        rates.append(Rate(text, inside, len(results), 0.95, upper=False))
    return rates


def _study(found: dict[str, Array]) -> Result:
    """Return one study, out of [seeds, measures] of each arm."""
    baseline = {arm.name: arm.baseline for arm in ARMS}
    rows: list[Json] = [
        {"seed": seed, "arm": name, "of": baseline.get(name), **dict(zip(MEASURES, v, strict=True))}
        for name, each in found.items()
        for seed, v in enumerate(each.tolist())
    ]
    return Result("drawn", {}, {}, add_retained(rows))


def _forecast(transfers: Array, rng: np.random.Generator) -> Result:
    """Return one study out of [seeds, biases], whose students stand for those of so many arms."""
    chosen = rng.choice(transfers.shape[1], N_RANKED, replace=False)
    rows: list[Json] = [
        {"seed": seed, "arm": f"arm {arm}", "transfer": transfers[seed, bias], "luck": luck}
        for arm, (bias, luck) in enumerate(zip(chosen, rng.permutation(N_RANKED), strict=True))
        for seed in range(len(transfers))
    ]
    return Result("drawn", {}, {}, rows)


def _false_forecasts(results: Sequence[Result]) -> Rate:
    """Return how often random forecasts correlate well with the transfer."""
    claim = Claim("", predicted("luck"), low=0.8)
    ranks = range(N_RANKED)
    every = [statistics.rank_correlation(ranks, p) for p in itertools.permutations(ranks)]
    by_luck = sum(rho >= 0.8 - 1e-9 for rho in every) / len(every)
    held = sum(claim.verdict(study) == HELD for study in results)
    text = f"random forecasts of {N_RANKED} arms: rank correlation, `mean ≥ 0.8`"
    return Rate(text, held, len(results), by_luck)


def calibration_table(rates: Sequence[Rate]) -> Table:
    """Return a row for each rate."""
    rows = [
        (
            rate.what,
            str(rate.n_studies),
            f"{rate.share:.1%}",
            f"{'at most' if rate.upper else 'at least'} {rate.nominal:.1%}",
            "yes" if rate.is_kept else "**no**",
        )
        for rate in rates
    ]
    return Table(("", "studies", "share", "nominal", "within what chance allows"), rows)
