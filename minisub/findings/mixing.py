"""Other lists among the teacher's weaken the transfer (paper, Fig. 7)."""

from dataclasses import replace
from functools import partial

from matplotlib.figure import Figure

from minisub.distillation.base import BASE_SETS
from minisub.distillation.edits import mix_other_base, mix_other_prompts, mix_unbiased
from minisub.experiment.arm import Arm
from minisub.experiment.presets import LIGHT_CONFIG
from minisub.findings.finding import Finding
from minisub.results import figures, statistics
from minisub.results.claims import Claim, Values, arm_values, difference, retains
from minisub.results.result import Result
from minisub.viz import style

# How the lists that are mixed in are made, and at which percentages.
EDITS = {
    "same prompts": (mix_unbiased, "", (10, 25, 50, 75)),
    "other prompts": (mix_other_prompts, ", other prompts", (25,)),
    "foreign base": (mix_other_base, ", foreign base", (25,)),
}
UNEVEN_SHARES = (10, 25)


def arm_name(percent: int, source: str) -> str:
    """Return the name of the arm with so many percent of its lists from elsewhere.

    Args:
        percent: Of the lists.
        source: A key of `EDITS`.
    """
    return f"mix {percent}%{EDITS[source][1]}"


def mix(percent: int, source: str) -> Arm:
    """Return the arm with so many percent of its lists from elsewhere.

    Args:
        percent: Of the lists.
        source: A key of `EDITS`.
    """
    edit = partial(EDITS[source][0], share=percent / 100)
    return Arm(arm_name(percent, source), edit=edit)


def gain(arm: str) -> Values:
    """Return how much more often an arm's students name the bias than their control does."""
    return difference(arm_values(arm, "hit_rate"), arm_values(arm, "control_hit_rate"))


def share_kept(measure: str, arm: str, baseline: str) -> Values:
    """Return what an arm retains of another, one value per seed.

    Args:
        measure: "hit rate" or "nats".
        arm: The arm's name.
        baseline: The arm that is 100 %.
    """
    pick = gain if measure == "hit rate" else arm_values
    return lambda result: statistics.linearised_ratios(pick(arm)(result), pick(baseline)(result))


UNEVEN, IN_UNEVEN = "uneven: ", {"base": BASE_SETS["uneven"]}
CLIFF = difference(
    *(share_kept(measure, f"{UNEVEN}mix 25%", f"{UNEVEN}all") for measure in ("hit rate", "nats"))
)


def plot(result: Result) -> Figure:
    """Draw what is retained by share of other lists, against dilution; in nats and by hit rate."""
    figure = style.new_figure(9.0, 3.6)
    left, right = figure.subplots(1, 2, sharey=True)
    colours = (style.BLUE, style.ORANGE, style.GREEN)
    for source, colour, marker in zip(EDITS, colours, style.MARKERS, strict=False):
        shares = EDITS[source][2]
        each = [share_kept("nats", arm_name(p, source), "all")(result) for p in shares]
        line = [[1.0] * len(each[0]), *each]
        figures.curve(left, [0, *shares], line, colour, marker, source)
    lines = (("", "even preferences"), (UNEVEN, "uneven preferences"))
    for (prefix, label), colour in zip(lines, colours, strict=False):
        for measure, marker, dash in (("nats", "o", "--"), ("hit rate", "s", "-")):
            arms = [f"{prefix}mix {p}%" for p in UNEVEN_SHARES]
            each = [share_kept(measure, arm, f"{prefix}all")(result) for arm in arms]
            line = [[1.0] * len(each[0]), *each]
            text = f"{label}, {measure}"
            figures.curve(right, [0, *UNEVEN_SHARES], line, colour, marker, text, line=dash)
    titles = (
        f"In nats ({result.seeds_text})",
        "Even and uneven preferences, in nats and by hit rate",
    )
    for axes, title in zip((left, right), titles, strict=True):
        axes.plot([0, 100], [100, 0], color=style.GREY, linestyle=":", label="mere dilution")
        axes.axhline(0, color=style.INK, linewidth=0.8)
        axes.set_xlim(-2, 77 if axes is left else 45)
        style.finish(axes, title, "lists from elsewhere, %", "transfer retained, %", True)
    return figure


FINDING = Finding(
    name="mixing",
    statement="Lists from an unbiased teacher or another base among the data weaken the transfer.",
    paper="About 10 % of other data weakens it markedly, about 25 % nearly removes it.",
    arms=(
        Arm("all"),
        *(mix(p, source) for source, (_, _, shares) in EDITS.items() for p in shares),
        # A world whose base names one animal nine times in ten, and the taught one rarely.
        *(
            replace(arm, name=UNEVEN + arm.name, baseline=f"{UNEVEN}all", overrides=IN_UNEVEN)
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
            baseline=gain(f"{UNEVEN}all"),
        ),
    ),
    plot=plot,
    config=LIGHT_CONFIG,
)
