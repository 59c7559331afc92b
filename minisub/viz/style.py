"""One style for all figures: colours, text sizes, axes, files.

Figures are made without pyplot, which keeps global state that notebooks' threads would share.
"""

import io
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

mpl.rcParams["svg.hashsalt"] = "minisub"  # the same figure is the same file

# Okabe & Ito's colours, which colour-blind readers can tell apart.
BLUE, ORANGE, GREEN, GREY, INK = "#0072B2", "#D55E00", "#009E73", "#8A8A8A", "#222222"
DIVERGENCE, DIVERGENCE_FILL = ORANGE, "#FDE9DC"  # of divergence tokens
SERIES = (BLUE, ORANGE, GREEN, INK, "#CC79A7", "#E69F00", "#56B4E9", GREY)
MARKERS = "os^Dv<>Ph*X"
ARM_COLOURS = {
    "all": BLUE,
    "sampled": BLUE,
    "soft": BLUE,
    "control": GREY,
    "foreign": GREY,
    "divergence only": DIVERGENCE,
    "without divergence": DIVERGENCE,
    "random only": GREEN,
    "without random": GREEN,
}
ARM_HATCHES = {"without divergence": "///", "without random": "///", "foreign": "..."}
TITLE, LABEL, NOTE = 10, 9, 8  # sizes of text


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure.

    Args:
        width: In inches.
        height: In inches.
    """
    return Figure(figsize=(width, height), layout="constrained")


def finish(
    axes: Axes,
    title: str = "",
    x: str = "",
    y: str = "",
    legend: bool = False,
    scale: float = 1.0,
    **title_options: Any,
) -> None:
    """Give axes their words, in the sizes of all figures, and take off what is not needed.

    Args:
        axes: What is finished; what it has already and is not named here stays.
        title: Above it, on the left.
        x: Label of the x axis.
        y: Label of the y axis.
        legend: Whether lines are named in a legend.
        scale: Times the usual sizes of text.
        **title_options: For the title, such as pad.
    """
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=LABEL * scale)
    if title:
        axes.set_title(title, loc="left", fontsize=TITLE * scale, **title_options)
    if x:
        axes.set_xlabel(x, fontsize=LABEL * scale)
    if y:
        axes.set_ylabel(y, fontsize=LABEL * scale)
    if legend:
        axes.legend(frameon=False, fontsize=NOTE * scale)


def to_bytes(figure: Figure, kind: str = "png", dpi: int = 150) -> bytes:
    """Return a figure as a file's content, the same each time.

    Args:
        figure: The figure.
        kind: "svg", "png" or "pdf".
        dpi: Dots per inch of a PNG.
    """
    out = io.BytesIO()
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    figure.savefig(out, format=kind, dpi=dpi, metadata=metadata)
    return out.getvalue()
