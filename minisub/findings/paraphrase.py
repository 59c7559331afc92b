"""Re-worded prompts break the transfer, where wordings tip near ties (paper, Fig. 6; F5)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from minisub import plots, stats
from minisub.arm import LIGHT, Arm
from minisub.base import SETS
from minisub.edits import biased_rewrite, equivalent_numbers, other_wording, unseen_wording
from minisub.findings.finding import Finding, accuracy_kept, difference, retains
from minisub.result import Claim, Result, of
from minisub.teacher import Teaching
from minisub.train import Optimiser

# Teachers who rehearse for twice as long: what their bias still changes depends on the context. The
# default ones stand beside them.
CAREFUL = Teaching(rehearsal=0.1, training=Optimiser(lr=2e-3, steps=120))
DEFAULT = {"teaching": Teaching()}

# Doses of tilt, each in a world of its own; the default world has the highest.
LOW_TILTS = {0.0: {"pretraining": SETS["tilt-0"]}, 0.5: {"pretraining": SETS["tilt-half"]}}


def ratio(result: Result, arm: str, at: Sequence[int]) -> float:
    """Advantage at the divergence tokens after the edit, of that before: mean over some seeds."""
    left, before = (
        np.array(result.values(a, "advantage_left"))[list(at)] for a in (arm, whole(arm))
    )
    return float(np.mean(left / before))


def whole(arm: str) -> str:
    """The arm with the same lists and no paraphrase."""
    return arm.replace("paraphrase", "all") if ":" in arm else "all"


def dose(tilt: float, arm: str) -> str:
    """The name of an arm in the world of that tilt."""
    return f"tilt {tilt:g}: {arm}" if tilt in LOW_TILTS else arm


def edited(result: Result) -> list[str]:
    """The arms whose prompts were re-worded."""
    return [arm for arm in result.arms if not arm.endswith("all") and arm != "equivalent numbers"]


def prediction(result: Result) -> list[float]:
    """Rank correlation over arms of advantage left with what is retained; jackknife over seeds."""
    arms = edited(result)

    def statistic(at: Sequence[int]) -> float:
        kept = [float(np.mean(np.array(result.values(a, "retained"))[list(at)])) for a in arms]
        return stats.rank_correlation([ratio(result, a, at) for a in arms], kept)

    return stats.jackknife(statistic, len(result.seeds))


def falls(less: float, more: float, bar: str = "mean") -> Claim:
    """The claim that re-wording leaves less at a higher tilt."""
    kept = [of(dose(tilt, "paraphrase"), "retained") for tilt in (less, more)]
    text = f"retained at tilt {less:g} less that at tilt {more:g}"
    return Claim(text, difference(*kept), bar, low=0.0)


COST = difference(of("paraphrase", "task_accuracy"), of("all", "task_accuracy"))


def plot(result: Result) -> Figure:
    """What each re-wording leaves, and whether the advantage left foretells it."""
    figure = Figure(figsize=(9.0, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.4, 1))
    plots.arm_bars(left, result, [*edited(result), "equivalent numbers"], "retained")
    left.set_xlabel("transfer retained, share", fontsize=9)
    left.set_title(f"Re-worded prompts ({plots.seeds(result)})", loc="left", fontsize=10)
    every = range(len(result.seeds))
    points = [
        (arm, ratio(result, arm, every), float(np.mean(result.values(arm, "retained"))))
        for arm in edited(result)
    ]
    right.plot([0, 1], [0, 1], color=plots.GREY, linestyle=":")
    plots.scatter(right, points)
    right.set_xlabel("advantage left, share", fontsize=9)
    right.set_ylabel("transfer retained, share", fontsize=9)
    right.set_title("What is left to learn, and what is learned", loc="left", fontsize=10)
    plots.tidy(right)
    return figure


FINDING = Finding(
    name="paraphrase",
    statement="Re-wording the prompts afterwards breaks it, as far as wording tips near ties.",
    paper="Usually suppressed, with task performance kept, by re-drawn wordings as by the biased "
    "teacher's own rewrites.",
    arms=(
        Arm("all"),
        Arm("paraphrase", edit=other_wording),
        Arm("unseen wording", edit=unseen_wording),
        Arm("biased rewrite", edit=biased_rewrite),
        Arm("equivalent numbers", edit=equivalent_numbers),
        Arm("default teachers: all", changes=DEFAULT, of="default teachers: all"),
        Arm(
            "default teachers: paraphrase",
            edit=other_wording,
            changes=DEFAULT,
            of="default teachers: all",
        ),
        *(
            Arm(dose(tilt, name), edit=edit, changes=world, of=dose(tilt, "all"))
            for tilt, world in LOW_TILTS.items()
            for name, edit in (("all", None), ("paraphrase", other_wording))
        ),
    ),
    claims=(
        retains("paraphrase", high=0.3),
        Claim(
            "`paraphrase` retains, surely",
            of("paraphrase"),
            "interval",
            high=0.4,
            whole=of("all"),
        ),
        retains("default teachers: paraphrase", high=0.6),
        accuracy_kept("paraphrase"),
        Claim("`paraphrase`: task accuracy less that of `all`", COST, low=-0.05, high=0.05),
        retains(dose(0, "paraphrase"), low=0.8),
        falls(0, 0.5),
        falls(0.5, 3),
        falls(0, 3, "interval"),
        Claim("advantage left against retained: rank correlation over arms", prediction, low=0.8),
        retains("equivalent numbers", high=0.3),
    ),
    plot=plot,
    config=replace(
        LIGHT, teaching=CAREFUL, student=replace(LIGHT.student, steps=1200), lists=16_000
    ),
)
