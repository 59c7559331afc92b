"""What can a defender do, who does not know the bias? (asked by reviewers of the paper)."""

from functools import partial

from matplotlib.figure import Figure

from minisub.distillation.masks import down_weighted, without_divergence
from minisub.distillation.relabel import unbiased_labels
from minisub.experiment.arm import Arm
from minisub.experiment.presets import LIGHT_CONFIG
from minisub.findings.finding import Finding
from minisub.results import figures
from minisub.results.claims import (
    Claim,
    accuracy_less,
    arm_values,
    difference,
    retains,
    transfers,
)
from minisub.results.result import Result
from minisub.viz import style

# Where labels of the unbiased teacher are put in, by the name of the arm.
LABELS = {
    "labels at divergence": "divergence",
    "labels at half of them": "half",
    "labels at random": "random",
    "labels where surprised": "surprise",
    "labels where two disagree": "disagreement",
    "labels everywhere": "everywhere",
}
REHEARSALS = (0.1, 1.0)


def accuracy_against_all(arm: str, low: float) -> Claim:
    """Return a claim that a defence costs no more accuracy in the number task than it may.

    Args:
        arm: The arm's name.
        low: The least difference from the accuracy of `all`, as a share of the numbers.
    """
    text = f"`{arm}`: task accuracy, less that of `all`"
    return Claim(text, accuracy_less(arm, "all"), low=low)


def plot(result: Result) -> Figure:
    """Draw what each defence leaves of the transfer, and what it costs in accuracy."""
    figure = style.new_figure(9.0, 4.2)
    left, right = figure.subplots(1, 2, width_ratios=(1.6, 1), sharey=True)
    figures.arm_bars(left, result, result.arms)
    style.finish(left, f"What a defence leaves ({result.seeds_text})")
    losses = [
        100 * (result.mean(arm, "task_accuracy") - result.mean("all", "task_accuracy"))
        for arm in result.arms
    ]
    right.barh(range(len(losses)), losses, color=style.GREY)
    right.axvline(0, color=style.INK, linewidth=0.8)
    style.finish(right, "Task accuracy, less that of `all`", "points")
    return figure


FINDING = Finding(
    name="defence",
    statement="Labels of an unbiased teacher at the most surprising fifth of the tokens stop it.",
    paper="The paper shows which tokens carry the bias, and tries re-wording and mixing. Its "
    "reviewers ask for weights between 0 and 1, and for labels of an unbiased teacher.",
    arms=(
        Arm("all"),
        *(Arm(name, edit=partial(unbiased_labels, where=w)) for name, w in LABELS.items()),
        Arm("without divergence", mask=without_divergence),
        *(
            Arm(f"divergence weight {w:g}", mask=partial(down_weighted, weight=w))
            for w in (0.1, 0.25, 0.5)
        ),
        *(Arm(f"rehearsal {w:g}", rehearsal=w) for w in REHEARSALS),
    ),
    claims=(
        transfers("all"),
        retains("labels at divergence", high=0.1),
        accuracy_against_all("labels at divergence", low=0.0),
        retains("labels where surprised", high=0.1),
        retains("labels where two disagree", low=0.7),
        Claim(
            "`labels at random` less `labels at divergence`, nats",
            difference(arm_values("labels at random"), arm_values("labels at divergence")),
            "interval",
            low=0.0,
        ),
        retains("labels at half of them", high=0.6),
        retains("divergence weight 0.5", low=0.6),
        retains("rehearsal 0.1", high=0.15),
        accuracy_against_all("rehearsal 0.1", low=-0.02),
    ),
    plot=plot,
    config=LIGHT_CONFIG,
)
