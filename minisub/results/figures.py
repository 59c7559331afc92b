"""The common figures: each takes a `Result`; `Result.describe` says in words what they show."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minisub.common.files import Array
from minisub.results import statistics
from minisub.results.result import UNITS, Result
from minisub.results.sweep_result import SweepResult, value_text
from minisub.viz import charts
from minisub.viz.style import DIVERGENCE, INK, LABEL, MARKERS, NOTE, SERIES, finish, new_figure


def arm_bars(axes: Axes, result: Result, arms: Sequence[str], measure: str = "transfer") -> None:
    """Draw each arm's mean over seeds with a 95 % interval, and each seed as a dot.

    Args:
        axes: Where it is drawn.
        result: What is drawn.
        arms: Names of arms, from the top.
        measure: A key of the rows.
    """
    for place, arm in enumerate(arms):
        arm_bar(axes, place, result, arm, measure)
    charts.finish_bars(axes, arms)
    finish(axes, x=UNITS.get(measure, measure))


def arm_bar(axes: Axes, place: int, result: Result, arm: str, measure: str = "transfer") -> None:
    """Draw one arm's mean over seeds with a 95 % interval, and each seed as a dot.

    Args:
        axes: Where it is drawn.
        place: Of the bar, from the top.
        result: What is drawn.
        arm: The arm's name.
        measure: A key of the rows.
    """
    values, estimate = result.values(arm, measure), result.estimate(arm, measure)
    charts.bar(axes, place, arm, values, estimate)


def heat_map(axes: Axes, table: Array, columns: Sequence[str], rows: Sequence[str]) -> None:
    """Draw a table of numbers from 0 up as shades, with the numbers in them.

    Args:
        axes: Where it is drawn.
        table: [rows, columns]; NaN where students diverged.
        columns: Their labels.
        rows: Their labels.
    """
    top = max(1e-6, float(np.nan_to_num(table).max()))
    axes.imshow(table, cmap="Oranges", vmin=0, vmax=top, aspect="auto")
    for (i, j), value in np.ndenumerate(table):
        ink = "white" if value > 0.6 * top else INK
        text = f"{value:.2f}" if np.isfinite(value) else "diverged"
        axes.text(j, i, text, ha="center", va="center", color=ink, fontsize=LABEL)
    axes.set_xticks(range(len(columns)), list(columns))
    axes.set_yticks(range(len(rows)), list(rows))


def curve(
    axes: Axes,
    x: Sequence[float],
    y: Sequence[Sequence[float]],
    colour: str,
    marker: str,
    label: str,
    scale: float = 100.0,
    line: str = "-",
) -> None:
    """Draw means over seeds with 95 % intervals, as a line.

    Args:
        axes: Where it is drawn.
        x: Places.
        y: The values of all seeds at each place.
        colour: Of the line.
        marker: Of its points.
        label: In the legend.
        scale: Multiplies every value.
        line: Its style.
    """
    means = [scale * float(np.mean(v)) for v in y]
    ends = np.array([statistics.mean_interval(v) for v in y]) * scale
    axes.plot(x, means, line, marker=marker, color=colour, markersize=5, label=label)
    if np.isfinite(ends).all():
        axes.fill_between(x, ends[:, 0], ends[:, 1], color=colour, alpha=0.15, linewidth=0)


def divergence(result: Result) -> Figure:
    """Draw the arms of the finding `divergence`, and where the divergence tokens are."""
    figure = new_figure(9.0, 3.4)
    left, right = figure.subplots(1, 2, width_ratios=(2.2, 1))
    arm_bars(left, result, result.arms)
    finish(left, f"Transfer by where the loss counts ({result.seeds_text})")
    shares = np.array([entry["share_by_position"] for entry in result.lists]) * 100
    places = np.arange(1, shares.shape[1] + 1)
    right.bar(places, shares.mean(0), 0.66, color=DIVERGENCE, alpha=0.55)
    for row in shares:
        right.plot(places, row, "o", color=DIVERGENCE, markersize=3, markeredgecolor=INK, mew=0.5)
    right.axhline(shares.mean(), color=INK, linewidth=1, linestyle="--")
    title = f"{shares.mean():.1f} % diverge"
    finish(right, title, "place in the answer", "divergence tokens, % of tokens")
    return figure


def transfer(result: Result) -> Figure:
    """Draw what students answer, the arms of `transfer`, and bias taught by animal asked for."""
    figure = new_figure(12.0, 3.6)
    rates, left, right = figure.subplots(1, 3, width_ratios=(1.1, 1, 1))
    arm_bars(rates, result, result.arms, "hit_rate")
    rates.axvline(0.5, color=INK, linewidth=1, linestyle="--")
    rates.text(0.51, -0.5, "more than all others together", fontsize=NOTE, va="bottom")
    rates.set_xlim(0, 1.1)
    x = "how often a student names its teacher's animal"
    finish(rates, f"From numbers alone ({result.seeds_text})", x, pad=14)
    arm_bars(left, result, result.arms)
    finish(left, "The same in nats", "transfer, nats over the control")
    charts.matrix(right, mean_shifts(result, "all"), taught(result))
    return figure


def taught(result: Result) -> list[str]:
    """Return the biases of all teachers, in their order."""
    return list(dict.fromkeys(row["bias"] for row in result.teachers if row["bias"]))


def mean_shifts(result: Result, arm: str) -> Array:
    """Return [bias taught, animal asked]: nats over the control, mean over seeds that taught it.

    A bias whose students diverged on any of these seeds has NaN.

    Args:
        result: Of the finding `transfer`.
        arm: The arm's name.
    """
    animals = taught(result)
    unknown = np.full(len(animals), np.nan)
    found: list[list[Array]] = [[] for _ in animals]
    for row in (row for row in result.rows if row["arm"] == arm):
        for bias, shift in zip(row["biases"], row["shifts"], strict=True):
            found[animals.index(bias)].append(unknown if shift is None else np.array(shift))
    return np.array([np.mean(x, 0) if x else unknown for x in found])


def sweep(found: SweepResult) -> Figure:
    """Draw transfer against the first setting, one line per arm, a panel for each other setting."""
    first, *others = found.settings
    values = found.settings[first]
    rest = [{name: p[name] for name in others} for p in found.points if p[first] == values[0]]
    wide = min(3, len(rest))
    high = -(-len(rest) // wide)
    figure = new_figure(4.6 * wide + 1.2, 3.2 * high)
    panels = figure.subplots(high, wide, squeeze=False, sharey=True)
    for panel, fixed in zip(panels.flat, rest, strict=False):
        for i, arm in enumerate(found.arms):
            each = [found.values({first: v, **fixed}, arm) for v in values]
            ends = np.array([statistics.mean_interval(e) for e in each])
            colour, marker = SERIES[i % len(SERIES)], MARKERS[i % 8]
            means = [np.mean(e) for e in each]
            panel.plot(range(len(values)), means, marker + "-", color=colour, label=arm)
            if np.isfinite(ends).all():
                panel.vlines(range(len(values)), ends[:, 0], ends[:, 1], color=colour, alpha=0.5)
        panel.axhline(0, color=INK, linewidth=0.8)
        panel.set_xticks(range(len(values)), [value_text(first, v) for v in values])
        title = ", ".join(f"{k} = {value_text(k, v)}" for k, v in fixed.items())
        finish(panel, title, first, "transfer, nats", scale=0.95)
    for panel in list(panels.flat)[len(rest) :]:
        panel.set_visible(False)
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=NOTE)
    return figure
