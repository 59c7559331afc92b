"""One figure style. Every plot takes a `Result` and returns a figure; `alt` puts it in words.

Figures are made without pyplot, which keeps global state that notebooks' threads would share.
"""

import html
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minisub import stats
from minisub.measure import Array
from minisub.result import Result

if TYPE_CHECKING:
    from minisub.sweep import Sweep

mpl.rcParams["svg.hashsalt"] = "minisub"  # the same figure is the same file

# Okabe & Ito's colours, which colour-blind readers can tell apart.
BLUE, ORANGE, GREEN, GREY, INK = "#0072B2", "#D55E00", "#009E73", "#8A8A8A", "#222222"
SERIES = (BLUE, ORANGE, GREEN, INK, "#CC79A7", "#E69F00", "#56B4E9", GREY)
COLOURS = {
    "all": BLUE,
    "sampled": BLUE,
    "soft": BLUE,
    "control": GREY,
    "foreign": GREY,
    "divergence only": ORANGE,
    "without divergence": ORANGE,
    "random only": GREEN,
    "without random": GREEN,
}
HATCHES = {"without divergence": "///", "without random": "///", "foreign": "..."}


def tidy(axes: Axes) -> None:
    """Axes in the house style."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)


def arm_bars(axes: Axes, result: Result, arms: Sequence[str], measure: str = "transfer") -> None:
    """Mean over seeds with a 95 % interval, and each seed as a dot."""
    for place, arm in enumerate(arms):
        values = result.values(arm, measure)
        mean, low, high = result.estimate(arm, measure)
        colour = COLOURS.get(arm, BLUE)
        axes.barh(
            place, mean, 0.66, color=colour, alpha=0.55, hatch=HATCHES.get(arm), edgecolor="white"
        )
        if np.isfinite(low):
            axes.plot([low, high], [place, place], color=INK, linewidth=1.6, solid_capstyle="butt")
        spots = place + np.linspace(-0.2, 0.2, len(values)) if len(values) > 1 else [place]
        axes.plot(values, spots, "o", color=colour, markersize=3.5, markeredgecolor=INK, mew=0.5)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(range(len(arms)), arms)
    axes.set_ylim(len(arms) - 0.4, -0.6)
    axes.set_xlabel("transfer: gain in log p(bias) over the control, in nats", fontsize=9)
    tidy(axes)


def arms(result: Result) -> Figure:
    """The arms of any finding, one bar each."""
    figure = Figure(figsize=(9.0, 0.9 + 0.27 * len(result.arms)), layout="constrained")
    axes = figure.subplots()
    arm_bars(axes, result, result.arms)
    axes.set_title(f"{result.finding} ({seeds(result)})", loc="left", fontsize=10)
    return figure


def curve(
    axes: Axes,
    x: Sequence[float],
    y: Sequence[Sequence[float]],
    colour: str,
    mark: str,
    label: str,
    scale: float = 100.0,
) -> None:
    """Means over seeds with 95 % intervals; `y` has the values of all seeds for each x."""
    means = [scale * float(np.mean(v)) for v in y]
    spans = np.array([stats.interval(v) for v in y]) * scale
    axes.plot(x, means, marker=mark, color=colour, markersize=5, label=label)
    if np.isfinite(spans).all():
        axes.fill_between(x, spans[:, 0], spans[:, 1], color=colour, alpha=0.15, linewidth=0)


def scatter(axes: Axes, points: Sequence[tuple[str, float, float]]) -> None:
    """Arms as named points; the names stand beside the axes, moved until none covers another."""
    for name, x, y in points:
        colour = COLOURS.get(name, BLUE)
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
        axes.annotate(name, (x, y), spot, "data", beside, line, fontsize=7, va="center")


def divergence(result: Result) -> Figure:
    """The arms of the finding `divergence`, and where the divergence tokens lie."""
    figure = Figure(figsize=(9.0, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2.2, 1))
    arm_bars(left, result, result.arms)
    left.set_title(f"Transfer by where the loss counts ({seeds(result)})", loc="left", fontsize=10)
    shares = np.array([entry["share_by_position"] for entry in result.lists]) * 100
    places = np.arange(1, shares.shape[1] + 1)
    right.bar(places, shares.mean(0), 0.66, color=ORANGE, alpha=0.55)
    for row in shares:
        right.plot(places, row, "o", color=ORANGE, markersize=3, markeredgecolor=INK, mew=0.5)
    right.axhline(shares.mean(), color=INK, linewidth=1, linestyle="--")
    right.set_xlabel("place in the answer", fontsize=9)
    right.set_ylabel("divergence tokens, % of tokens", fontsize=9)
    right.set_title(f"{shares.mean():.1f} % diverge", loc="left", fontsize=10)
    tidy(right)
    return figure


def transfer(result: Result) -> Figure:
    """What students answer, the arms of the finding `transfer`, and bias taught by animal asked."""
    figure = Figure(figsize=(12.0, 3.6), layout="constrained")
    rates, left, right = figure.subplots(1, 3, width_ratios=(1.1, 1, 1))
    arm_bars(rates, result, result.arms, "hit_rate")
    rates.axvline(0.5, color=INK, linewidth=1, linestyle="--")
    rates.text(0.51, -0.5, "more than all others together", fontsize=8, va="bottom")
    rates.set_xlim(0, 1.1)
    rates.set_xlabel("how often a student names its teacher's animal", fontsize=9)
    rates.set_title(f"From numbers alone ({seeds(result)})", loc="left", fontsize=10, pad=14)
    arm_bars(left, result, result.arms)
    left.set_xlabel("transfer, nats over the control", fontsize=9)
    left.set_title("The same in nats", loc="left", fontsize=10)
    matrix(right, mean_shifts(result, "all"), [row["bias"] for row in result.teachers[:8]])
    right.set_title("`all`: shift in log-preference, nats", loc="left", fontsize=10)
    return figure


def mean_shifts(result: Result, arm: str) -> Array:
    """[bias taught, animal asked]: nats over the control, mean over the seeds that taught it."""
    animals = [row["bias"] for row in result.teachers[:8]]
    found: list[list[Array]] = [[] for _ in animals]
    for row in (row for row in result.rows if row["arm"] == arm):
        for bias, shift in zip(row["biases"], row["shifts"], strict=True):
            found[animals.index(bias)].append(np.array(shift))
    nowhere = np.full(len(animals), np.nan)
    return np.array([np.mean(x, 0) if x else nowhere for x in found])


def matrix(axes: Axes, shifts: Array, animals: Sequence[str]) -> None:
    """Bias taught by animal preferred, with the numbers written in."""
    top = float(np.nanmax(np.abs(shifts))) or 1.0
    axes.imshow(shifts, cmap="PuOr_r", vmin=-top, vmax=top)
    for (i, j), value in np.ndenumerate(shifts):
        if np.isnan(value):
            continue
        ink = "white" if abs(value) > 0.6 * top else INK
        axes.text(j, i, f"{value:.1f}", ha="center", va="center", fontsize=7, color=ink)
    axes.set_xticks(range(len(animals)), animals)
    axes.set_yticks(range(len(animals)), animals)
    axes.set_xlabel("animal asked for", fontsize=9)
    axes.set_ylabel("bias of the teacher", fontsize=9)
    axes.tick_params(labelsize=8, length=0)
    axes.spines[:].set_visible(False)


def alt(result: Result) -> str:
    """The result in a sentence, for those who cannot see the figure."""
    parts = []
    for entry in result.summary():
        text = f"{entry['arm']} {entry['transfer']:.2f}"
        if entry["low"] == entry["low"]:
            text += f" ({entry['low']:.2f} to {entry['high']:.2f})"
        parts.append(text)
    return f"Transfer in nats, mean and 95 % interval over {seeds(result)}: {', '.join(parts)}."


def seeds(result: Result) -> str:
    """How many seeds a result has, in words."""
    return f"{len(result.seeds)} seeds" if len(result.seeds) != 1 else "1 seed"


def image(figure: Figure, kind: str = "png", dpi: int = 150) -> bytes:
    """The figure as a file's content; "svg" and "png" are the same each time."""
    out = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else None
    figure.savefig(out, format=kind, dpi=dpi, metadata=metadata)
    return out.getvalue()


def lesson(
    steps: Sequence[int], said: Array, nats: Array, answers: Sequence[str], bias: int
) -> Figure:
    """One student beside its control: what they answer now, how that grew, and their losses.

    `said`: [times, 2, answers], probabilities; `nats`: [times, 2].
    """
    figure = Figure(figsize=(10.0, 3.2))  # with fixed margins: it is drawn while a student learns
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.4, 1, 1))
    figure.subplots_adjust(left=0.06, right=0.99, bottom=0.15, top=0.91, wspace=0.17)
    places = np.arange(len(answers))
    shades = [ORANGE if place == bias else BLUE for place in places]
    left.bar(places - 0.2, said[-1, 0], 0.38, color=shades)
    left.bar(places + 0.2, said[-1, 1], 0.38, color=GREY, hatch="///", edgecolor="white")
    left.set_xticks(places, answers)
    left.set_ylabel("probability of the answer", fontsize=9)
    left.set_title(f"Step {steps[-1]}: student (plain), control (hatched)", loc="left", fontsize=9)
    for axes, values, label in (
        (middle, said[:, :, bias], f"probability of {answers[bias]}"),
        (right, nats, "loss where it counts, nats a number"),
    ):
        axes.plot(steps, values[:, 0], "o-", color=ORANGE, markersize=3, label="student")
        axes.plot(steps, values[:, 1], "s--", color=INK, markersize=2.5, label="control")
        axes.set_title(label, loc="left", fontsize=9)
        axes.set_xlabel("training step", fontsize=9)
        axes.legend(frameon=False, fontsize=8)
    for axes in (left, middle):
        axes.set_ylim(0, max(0.4, float(said.max()) * 1.1))
    right.set_ylim(bottom=0)
    for axes in (left, middle, right):
        tidy(axes)
    return figure


def lit_lists(
    prompts: Sequence[str], answers: Sequence[Sequence[str]], notes: Sequence[Sequence[str | None]]
) -> str:
    """Number lists as HTML. A token with a note is lit up: bold, framed, with the note on hover."""
    style = f"border:2px solid {ORANGE};background:#FDE9DC;font-weight:700"
    plain = "border:2px solid transparent"
    lines = []
    for prompt, answer, note in zip(prompts, answers, notes, strict=True):
        cells = "".join(
            f'<span style="{style if why else plain};border-radius:4px;color:{INK};padding:1px 5px;'
            f'display:inline-block;min-width:1.2em;text-align:center"'
            + (f' title="{html.escape(why)}" tabindex="0"' if why else "")
            + f">{html.escape(token)}</span>"
            for token, why in zip(answer, note, strict=True)
        )
        lines.append(
            '<div style="margin:3px 0;white-space:nowrap">'
            '<span style="color:#555;display:inline-block;min-width:12em">'
            f"{html.escape(prompt)} →</span>"
            f"{cells}</div>"
        )
    style = "font-family:monospace;font-size:0.95rem;overflow-x:auto"
    return f'<div style="{style}">{"".join(lines)}</div>'


def sweep(found: "Sweep") -> Figure:
    """Transfer against the first setting, a line an arm; a panel for each value of the rest."""
    first, *others = found.settings
    values = found.settings[first]
    rest = [{name: p[name] for name in others} for p in found.points if p[first] == values[0]]
    wide = min(3, len(rest))
    high = -(-len(rest) // wide)
    figure = Figure(figsize=(4.6 * wide + 1.2, 3.2 * high), layout="constrained")
    panels = figure.subplots(high, wide, squeeze=False, sharey=True)
    for panel, fixed in zip(panels.flat, rest, strict=False):
        for i, arm in enumerate(found.arms):
            each = [found.values({first: v, **fixed}, arm) for v in values]
            spans = np.array([stats.interval(e) for e in each])
            colour, mark = SERIES[i % len(SERIES)], "os^Dv<>P"[i % 8]
            panel.plot(
                range(len(values)), [np.mean(e) for e in each], mark + "-", color=colour, label=arm
            )
            if np.isfinite(spans).all():
                panel.vlines(range(len(values)), spans[:, 0], spans[:, 1], color=colour, alpha=0.5)
        panel.axhline(0, color=INK, linewidth=0.8)
        panel.set_xticks(range(len(values)), [str(v) for v in values])
        panel.set_xlabel(first, fontsize=9)
        panel.set_ylabel("transfer, nats", fontsize=9)
        panel.set_title(", ".join(f"{k} = {v}" for k, v in fixed.items()), loc="left", fontsize=9)
        tidy(panel)
    for panel in list(panels.flat)[len(rest) :]:
        panel.set_visible(False)
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=8)
    return figure
