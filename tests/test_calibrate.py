"""The calibration itself: students are drawn once each, and a broken statistic would show."""

from dataclasses import replace

import numpy as np
import pytest

from minisub import calibrate
from minisub.arm import Config
from minisub.calibrate import Rate, studies
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
    """208 drawn seeds, without any training: what each arm transfers and its scatter."""
    true = {"teacher's base": 1.0, "without random": 1.0}

    def drawn(
        job: object, seeds: range, workers: int | None, tick: object
    ) -> list[dict[str, list[tuple[float, float]]]]:
        order = np.random.default_rng(1)
        names = [*(arm.name for arm in calibrate.ARMS), calibrate.SHUFFLED]
        return [
            {
                name: [(true.get(name, 0.0) + x, -x / 7) for x in order.normal(0, 0.1, 8)]
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


@pytest.mark.parametrize(
    ("what", "broken"),
    [
        ("`interval > 0`", "an interval of less than half its width"),
        ("the 95 % interval holds", "an interval of less than half its width"),
        ("`stranger's, divergence only` retains", "no guard"),
        ("retains ≥ 0.7", "strangers that are none"),
        ("retains ≤ 0.3", "a mask that takes everything"),
        ("no transfer, `interval between", "teachers that teach nothing"),
        ("forecasts by luck", "a jackknife that flatters"),
    ],
)
def test_a_broken_statistic_is_noticed(
    what: str, broken: str, honest: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    if broken.startswith("an interval"):
        interval = calibrate.stats.interval

        def narrow(x: list[float]) -> tuple[float, ...]:
            return tuple(np.mean(x) + 0.4 * (np.array(interval(x)) - np.mean(x)))

        monkeypatch.setattr(calibrate.stats, "interval", narrow)
    elif broken == "no guard":
        plain = calibrate.retains
        monkeypatch.setattr(calibrate, "retains", lambda *a: replace(plain(*a), given=None))
    elif broken == "a jackknife that flatters":
        jackknife = calibrate.stats.jackknife
        flattered = lambda statistic, n: [v + 0.3 for v in jackknife(statistic, n)]  # noqa: E731
        monkeypatch.setattr(calibrate.stats, "jackknife", flattered)
    else:
        honest |= {
            "strangers that are none": {"stranger's base": 1.0},
            "a mask that takes everything": {"without random": 0.0},
            "teachers that teach nothing": {"teacher's base": 0.0},
        }[broken]
    wrong = [rate.what for rate in calibrate.calibrate() if not rate.kept]
    assert any(what in said for said in wrong), wrong


def test_it_runs_on_a_small_world(tiny: Config, store: Store) -> None:
    rates = calibrate.calibrate(store, seeds=2, n=2, workers=1, config=tiny)
    assert {rate.of for rate in rates} == {8}
    table = calibrate.table(rates)
    assert "strength 0 (+0.000 nats): `interval > 0` | 8 | 0.0% |" in table
    assert "teacher's base (+0." in table
