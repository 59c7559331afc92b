"""Other lists among the teacher's weaken the transfer (paper, Fig. 7; F5c)."""

from functools import partial

from matplotlib.figure import Figure

from minisub import plots
from minisub.arm import LIGHT, Arm
from minisub.edits import mixed
from minisub.findings.finding import Finding, retains
from minisub.result import Result

SHARES = {
    "same prompts": (5, 10, 25, 50, 75),
    "other prompts": (10, 25, 50),
    "foreign base": (10, 25, 50),
}
SOURCES = {"same prompts": "", "other prompts": ", other prompts", "foreign base": ", foreign base"}


def name(percent: int, source: str) -> str:
    """The name of the arm with so many percent of its lists from elsewhere."""
    return f"mix {percent}%{SOURCES[source]}"


def plot(result: Result) -> Figure:
    """What is retained by share of other lists, against dilution."""
    figure = Figure(figsize=(7.0, 3.6), layout="constrained")
    axes = figure.subplots()
    styles = zip(SOURCES, (plots.BLUE, plots.ORANGE, plots.GREEN), "os^", strict=True)
    for source, colour, mark in styles:
        kept = [result.values(name(p, source), "retained") for p in SHARES[source]]
        plots.curve(axes, [0, *SHARES[source]], [[1.0] * len(kept[0]), *kept], colour, mark, source)
    axes.plot([0, 100], [100, 0], color=plots.GREY, linestyle=":", label="mere dilution")
    axes.axhline(0, color=plots.INK, linewidth=0.8)
    axes.set_xlabel("lists from elsewhere, %", fontsize=9)
    axes.set_ylabel("transfer retained, %", fontsize=9)
    axes.set_title(f"Lists from elsewhere ({plots.seeds(result)})", loc="left", fontsize=10)
    axes.set_xlim(-2, 77)
    axes.legend(frameon=False, fontsize=8)
    plots.tidy(axes)
    return figure


FINDING = Finding(
    name="mixing",
    statement="Lists from an unbiased teacher or another base among the data weaken the transfer.",
    paper="About 10 % of other data weakens it markedly, about 25 % nearly removes it.",
    arms=(
        Arm("all"),
        *(
            Arm(name(p, source), edit=partial(mixed, share=p / 100, source=source))
            for source in SOURCES
            for p in SHARES[source]
        ),
    ),
    claims=(
        retains("mix 25%", high=0.5),
        retains("mix 10%", high=0.9),
        retains("mix 75%", high=0.3),
        retains("mix 25%, foreign base", high=0.9),
    ),
    plot=plot,
    config=LIGHT,
)
