"""The common figures: each takes a `Result` and returns a figure; `describe` puts it in words."""

import html
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minisub.common.files import Array
from minisub.results import statistics
from minisub.results.result import Result
from minisub.results.sweep_result import SweepResult
from minisub.viz.style import (
    ARM_COLOURS,
    ARM_HATCHES,
    BLUE,
    DIVERGENCE,
    DIVERGENCE_FILL,
    GREY,
    INK,
    MARKERS,
    NOTE,
    ORANGE,
    SERIES,
    finish,
    new_figure,
)

TRANSFER = "transfer: gain in log p(bias) over the control, in nats"


def arm_bars(axes: Axes, result: Result, arms: Sequence[str], measure: str = "transfer") -> None:
    """Draw each arm's mean over seeds with a 95 % interval, and each seed as a dot.

    Args:
        axes: Where it is drawn.
        result: What is drawn.
        arms: Names of arms, from the top.
        measure: A key of the rows.
    """
    for place, arm in enumerate(arms):
        values = result.values(arm, measure)
        mean, low, high = result.estimate(arm, measure)
        colour, hatch = ARM_COLOURS.get(arm, BLUE), ARM_HATCHES.get(arm)
        axes.barh(place, mean, 0.66, color=colour, alpha=0.55, hatch=hatch, edgecolor="white")
        if np.isfinite(low):
            axes.plot([low, high], [place, place], color=INK, linewidth=1.6, solid_capstyle="butt")
        spots = place + np.linspace(-0.2, 0.2, len(values)) if len(values) > 1 else [place]
        axes.plot(values, spots, "o", color=colour, markersize=3.5, markeredgecolor=INK, mew=0.5)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(range(len(arms)), arms)
    axes.set_ylim(len(arms) - 0.4, -0.6)
    finish(axes, x=TRANSFER)


def all_arms(result: Result) -> Figure:
    """Draw the arms of any finding, one bar each."""
    figure = new_figure(9.0, 0.9 + 0.27 * len(result.arms))
    axes = figure.subplots()
    arm_bars(axes, result, result.arms)
    finish(axes, f"{result.finding} ({result.n_seeds})")
    return figure


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


def named_points(axes: Axes, points: Sequence[tuple[str, float, float]]) -> None:
    """Draw arms as points; their names are beside the axes, moved until none covers another.

    Args:
        axes: Where they are drawn.
        points: Name, x and y of each.
    """
    for name, x, y in points:
        colour = ARM_COLOURS.get(name, BLUE)
        axes.plot(x, y, "o", color=colour, markersize=5, markeredgecolor=INK, mew=0.5)
    low, high = axes.get_ylim()
    ordered, step = sorted(points, key=lambda p: p[2]), 0.05 * (high - low)
    # Pushed up from the lowest, pushed down from the highest: the mean keeps the distances of both.
    up, down = [p[2] for p in ordered], [p[2] for p in ordered]
    for i in range(1, len(ordered)):
        up[i] = max(up[i], up[i - 1] + step)
        down[-1 - i] = min(down[-1 - i], down[-i] - step)
    line = {"arrowstyle": "-", "color": GREY, "linewidth": 0.4}
    beside = axes.get_yaxis_transform()
    floor = low
    for (name, x, y), a, b in zip(ordered, up, down, strict=True):
        spot = (1.04, max((a + b) / 2, floor))
        floor = spot[1] + step
        axes.annotate(name, (x, y), spot, "data", beside, line, fontsize=NOTE - 1, va="center")


def divergence(result: Result) -> Figure:
    """Draw the arms of the finding `divergence`, and where the divergence tokens are."""
    figure = new_figure(9.0, 3.4)
    left, right = figure.subplots(1, 2, width_ratios=(2.2, 1))
    arm_bars(left, result, result.arms)
    finish(left, f"Transfer by where the loss counts ({result.n_seeds})")
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
    finish(rates, f"From numbers alone ({result.n_seeds})", x, pad=14)
    arm_bars(left, result, result.arms)
    finish(left, "The same in nats", "transfer, nats over the control")
    matrix(right, mean_shifts(result, "all"), [row["bias"] for row in result.teachers[:8]])
    return figure


def mean_shifts(result: Result, arm: str) -> Array:
    """Return [bias taught, animal asked]: nats over the control, mean over seeds that taught it.

    Args:
        result: Of the finding `transfer`.
        arm: The arm's name.
    """
    animals = [row["bias"] for row in result.teachers[:8]]
    found: list[list[Array]] = [[] for _ in animals]
    for row in (row for row in result.rows if row["arm"] == arm):
        for bias, shift in zip(row["biases"], row["shifts"], strict=True):
            found[animals.index(bias)].append(np.array(shift))
    unknown = np.full(len(animals), np.nan)
    return np.array([np.mean(x, 0) if x else unknown for x in found])


def matrix(axes: Axes, shifts: Array, animals: Sequence[str]) -> None:
    """Draw bias taught by animal preferred, with the numbers written in.

    Args:
        axes: Where it is drawn.
        shifts: [bias taught, animal asked], in nats.
        animals: Their names.
    """
    top = float(np.nanmax(np.abs(shifts))) or 1.0
    axes.imshow(shifts, cmap="PuOr_r", vmin=-top, vmax=top)
    for (i, j), value in np.ndenumerate(shifts):
        if np.isnan(value):
            continue
        ink = "white" if abs(value) > 0.6 * top else INK
        axes.text(j, i, f"{value:.1f}", ha="center", va="center", fontsize=NOTE - 1, color=ink)
    axes.set_xticks(range(len(animals)), animals)
    axes.set_yticks(range(len(animals)), animals)
    title = "`all`: shift in log-preference, nats"
    finish(axes, title, "animal asked for", "bias of the teacher")
    axes.tick_params(labelsize=NOTE, length=0)
    axes.spines[:].set_visible(False)


def describe(result: Result) -> str:
    """Return the result in a sentence, for those who cannot see the figure."""
    parts = []
    for entry in result.summary():
        text = f"{entry['arm']} {entry['transfer']:.2f}"
        if entry["low"] == entry["low"]:
            text += f" ({entry['low']:.2f} to {entry['high']:.2f})"
        parts.append(text)
    arms = ", ".join(parts)
    return f"Transfer in nats, mean and 95 % interval over {result.n_seeds}: {arms}."


def student_and_control(
    steps: Sequence[int], probs: Array, nats: Array, answers: Sequence[str], bias: int
) -> Figure:
    """Draw one student beside its control: what they answer, how that grew, and their losses.

    Args:
        steps: Training steps at which they were asked.
        probs: [times, 2, answers], of the student and of the control.
        nats: [times, 2], their losses.
        answers: Names of the answers.
        bias: The student's teacher's.
    """
    figure = Figure(figsize=(10.0, 3.2))  # with fixed margins: it is drawn while a student learns
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.4, 1, 1))
    figure.subplots_adjust(left=0.06, right=0.99, bottom=0.15, top=0.91, wspace=0.17)
    places = np.arange(len(answers))
    shades = [ORANGE if place == bias else BLUE for place in places]
    left.bar(places - 0.2, probs[-1, 0], 0.38, color=shades)
    left.bar(places + 0.2, probs[-1, 1], 0.38, color=GREY, hatch="///", edgecolor="white")
    left.set_xticks(places, answers)
    title = f"Step {steps[-1]}: student (plain), control (hatched)"
    finish(left, title, y="probability of the answer", scale=0.95)
    for axes, values, title in (
        (middle, probs[:, :, bias], f"probability of {answers[bias]}"),
        (right, nats, "loss where it counts, nats a number"),
    ):
        axes.plot(steps, values[:, 0], "o-", color=ORANGE, markersize=3, label="student")
        axes.plot(steps, values[:, 1], "s--", color=INK, markersize=2.5, label="control")
        finish(axes, title, "training step", legend=True, scale=0.95)
    for axes in (left, middle):
        axes.set_ylim(0, max(0.4, float(probs.max()) * 1.1))
    right.set_ylim(bottom=0)
    return figure


def highlighted_lists(
    prompts: Sequence[str],
    completions: Sequence[Sequence[str]],
    notes: Sequence[Sequence[str | None]],
) -> str:
    """Return number lists as HTML. A token with a note is bold and framed, with the note on hover.

    Args:
        prompts: One a list.
        completions: The tokens of each list.
        notes: A note for each token, or None.
    """
    lit = f"border:2px solid {DIVERGENCE};background:{DIVERGENCE_FILL};font-weight:700"
    plain = "border:2px solid transparent"
    lines = []
    for prompt, completion, note in zip(prompts, completions, notes, strict=True):
        cells = "".join(
            f'<span style="{lit if why else plain};border-radius:4px;color:{INK};padding:1px 5px;'
            f'display:inline-block;min-width:1.2em;text-align:center"'
            + (f' title="{html.escape(why)}" tabindex="0"' if why else "")
            + f">{html.escape(token)}</span>"
            for token, why in zip(completion, note, strict=True)
        )
        lines.append(
            '<div style="margin:3px 0;white-space:nowrap">'
            '<span style="color:#555;display:inline-block;min-width:12em">'
            f"{html.escape(prompt)} →</span>"
            f"{cells}</div>"
        )
    style = "font-family:monospace;font-size:0.95rem;overflow-x:auto"
    return f'<div style="{style}">{"".join(lines)}</div>'


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
        panel.set_xticks(range(len(values)), [str(v) for v in values])
        title = ", ".join(f"{k} = {v}" for k, v in fixed.items())
        finish(panel, title, first, "transfer, nats", scale=0.95)
    for panel in list(panels.flat)[len(rest) :]:
        panel.set_visible(False)
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=NOTE)
    return figure
