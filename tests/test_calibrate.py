"""The calibration itself: students are drawn once each, and a broken statistic would show."""

import numpy as np

from minisub import calibrate
from minisub.arm import Config
from minisub.calibrate import Rate, studies
from minisub.store import Store


def test_each_student_is_in_one_study_and_no_seed_twice() -> None:
    values = np.arange(24 * 8, dtype=float).reshape(24, 8)
    drawn = studies(values, 8, np.random.default_rng(0))
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


def test_honest_normal_data_pass_and_too_narrow_intervals_do_not(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """On 208 drawn seeds, without any training."""
    order = np.random.default_rng(1)

    def drawn(job, seeds, workers, tick):  # type: ignore[no-untyped-def]
        *nulls, real = order.normal(0, 0.1, (4, len(seeds), 8))
        return list(np.stack([*nulls, real + 1], 1))

    monkeypatch.setattr(calibrate.pool, "run", drawn)
    honest = calibrate.calibrate()
    assert all(rate.kept for rate in honest)
    assert {rate.of for rate in honest} == {208}
    interval = calibrate.stats.interval
    monkeypatch.setattr(
        calibrate.stats,
        "interval",
        lambda x: tuple(np.mean(x) + 0.4 * (np.array(interval(x)) - np.mean(x))),
    )
    assert not all(rate.kept for rate in calibrate.calibrate())


def test_it_runs_on_a_small_world(tiny: Config, store: Store) -> None:
    rates = calibrate.calibrate(store, seeds=2, n=2, workers=1, config=tiny)
    assert [rate.of for rate in rates] == [8] * 6
    table = calibrate.table(rates)
    assert "strength 0 (+0.000 nats): `interval > 0` held | 8 | 0.0% |" in table
    assert "real transfer (+0." in table
