"""The calibration itself: students are drawn once each, and a broken statistic would show."""

import numpy as np
import pytest

from minisub import calibrate
from minisub.arm import Config, changed
from minisub.calibrate import ONLY, STRANGER, WHOLE, Rate, studies
from minisub.lab import Lab
from minisub.result import Claim, of
from minisub.store import Store


def test_each_student_is_in_one_study_and_no_seed_twice() -> None:
    drawn = studies(24, 8, 8, np.random.default_rng(0))
    assert drawn.shape == (24, 8)
    assert len(set(drawn.ravel())) == drawn.size
    assert all(len(set(row // 8)) == 8 for row in drawn)
    assert all(len(set(row % 8)) > 1 for row in drawn)


def test_a_rate_is_kept_within_what_chance_allows() -> None:
    assert Rate("false", 10, 200, 0.05).kept
    assert Rate("false", 15, 200, 0.05).kept
    assert not Rate("false", 30, 200, 0.05).kept
    assert Rate("covered", 188, 200, 0.95, upper=False).kept
    assert not Rate("covered", 170, 200, 0.95, upper=False).kept


@pytest.fixture
def honest(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """208 drawn seeds, without any training: what each arm transfers, and its scatter."""
    true = {WHOLE: 1.0, ONLY: 1.2}

    def drawn(
        job: object, seeds: range, workers: int | None, tick: object
    ) -> list[dict[str, list[tuple[float, float, float]]]]:
        order = np.random.default_rng(1)
        names = [*(arm.name for arm in calibrate.ARMS), calibrate.SHUFFLED]
        return [
            {
                name: [(true.get(name, 0.0) + x, -x / 7, x - 0.5) for x in order.normal(0, 0.1, 8)]
                for name in names
            }
            for _ in seeds
        ]

    monkeypatch.setattr(calibrate.pool, "run", drawn)
    return true


def test_honest_normal_data_pass(honest: dict[str, float]) -> None:
    rates = calibrate.calibrate()
    assert [rate.what for rate in rates if not rate.kept] == []
    assert {rate.of for rate in rates} == {208}


NARROW = "an interval of less than half its width"


@pytest.mark.parametrize(
    ("what", "broken"),
    [
        ("nats): `interval > 0`", NARROW),
        ("`interval > 0.5`", NARROW),
        ("`interval between", NARROW),
        ("off-target", NARROW),
        ("holds transfer of all", NARROW),
        ("holds retained of all", NARROW),
        ("`stranger's, divergence only` retains", "no guard"),
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
        interval = calibrate.stats.interval

        def narrow(x: list[float]) -> tuple[float, ...]:
            return tuple(np.mean(x) + 0.4 * (np.array(interval(x)) - np.mean(x)))

        ratio = calibrate.stats.ratio

        def narrow_ratio(parts: list[float], wholes: list[float]) -> tuple[float, object]:
            value, ends = ratio(parts, wholes)
            return value, tuple(value + 0.4 * (np.array(ends) - value))

        monkeypatch.setattr(calibrate.stats, "interval", narrow)
        monkeypatch.setattr(calibrate.stats, "ratio", narrow_ratio)
    elif broken == "no guard":
        unguarded = lambda arm, low, high: Claim("", of(arm, "retained"), low=low, high=high)  # noqa: E731
        monkeypatch.setattr(calibrate, "retains", unguarded)
    elif broken == "a jackknife that flatters":
        jackknife = calibrate.stats.jackknife
        flattered = lambda statistic, n: [v + 0.3 for v in jackknife(statistic, n)]  # noqa: E731
        monkeypatch.setattr(calibrate.stats, "jackknife", flattered)
    else:
        honest |= {
            "strangers that are none": {STRANGER: 1.0},
            "a mask that takes everything": {ONLY: 0.0},
        }[broken]
    wrong = [rate.what for rate in calibrate.calibrate() if not rate.kept]
    assert any(what in said for said in wrong), wrong


def test_students_are_measured_as_a_study_measures_them(tiny: Config, store: Store) -> None:
    found = calibrate.measured(tiny, store, "cpu", 100)
    assert len(found) == len(calibrate.ARMS) + 1
    for arm in calibrate.ARMS:
        row = Lab(changed(tiny, arm.changes), 100, store).row(arm)
        transfer, off_target, accuracy = np.array(found[arm.name]).T
        assert transfer == pytest.approx(row["by_bias"], abs=1e-5)
        assert off_target.mean() == pytest.approx(row["off_target"], abs=1e-5)
        less = row["task_accuracy"] - row["control_task_accuracy"]
        assert accuracy.mean() == pytest.approx(less, abs=1e-5)
    shuffled, whole = (np.array(found[name])[:, 0].mean() for name in (calibrate.SHUFFLED, WHOLE))
    assert shuffled < 0.1 < whole


def test_it_runs_on_a_small_world(tiny: Config, store: Store) -> None:
    rates = calibrate.calibrate(store, seeds=2, n=2, workers=1, config=tiny)
    assert [rate.of for rate in rates] == [8] * 17
    table = calibrate.table(rates)
    assert "strength 0 (+0.000 nats): `interval > 0` | 8 | 0.0% |" in table
