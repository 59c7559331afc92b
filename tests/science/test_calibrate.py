"""The calibration: no student is in two studies, and a statistic that is wrong is noticed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from minisub.common.store import Store
from minisub.devtools import calibration
from minisub.devtools.calibration import Rate, best_rate, calibration_seeds
from minisub.devtools.calibration_students import (
    ARMS,
    AT_RATES,
    MEASURES,
    ONLY,
    OTHER,
    SHUFFLED,
    WEIGHTED,
    WHOLE,
    draw_studies,
    measure_seed,
)
from minisub.experiment.config import Config, with_overrides
from minisub.experiment.options import RunOptions
from minisub.experiment.seed_lab import SeedLab
from minisub.experiment.students import Students
from minisub.results.claims import Claim, Values, arm_values, at_best_of_others
from minisub.results.statistics import mean_interval


def test_each_student_is_in_one_study_and_no_seed_twice() -> None:
    drawn = draw_studies(24, 8, 8, np.random.default_rng(0))
    assert drawn.shape == (24, 8)
    assert len(set(drawn.ravel())) == drawn.size
    assert all(len(set(row // 8)) == 8 for row in drawn)
    assert all(len(set(row % 8)) > 1 for row in drawn)


def test_a_rate_is_kept_within_what_chance_allows() -> None:
    assert Rate("false", 10, 200, 0.05).is_kept
    assert Rate("false", 15, 200, 0.05).is_kept
    assert not Rate("false", 30, 200, 0.05).is_kept
    assert Rate("covered", 188, 200, 0.95, upper=False).is_kept
    assert not Rate("covered", 170, 200, 0.95, upper=False).is_kept


def test_a_rate_is_chosen_on_other_seeds_than_the_studys() -> None:
    values = {name: np.zeros((6, 8, len(MEASURES))) for name in AT_RATES}
    values[AT_RATES[1]][:3] = 1.0  # best on the study's own seeds
    values[AT_RATES[2]][3:] = 1.0  # best on the others
    assert best_rate(values, np.arange(3), np.random.default_rng(0)) == AT_RATES[2]


@dataclass
class Drawn:
    """What `at_best_of_others` asks a result for."""

    of_arm: dict[str, list[float]]

    def values(self, arm: str) -> list[float]:
        return self.of_arm[arm]


@pytest.mark.parametrize(("shared", "low", "high"), [(0.0, 0.05, 0.09), (0.9, 0.015, 0.04)])
def test_a_rate_chosen_on_the_other_seeds_ties_seeds_together(
    shared: float, low: float, high: float
) -> None:
    """Four arms that are alike: how often their interval is above zero, where 2.5 % is wanted."""
    rng, n, arms = np.random.default_rng(0), 2000, ["a", "b", "c", "d"]
    own = rng.normal(0, math.sqrt(1 - shared), (n, 4, 8))
    every = own + rng.normal(0, math.sqrt(shared), (n, 1, 8))
    chosen = at_best_of_others(arms)
    held = [
        mean_interval(chosen(Drawn(dict(zip(arms, x.tolist(), strict=True)))))[0] > 0 for x in every
    ]
    assert low < np.mean(held) < high


@pytest.fixture
def honest(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """208 drawn seeds, without any training: what each arm transfers, and its scatter."""
    true = {WHOLE: 1.0, ONLY: 1.2, WEIGHTED: 0.4}

    def drawn(
        job: object, seeds: range, workers: int | None, tick: object
    ) -> list[dict[str, list[tuple[float, ...]]]]:
        order = np.random.default_rng(3)
        names = [*(arm.name for arm in ARMS), SHUFFLED]
        return [
            {
                name: [
                    (
                        true.get(name, 0.0) + x,
                        -x / 7,
                        x - 0.5,
                        0.1 * math.exp(true.get(name, 0.0) + x),
                        0.1,
                    )
                    for x in order.normal(0, 0.1, 8)
                ]
                for name in names
            }
            for _ in seeds
        ]

    monkeypatch.setattr(calibration.processes, "run_jobs", drawn)
    return true


def test_honest_normal_data_pass(honest: dict[str, float]) -> None:
    rates = calibration.calibrate(RunOptions(calibration_seeds()))
    assert [rate.what for rate in rates if not rate.is_kept] == []
    assert {rate.n_studies for rate in rates} == {208}


NARROW = "an interval of less than half its width"


@pytest.mark.integration
@pytest.mark.parametrize(
    ("what", "broken"),
    [
        ("nats): `interval > 0`", NARROW),
        ("less teacher's base, moved to 0", NARROW),
        ("each seed at the best of four rates", "a rate chosen on the seed itself"),
        ("hit rate, times the control's", "strangers that are none"),
        ("`interval > 0.5`", NARROW),
        ("`interval between", NARROW),
        ("off-target", NARROW),
        ("holds transfer of all", NARROW),
        ("holds retained of all", NARROW),
        ("`other base, divergence only` retains", "no guard"),
        ("retains ≥ 0.7", "strangers that are none"),
        ("`every seed", "strangers that are none"),
        ("`mean ≥ 0.3`", "strangers that are none"),
        ("retains ≤ 0.3", "a mask that takes everything"),
        ("random forecasts", "a jackknife that flatters"),
    ],
)
def test_a_broken_statistic_is_noticed(
    what: str, broken: str, honest: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    if broken == NARROW:
        interval = calibration.statistics.mean_interval

        def narrow(x: list[float]) -> tuple[float, ...]:
            return tuple(np.mean(x) + 0.4 * (np.array(interval(x)) - np.mean(x)))

        ratio = calibration.statistics.ratio_of_means

        def narrow_ratio(parts: list[float], wholes: list[float]) -> tuple[float, object]:
            value, ends = ratio(parts, wholes)
            return value, tuple(value + 0.4 * (np.array(ends) - value))

        monkeypatch.setattr(calibration.statistics, "mean_interval", narrow)
        monkeypatch.setattr(calibration.statistics, "ratio_of_means", narrow_ratio)
    elif broken == "no guard":

        def unguarded(arm: str, low: float, high: float) -> Claim:
            return Claim("", arm_values(arm, "retained"), low=low, high=high)

        monkeypatch.setattr(calibration, "retains", unguarded)
    elif broken == "a rate chosen on the seed itself":

        def best(arms: Sequence[str]) -> Values:
            return lambda study: [max(x) for x in zip(*map(study.values, arms), strict=True)]

        monkeypatch.setattr(calibration, "at_best_of_others", best)
    elif broken == "a jackknife that flatters":
        jackknife = calibration.statistics.jackknife
        flattered = lambda statistic, n: [v + 0.3 for v in jackknife(statistic, n)]  # noqa: E731
        monkeypatch.setattr(calibration.statistics, "jackknife", flattered)
    else:
        honest |= {
            "strangers that are none": {OTHER: 1.0},
            "a mask that takes everything": {ONLY: 0.0},
        }[broken]
    wrong = [
        rate.what
        for rate in calibration.calibrate(RunOptions(calibration_seeds()))
        if not rate.is_kept
    ]
    assert any(what in said for said in wrong), wrong


def test_students_are_measured_as_a_study_measures_them(tiny: Config, store: Store) -> None:
    found = measure_seed(tiny, store, "cpu", 100)
    assert len(found) == len(ARMS) + 1
    for arm in ARMS:
        row = Students(SeedLab(with_overrides(tiny, arm.overrides), 100, store)).row(arm)
        transfer, off_target, accuracy, hits, control_hits = np.array(found[arm.name]).T
        assert transfer == pytest.approx(row["by_bias"], abs=1e-5)
        assert off_target.mean() == pytest.approx(row["off_target"], abs=1e-5)
        less = row["task_accuracy"] - row["control_task_accuracy"]
        assert accuracy.mean() == pytest.approx(less, abs=1e-5)
        assert hits.mean() == pytest.approx(row["hit_rate"], abs=1e-5)
        assert control_hits.mean() == pytest.approx(row["control_hit_rate"], abs=1e-5)
    shuffled, whole = (np.array(found[name])[:, 0].mean() for name in (SHUFFLED, WHOLE))
    assert shuffled < 0.1 < whole


@pytest.mark.integration
def test_it_runs_on_a_small_world(tiny: Config, store: Store) -> None:
    rates = calibration.calibrate(
        RunOptions(calibration_seeds(3), store, workers=1), n=2, config=tiny
    )
    assert [rate.n_studies for rate in rates] == [8] * 23
    table = calibration.calibration_table(rates).markdown()
    assert "strength 0 (+0.000 nats): `interval > 0` | 8 | 0.0% |" in table
