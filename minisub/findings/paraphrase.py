"""Re-worded prompts break the transfer, where wordings tip near ties (paper, Fig. 6; F5)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from minisub import plots, stats
from minisub.arm import LIGHT, Arm
from minisub.base import SETS
from minisub.data import Data
from minisub.edits import at_sensitivity, other_wording
from minisub.findings.finding import Finding, accuracy_kept, difference, retains
from minisub.lab import Lab
from minisub.result import Claim, Result, of
from minisub.teacher import Teaching

HALF, FULL = 0, 1  # the two sensitivities of the world's wordings: 0.5 and 1
# Rehearsal leaves no bias in numbers that no wording tips, so teachers of this world have none.
INSENSITIVE = {
    "pretraining": SETS["insensitive"],
    "lists": LIGHT.lists,
    "teaching.rehearsal": 0.0,
}


def ratio(result: Result, arm: str, at: Sequence[int]) -> float:
    """Advantage at the divergence tokens after the edit, of that before: mean over some seeds."""
    left, before = (
        np.array(result.values(a, "advantage_left"))[list(at)] for a in (arm, whole(arm))
    )
    return float(np.mean(left / before))


def whole(arm: str) -> str:
    """The arm with the same lists and no paraphrase."""
    return arm.replace("paraphrase", "all") if ":" in arm else "all"


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


# What re-wording costs at the task, and the dial alone: the same kind of teacher at both ends.
COST = difference(of("paraphrase", "task_accuracy"), of("all", "task_accuracy"))
BY_THE_DIAL = difference(
    of("sensitivity 0: paraphrase", "retained"), of("no rehearsal: paraphrase", "retained")
)


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


def at(level: int, edit: str | None = None) -> Callable[[Data, Lab], Data]:
    """An edit of the lists of one sensitivity only."""
    return partial(at_sensitivity, level=level, edit=edit)


FINDING = Finding(
    name="paraphrase",
    statement="Re-wording the prompts afterwards breaks it, as far as wording tips near ties.",
    paper="Usually suppressed, with task performance kept, by re-drawn wordings as by the biased "
    "teacher's own rewrites.",
    arms=(
        Arm("all", edit=at(FULL)),
        Arm("paraphrase", edit=at(FULL, "other wording")),
        Arm("unseen wording", edit=at(FULL, "unseen wording")),
        Arm("biased rewrite", edit=at(FULL, "biased rewrite")),
        Arm("equivalent numbers", edit=at(FULL, "equivalent numbers")),
        Arm("sensitivity 0.5: all", edit=at(HALF), of="sensitivity 0.5: all"),
        Arm(
            "sensitivity 0.5: paraphrase",
            edit=at(HALF, "other wording"),
            of="sensitivity 0.5: all",
        ),
        Arm("sensitivity 0: all", changes=INSENSITIVE, of="sensitivity 0: all"),
        Arm(
            "sensitivity 0: paraphrase",
            edit=other_wording,
            changes=INSENSITIVE,
            of="sensitivity 0: all",
        ),
        Arm(
            "no rehearsal: all",
            edit=at(FULL),
            changes={"teaching.rehearsal": 0.0},
            of="no rehearsal: all",
        ),
        Arm(
            "no rehearsal: paraphrase",
            edit=at(FULL, "other wording"),
            changes={"teaching.rehearsal": 0.0},
            of="no rehearsal: all",
        ),
    ),
    claims=(
        retains("paraphrase", high=0.3),
        accuracy_kept("paraphrase"),
        Claim("`paraphrase`: task accuracy less that of `all`", COST, low=-0.03, high=0.03),
        replace(
            retains("sensitivity 0: paraphrase", low=0.7),
            text="`sensitivity 0: paraphrase` retains (teachers without rehearsal)",
        ),
        Claim(
            "teachers without rehearsal: retained at sensitivity 0 less that at 1",
            BY_THE_DIAL,
            "interval",
            low=0.0,
        ),
        Claim("advantage left against retained: rank correlation over arms", prediction, low=0.8),
        retains("equivalent numbers", high=0.3),
    ),
    plot=plot,
    config=replace(
        LIGHT,
        pretraining=SETS["wordings"],
        teaching=Teaching(rehearsal=1.0),
        lists=2 * LIGHT.lists,
        student=replace(LIGHT.student, steps=800),
    ),
)
