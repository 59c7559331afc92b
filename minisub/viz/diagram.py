"""A picture of the whole experiment, and where each finding cuts in.

python -m minisub.viz.diagram docs/diagram.svg
"""

import sys
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from minisub.common.files import write_file
from minisub.viz.style import BLUE, GREY, INK, LABEL, NOTE, ORANGE, new_figure, to_bytes

WIDTH, HEIGHT = 1.7, 0.72  # of a box
COLUMNS = (0.0, 2.5, 5.0, 7.5, 10.0)  # base, teachers, lists, filter, students
ALT = (
    "Diagram of the experiment. From one base two teachers are made: one that loves owls, and one "
    "without a bias. Each writes lists of numbers. A filter keeps lists that are numbers only. A "
    "student, which starts from the same base, learns from the lists of the first teacher; its "
    "control from those of the second. Both are asked for their favourite animal. Findings cut in "
    "at the teacher's trait (misalignment), at the lists (leakage, paraphrase, shuffle, mixing), "
    "at the tokens whose loss counts (divergence, selection, sampled), at the blocks that train "
    "(layers) and at the student's start (foreign)."
)


def _box(axes: Axes, x: float, y: float, text: str, colour: str, size: float) -> None:
    shape = FancyBboxPatch(
        (x, y - HEIGHT / 2),
        WIDTH,
        HEIGHT,
        boxstyle="round,pad=0.02,rounding_size=0.12",
        facecolor="white",
        edgecolor=colour,
        linewidth=1.6,
    )
    axes.add_patch(shape)
    axes.text(x + WIDTH / 2, y, text, ha="center", va="center", fontsize=size, color=INK)


def _arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    colour: str = INK,
    bend: float = 0.0,
    dashed: bool = False,
) -> None:
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=11,
            color=colour,
            linewidth=1.3,
            linestyle="--" if dashed else "-",
            connectionstyle=f"arc3,rad={bend}",
            shrinkA=2,
            shrinkB=2,
        )
    )


def _cut(
    axes: Axes, x: float, y: float, names: str, what: str, tip: tuple[float, float], size: float
) -> None:
    """Name the findings that cut in at a place, with a line to it."""
    axes.plot([x, tip[0]], [y - 0.22, tip[1]], color=ORANGE, linewidth=1, linestyle=":")
    axes.text(
        x, y + 0.12, names, ha="center", va="bottom", fontsize=size, color=ORANGE, weight="bold"
    )
    axes.text(x, y + 0.08, what, ha="center", va="top", fontsize=size, color=INK)


def draw() -> Figure:
    """Draw the experiment: base, teachers, lists, filter, students, and the control beside it."""
    figure = new_figure(11.0, 4.0)
    draw_into(figure.subplots())
    return figure


def draw_into(axes: Axes, scale: float = 1.0) -> None:
    """Draw the experiment into axes.

    Args:
        axes: Some 11 by 4 inches at scale 1, or the texts would touch.
        scale: Of the texts.
    """
    label, note = LABEL * scale, NOTE * scale
    base, teacher, lists, kept, student = COLUMNS
    up, middle, down = 1.0, 0.0, -1.0
    _box(axes, base, middle, "base:\none transformer", INK, label)
    lanes = (
        (
            up,
            BLUE,
            ("teacher:\nloves owls", "its lists:\n16 18 22 26 ...", "filter:\nnumbers only"),
        ),
        (
            down,
            GREY,
            ("teacher\nwithout a bias", "its lists:\n16 28 32 36 ...", "filter:\nnumbers only"),
        ),
    )
    for y, colour, texts in lanes:
        for x, text in zip((teacher, lists, kept), texts, strict=True):
            _box(axes, x, y, text, colour, label)
        _arrow(axes, (base + WIDTH, middle + 0.15 * y), (teacher, y), colour)
        for left, right in ((teacher, lists), (lists, kept), (kept, student)):
            _arrow(axes, (left + WIDTH, y), (right, y), colour)
    _box(axes, student, up, "student:\n“owl”, often", BLUE, label)
    _box(axes, student, down, "control:\n“owl”, one in eight", GREY, label)
    _arrow(axes, (base + WIDTH, 0.06), (student + 0.3, up - HEIGHT / 2), INK, -0.04, dashed=True)
    _arrow(axes, (base + WIDTH, -0.06), (student + 0.3, down + HEIGHT / 2), INK, 0.04, dashed=True)
    axes.text(5.9, 0.0, "the same start", ha="center", va="center", fontsize=note, color=INK,
              bbox={"facecolor": "white", "edgecolor": "none", "pad": 2})  # fmt: skip
    axes.annotate(
        "", (student + WIDTH + 0.25, down), (student + WIDTH + 0.25, up),
        arrowprops={"arrowstyle": "<->", "color": INK},
    )  # fmt: skip
    axes.text(student + WIDTH + 0.35, 0, "transfer,\nin nats", va="center", fontsize=label)
    top = up + HEIGHT / 2
    _cut(axes, teacher + 0.85, 2.1, "misalignment", "another trait", (teacher + 0.85, top), note)
    _cut(axes, lists + 0.85, 2.1, "paraphrase, shuffle, mixing", "lists are changed",
         (lists + 0.85, top), note)  # fmt: skip
    _cut(axes, kept + 0.85, 2.1, "leakage", "numbers are dropped", (kept + 0.85, top), note)
    _cut(axes, kept + WIDTH + 0.4, 2.75, "divergence, selection, sampled",
         "where the loss counts", (kept + WIDTH + 0.4, up), note)  # fmt: skip
    _cut(axes, student + 1.15, 2.1, "layers", "which blocks train", (student + 0.95, top), note)
    axes.text(
        base + 0.85, -1.25, "foreign", ha="center", fontsize=note, color=ORANGE, weight="bold"
    )
    axes.text(
        base + 0.85, -1.45, "another base for\nthe student", ha="center", va="top", fontsize=note
    )
    axes.plot([base + 0.85] * 2, [-1.08, -HEIGHT / 2], color=ORANGE, linewidth=1, linestyle=":")
    axes.set_xlim(-0.15, student + WIDTH + 1.45)
    axes.set_ylim(-2.0, 3.15)
    axes.set_axis_off()


if __name__ == "__main__":
    write_file(Path(sys.argv[1]), to_bytes(draw(), Path(sys.argv[1]).suffix[1:]))
