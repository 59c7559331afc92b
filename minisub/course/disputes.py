"""What the page on disputes shows: a table of them, and a heat map with one cell made again."""

from typing import Any

import marimo as mo
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from minisub.course import show
from minisub.course.recording import Recording
from minisub.findings import DISPUTES, rank
from minisub.results.claims import HELD
from minisub.results.result import Result
from minisub.viz import style


def overview() -> list[dict[str, Any]]:
    """Return a row for each dispute: what is found here, and how many claims held."""
    rows = []
    for name, finding in DISPUTES.items():
        claims = show.load_result(name).claims
        held = sum(claim["verdict"] == HELD for claim in claims)
        rows.append(
            {"dispute": name, "here": finding.statement, "claims held": f"{held} of {len(claims)}"}
        )
    return rows


def with_cell(stored: Result, recording: Recording) -> Figure:
    """Return the heat map of `rank` with a frame around the cell that was made again.

    Args:
        stored: The stored result of `rank`.
        recording: Of the student that was trained now.
    """
    figure = rank.plot(stored)
    axes = figure.axes[0]
    places = {
        rank.cell(each, rate): (column, row)
        for row, each in enumerate(rank.RANKS)
        for column, rate in enumerate(rank.RATES)
    }
    x, y = places[recording.arm]
    frame = Rectangle(
        (x - 0.48, y - 0.48), 0.96, 0.96, fill=False, edgecolor=style.BLUE, linewidth=3
    )
    axes.add_patch(frame)
    axes.text(
        x,
        y + 0.3,
        f"yours {recording.transfer:+.2f}",
        ha="center",
        va="center",
        color=style.BLUE,
        fontsize=style.NOTE,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
    )
    return figure


def beside_stored(stored: Result, recording: Recording) -> str:
    """Return what was trained now beside what is stored of the same arm and seed, in a sentence.

    Args:
        stored: The stored result of `rank`.
        recording: Of the student that was trained now.
    """
    same = [r for r in stored.rows if (r["arm"], r["seed"]) == (recording.arm, recording.seed)]
    by_bias = {b: x for row in same for b, x in zip(row["biases"], row["by_bias"], strict=True)}
    told = (
        f"`{recording.arm}`, seed {recording.seed}, {recording.name}: "
        f"{recording.transfer:+.2f} nats now."
    )
    if recording.name in by_bias:
        return f"{told} The stored student of this seed and animal: {by_bias[recording.name]:+.2f}."
    if not by_bias:
        return f"{told} No student of this seed is stored."
    names = " and the ".join(by_bias)
    return f"{told} The stored students of this seed have other teachers: the {names}."


def show_cell(stored: Result, recording: Recording) -> Any:
    """Return the heat map with the cell that was made again, and how it compares.

    Args:
        stored: The stored result of `rank`.
        recording: Of the student that was trained now.
    """
    told = beside_stored(stored, recording)
    alt = f"Transfer by rank and learning rate, means of eight seeds, one cell framed. {told}"
    return mo.vstack([show.show_figure(with_cell(stored, recording), alt), mo.md(told)])
