"""What the page on judging claims computes from stored results."""

import functools
from collections import Counter
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from minisub.common.files import Array, Json
from minisub.course.show import load_result, share
from minisub.findings import every_finding
from minisub.results import statistics
from minisub.results.claims import HELD, NOT_HELD, UNDECIDED
from minisub.results.result import Result
from minisub.results.tables import format_interval
from minisub.viz import style


def growing_intervals(values: Sequence[float]) -> list[tuple[int, float, float, float]]:
    """Return the mean and its 95 % interval of the first two values, the first three, and so on.

    Args:
        values: One a seed.
    """
    return [
        (n, float(np.mean(values[:n])), *statistics.mean_interval(values[:n]))
        for n in range(2, len(values) + 1)
    ]


@functools.cache
def false_alarm_rate(n_studies: int = 10_000, most: int = 8) -> float:
    """Return how often an interval excludes zero at some number of seeds where there is nothing.

    Simulated: normal values, looked at after each of 2 seeds to `most`.

    Args:
        n_studies: How many studies are simulated.
        most: Seeds at the end.
    """
    values = np.random.default_rng(0).normal(size=(n_studies, most))
    is_alarm = np.zeros(n_studies, bool)
    for n in range(2, most + 1):
        seen = values[:, :n]
        reach = stats.t.ppf(0.975, n - 1) * seen.std(1, ddof=1) / n**0.5
        is_alarm |= np.abs(seen.mean(1)) > reach
    return float(is_alarm.mean())


def all_claims() -> list[Json]:
    """Return every claim of the stored results."""
    return [claim for name in every_finding() for claim in load_result(name).claims]


def verdict_counts(claims: Sequence[Json]) -> str:
    """Return how many claims held, did not hold, and are undecided."""
    found = Counter(claim["verdict"] for claim in claims)
    return ", ".join(f"{found[verdict]} {verdict}" for verdict in (HELD, UNDECIDED, NOT_HELD))


def interval_figure(values: Sequence[float], n: int, unit: str) -> Figure:
    """Draw how an interval narrows with the number of seeds.

    Args:
        values: One a seed.
        n: The number of seeds that is marked.
        unit: Of the values.
    """
    figure = style.new_figure(8.0, 3.0)
    axes = figure.subplots()
    grown = growing_intervals(values)
    for count, mean, low, high in grown:
        colour = style.ORANGE if count == n else style.GREY
        axes.plot([count, count], [low, high], color=colour, linewidth=2)
        axes.plot(count, mean, "o", color=colour)
    axes.axhline(0, color=style.INK, linewidth=0.8)
    # The interval of two seeds would leave the rest too small to see.
    reach = 1.3 * max(abs(end) for _, _, *ends in grown[1:] for end in ends)
    axes.set_ylim(-reach, reach)
    title = "95 % intervals; those that are too long are cut off"
    style.finish(axes, title, "number of seeds", unit)
    return figure


def ratios_by_bias(result: Result, arm: str) -> Array:
    """Return what each single student of an arm retains of the student of its baseline.

    Args:
        result: A stored result.
        arm: The arm's name.

    Returns:
        [students, 3]: the transfer of the student, that of the baseline's, and their ratio.
    """
    rows = [row for row in result.rows if row["arm"] == arm]
    wholes = [row for row in result.rows if row["arm"] == rows[0]["of"]]
    parts = np.concatenate([row["by_bias"] for row in rows])
    bases = np.concatenate([row["by_bias"] for row in wholes])
    return np.stack([parts, bases, parts / bases], 1)


def ratio_figure(found: Array) -> Figure:
    """Draw the ratio of every student over the transfer that it is divided by.

    Args:
        found: What `ratios_by_bias` returns.
    """
    figure = style.new_figure(8.0, 3.2)
    axes = figure.subplots()
    axes.plot(found[:, 1], 100 * found[:, 2], "o", color=style.BLUE, markeredgecolor=style.INK)
    axes.axhline(100, color=style.GREY, linewidth=0.8)
    mean, ratio = 100 * found[:, 2].mean(), 100 * found[:, 0].mean() / found[:, 1].mean()
    axes.axhline(mean, color=style.ORANGE, linestyle="--", label=f"mean of ratios: {mean:.0f} %")
    axes.axhline(ratio, color=style.INK, label=f"ratio of means: {ratio:.0f} %")
    x = "transfer of the same student with all blocks trained, nats"
    style.finish(axes, x=x, y="retained, %", legend=True)
    return figure


def rate_rows(result: Result) -> list[dict[str, str]]:
    """Return how ways to train look beside `all` at the usual and at its best learning rate.

    Args:
        result: Of the finding `limits`.
    """
    arms = ("all", "all, best rate", "rank 1", "rank 4", "SGD")
    usual, best = result.values("all"), result.values("all, best rate")
    return [
        {
            "arm": arm,
            "transfer, nats": format_interval(*result.estimate(arm), ".2f"),
            "share of all, usual rate": _share(result.values(arm), usual),
            "share of all, best rate": _share(result.values(arm), best),
        }
        for arm in arms
    ]


def _share(parts: Sequence[float], wholes: Sequence[float]) -> str:
    return share(*statistics.estimate(parts, wholes))
