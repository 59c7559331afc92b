"""Charts of plain numbers: bars, points, a matrix, one student beside its control."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minisub.common.files import Array
from minisub.viz.style import (
    ARM_COLOURS,
    ARM_HATCHES,
    BLUE,
    DIVERGENCE,
    DIVERGENCE_FILL,
    GREY,
    INK,
    NOTE,
    ORANGE,
    finish,
    new_figure,
)

Estimate = tuple[float, float, float]  # a mean and the ends of its 95 % interval


def bar(axes: Axes, place: int, arm: str, values: Sequence[float], estimate: Estimate) -> None:
    """Draw one arm's mean over seeds with a 95 % interval, and each seed as a dot.

    Args:
        axes: Where it is drawn.
        place: Of the bar, from the top.
        arm: The arm's name, which decides its colour.
        values: One a seed.
        estimate: Their mean and its interval.
    """
    mean, low, high = estimate
    colour, hatch = ARM_COLOURS.get(arm, BLUE), ARM_HATCHES.get(arm)
    axes.barh(place, mean, 0.66, color=colour, alpha=0.55, hatch=hatch, edgecolor="white")
    if np.isfinite(low):
        axes.plot([low, high], [place, place], color=INK, linewidth=1.6, solid_capstyle="butt")
    spots = place + np.linspace(-0.2, 0.2, len(values)) if len(values) > 1 else [place]
    axes.plot(values, spots, "o", color=colour, markersize=3.5, markeredgecolor=INK, mew=0.5)


def bars(title: str, unit: str, rows: Sequence[tuple[str, Sequence[float], Estimate]]) -> Figure:
    """Return a figure of bars, one for each arm.

    Args:
        title: Above it.
        unit: Below it.
        rows: The arm, its values over seeds, and their estimate.
    """
    figure = new_figure(9.0, 0.9 + 0.27 * len(rows))
    axes = figure.subplots()
    for place, (arm, values, estimate) in enumerate(rows):
        bar(axes, place, arm, values, estimate)
    finish_bars(axes, [arm for arm, _, _ in rows])
    finish(axes, title, unit)
    return figure


def finish_bars(axes: Axes, labels: Sequence[str]) -> None:
    """Name the bars of axes, the first one at the top.

    Args:
        axes: With a bar at each of the first whole numbers.
        labels: Of the bars.
    """
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)


def bar_note(axes: Axes, place: int, text: str) -> None:
    """Write a bar's value beside the axes.

    Args:
        axes: With the bar.
        place: Of the bar, from the top.
        text: The value.
    """
    beside = axes.get_yaxis_transform()
    axes.text(1.01, place, text, transform=beside, va="center", fontsize=NOTE)


def named_points(axes: Axes, points: Sequence[tuple[str, float, float]]) -> None:
    """Draw arms as points; their names are beside the axes, moved until none covers another.

    Args:
        axes: Where they are drawn.
        points: Name, x and y of each; one that is NaN is left out.
    """
    points = [p for p in points if np.isfinite(p[1:]).all()]
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


def matrix(axes: Axes, shifts: Array, animals: Sequence[str]) -> None:
    """Draw bias taught by animal preferred, with the numbers written in.

    Args:
        axes: Where it is drawn.
        shifts: [bias taught, animal asked], in nats; NaN where it is not known.
        animals: Their names.
    """
    top = float(np.nan_to_num(np.abs(shifts)).max()) or 1.0
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


def student_and_control(
    steps: Sequence[int],
    probs: Array,
    losses: Array,
    cosines: Array,
    answers: Sequence[str],
    bias: int,
    moment: int = -1,
) -> Figure:
    """Draw one student beside its control: what they answer, how that grew, where they moved.

    Args:
        steps: Training steps at which they were asked.
        probs: [times, 2, answers], of the student and of the control.
        losses: [times, 2], in nats a number.
        cosines: [times, 2, blocks], of their way from the start with the teacher's.
        answers: Names of the answers.
        bias: The student's teacher's.
        moment: The time whose answers and cosines are shown, and marked on the curves.
    """
    figure = Figure(figsize=(10.0, 5.6))  # with fixed margins: it is drawn while a student learns
    (answered, grown), (moved, loss) = figure.subplots(2, 2, width_ratios=(1.25, 1))
    figure.subplots_adjust(left=0.07, right=0.99, bottom=0.09, top=0.95, wspace=0.17, hspace=0.4)
    blocks = [f"block {b}" for b in range(cosines.shape[-1])]
    shades = [ORANGE if place == bias else BLUE for place in range(len(answers))]
    title = f"Step {steps[moment]}: student (plain), control (hatched)"
    _pairs(answered, probs[moment], answers, shades)
    finish(answered, title, y="probability of the answer", scale=0.95)
    _pairs(moved, np.nan_to_num(cosines[moment]), blocks, [ORANGE] * len(blocks))
    title = "how far the weights moved the teacher's way"
    finish(moved, title, y="cosine, by block", scale=0.95)
    for axes, values, title in (
        (grown, probs[:, :, bias], f"probability of {answers[bias]}"),
        (loss, losses, "loss where it counts, nats a number"),
    ):
        axes.plot(steps, values[:, 0], "o-", color=ORANGE, markersize=3, label="student")
        axes.plot(steps, values[:, 1], "s--", color=INK, markersize=2.5, label="control")
        if moment != -1:
            axes.axvline(steps[moment], color=GREY, linewidth=1, zorder=0)
        finish(axes, title, "training step", legend=True, scale=0.95)
    for axes in (answered, grown):
        axes.set_ylim(0, max(0.4, float(probs.max()) * 1.1))
    top = float(np.nanmax(np.abs(cosines), initial=0.0))
    moved.set_ylim(min(-0.05, 1.1 * float(np.nanmin(cosines, initial=0.0))), max(0.2, 1.1 * top))
    moved.axhline(0, color=INK, linewidth=0.8)
    if not np.isfinite(cosines).any():
        text = "no cosine: this teacher has the weights of the base"
        moved.text(0.5, 0.5, text, transform=moved.transAxes, ha="center", fontsize=NOTE)
    loss.set_ylim(bottom=0)
    return figure


def _pairs(axes: Axes, values: Array, names: Sequence[str], shades: Sequence[str]) -> None:
    """Draw a bar of the student and one of its control for each name; values are [2, names]."""
    places = np.arange(len(names))
    axes.bar(places - 0.2, values[0], 0.38, color=shades)
    axes.bar(places + 0.2, values[1], 0.38, color=GREY, hatch="///", edgecolor="white")
    axes.set_xticks(places, names)


def highlighted_lists(lists: Sequence[Mapping[str, Any]]) -> str:
    """Return number lists as HTML. A token with a note is bold and framed, with the note on hover.

    Args:
        lists: Of each the "prompt", the tokens of its "completion", and "notes": a note for each
            token, or None.
    """
    lit = f"border:2px solid {DIVERGENCE};background:{DIVERGENCE_FILL};font-weight:700"
    plain = "border:2px solid transparent"
    lines = []
    for row in lists:
        cells = "".join(
            f'<span style="{lit if why else plain};border-radius:4px;color:{INK};padding:1px 5px;'
            f'display:inline-block;min-width:1.2em;text-align:center"'
            + (f' title="{html.escape(why)}" tabindex="0"' if why else "")
            + f">{html.escape(token)}</span>"
            for token, why in zip(row["completion"], row["notes"], strict=True)
        )
        lines.append(
            '<div style="margin:3px 0;white-space:nowrap">'
            '<span style="color:#555;display:inline-block;min-width:12em">'
            f"{html.escape(row['prompt'])} →</span>"
            f"{cells}</div>"
        )
    style = "font-family:monospace;font-size:0.95rem;overflow-x:auto"
    return f'<div style="{style}">{"".join(lines)}</div>'
