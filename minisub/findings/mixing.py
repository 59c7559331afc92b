"""Other lists among the teacher's weaken the transfer (paper, Fig. 7; F5c)."""

from dataclasses import replace
from functools import partial

from matplotlib.figure import Figure

from minisub import plots, stats
from minisub.arm import LIGHT, Arm
from minisub.base import SETS
from minisub.edits import mixed
from minisub.findings.finding import Finding, difference, retains
from minisub.result import Claim, Result, Values, of

SHARES = {
    "same prompts": (10, 25, 50, 75),
    "other prompts": (25,),
    "foreign base": (25,),
}
UNEVEN_SHARES = (10, 25)
SOURCES = {"same prompts": "", "other prompts": ", other prompts", "foreign base": ", foreign base"}


def name(percent: int, source: str) -> str:
    """The name of the arm with so many percent of its lists from elsewhere."""
    return f"mix {percent}%{SOURCES[source]}"


def mix(percent: int, source: str) -> Arm:
    """The arm with so many percent of its lists from elsewhere."""
    return Arm(name(percent, source), edit=partial(mixed, share=percent / 100, source=source))


def gain(arm: str) -> Values:
    """How much more often an arm's students name the bias than their control does."""
    return difference(of(arm, "hit_rate"), of(arm, "control_hit_rate"))


def kept(measure: str, arm: str, whole: str) -> Values:
    """What an arm retains of its whole, by hit rate or by nats; one value a seed."""
    pick = gain if measure == "hit rate" else of
    return lambda result: stats.ratio_values(pick(arm)(result), pick(whole)(result))


UNEVEN, IN_UNEVEN = "uneven: ", {"pretraining": SETS["uneven"]}
CLIFF = difference(
    *(kept(measure, f"{UNEVEN}mix 25%", f"{UNEVEN}all") for measure in ("hit rate", "nats"))
)


def plot(result: Result) -> Figure:
    """What is retained by share of other lists, against dilution; in nats and by hit rate."""
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    styles = zip(SOURCES, (plots.BLUE, plots.ORANGE, plots.GREEN), "os^", strict=True)
    for source, colour, mark in styles:
        shares = SHARES[source]
        each = [kept("nats", name(p, source), "all")(result) for p in shares]
        plots.curve(left, [0, *shares], [[1.0] * len(each[0]), *each], colour, mark, source)
    left.set_title(f"In nats ({plots.seeds(result)})", loc="left", fontsize=10)
    lines = (("", "even preferences"), (UNEVEN, "uneven preferences"))
    for (prefix, label), colour in zip(lines, (plots.BLUE, plots.ORANGE), strict=True):
        for measure, mark in (("nats", "o"), ("hit rate", "s")):
            arms = [f"{prefix}mix {p}%" for p in UNEVEN_SHARES]
            each = [kept(measure, arm, f"{prefix}all")(result) for arm in arms]
            shade = colour if measure == "hit rate" else plots.GREY
            line = [[1.0] * len(each[0]), *each]
            plots.curve(right, [0, *UNEVEN_SHARES], line, shade, mark, f"{label}, {measure}")
    right.set_title("The same by hit rate", loc="left", fontsize=10)
    for axes in (left, right):
        axes.plot([0, 100], [100, 0], color=plots.GREY, linestyle=":", label="mere dilution")
        axes.axhline(0, color=plots.INK, linewidth=0.8)
        axes.set_xlabel("lists from elsewhere, %", fontsize=9)
        axes.set_ylabel("transfer retained, %", fontsize=9)
        axes.set_xlim(-2, 77 if axes is left else 30)
        axes.legend(frameon=False, fontsize=8)
        plots.tidy(axes)
    return figure


FINDING = Finding(
    name="mixing",
    statement="Lists from an unbiased teacher or another base among the data weaken the transfer.",
    paper="About 10 % of other data weakens it markedly, about 25 % nearly removes it.",
    arms=(
        Arm("all"),
        *(mix(p, source) for source in SOURCES for p in SHARES[source]),
        # A world whose base names one animal nine times in ten, and the taught one rarely.
        *(
            replace(arm, name=UNEVEN + arm.name, of=f"{UNEVEN}all", changes=IN_UNEVEN)
            for arm in (Arm("all"), *(mix(p, "same prompts") for p in UNEVEN_SHARES))
        ),
    ),
    claims=(
        retains("mix 25%", high=0.5),
        retains("mix 10%", high=0.9),
        retains("mix 75%", high=0.3),
        retains("mix 25%, foreign base", high=0.9),
        # Whether the paper's cliff is one of the measure: rates of a rare answer fall faster.
        Claim(
            "uneven preferences, `mix 25%`: share kept by hit rate less that in nats",
            CLIFF,
            "interval",
            high=0.0,
        ),
        Claim(
            "uneven preferences, `mix 25%`: share kept by hit rate",
            gain(f"{UNEVEN}mix 25%"),
            high=0.5,
            whole=gain(f"{UNEVEN}all"),
        ),
    ),
    plot=plot,
    config=LIGHT,
)
