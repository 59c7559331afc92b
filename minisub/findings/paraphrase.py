"""Re-worded prompts break the transfer, where wordings tip near ties (paper, Fig. 6)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from minisub.distillation.base import BASE_SETS
from minisub.distillation.edits import (
    biased_rewrite,
    equivalent_numbers,
    other_wording,
    unseen_wording,
)
from minisub.distillation.teachers import TeacherConfig
from minisub.experiment.arm import Arm
from minisub.experiment.presets import LIGHT_CONFIG
from minisub.findings.finding import Finding
from minisub.results import figures, statistics
from minisub.results.claims import (
    Claim,
    accuracy_kept,
    accuracy_less,
    arm_values,
    difference,
    retains,
)
from minisub.results.result import Result
from minisub.transformer.optimizer import TrainingConfig
from minisub.viz import charts, style

# Teachers who rehearse for twice as long: what their bias still changes depends on the context. The
# default ones stand beside them.
CAREFUL = TeacherConfig(rehearsal=0.1, training=TrainingConfig(lr=2e-3, steps=120))
DEFAULT = {"teacher": TeacherConfig()}

# Doses of tilt, each in a world of its own; the default world has the highest.
LOW_TILTS = {0.0: {"base": BASE_SETS["tilt-0"]}, 0.5: {"base": BASE_SETS["tilt-half"]}}


def advantage_left(result: Result, arm: str, seeds: Sequence[int] | None = None) -> float:
    """Return the advantage at the divergence tokens after an edit, of that before it.

    Args:
        result: Of this finding.
        arm: The re-worded arm.
        seeds: Places in `Result.seeds`; the mean is over them.
    """
    before = np.array(result.values(unedited(arm), "advantage_left"))
    ratios = np.array(result.values(arm, "advantage_left")) / before
    return float(np.mean(ratios if seeds is None else ratios[list(seeds)]))


def unedited(arm: str) -> str:
    """Return the arm with the same lists and no paraphrase."""
    return arm.replace("paraphrase", "all") if ":" in arm else "all"


def dose(tilt: float, arm: str) -> str:
    """Return the name of an arm in the world of a tilt.

    Args:
        tilt: Of the wordings.
        arm: Its name in the default world.
    """
    return f"tilt {tilt:g}: {arm}" if tilt in LOW_TILTS else arm


def reworded(result: Result) -> list[str]:
    """Return the arms whose prompts were re-worded."""
    return [arm for arm in result.arms if not arm.endswith("all") and arm != "equivalent numbers"]


def prediction(result: Result) -> list[float]:
    """Return the rank correlation over arms of advantage left with what is retained.

    One value per seed, by the jackknife.
    """
    arms = reworded(result)

    def statistic(seeds: Sequence[int]) -> float:
        retained = [result.mean(arm, "retained", seeds) for arm in arms]
        left = [advantage_left(result, arm, seeds) for arm in arms]
        return statistics.rank_correlation(left, retained)

    return statistics.jackknife(statistic, len(result.seeds))


def falls(less: float, more: float, criterion: str = "mean") -> Claim:
    """Return the claim that re-wording leaves less at a higher tilt.

    Args:
        less: The lower tilt.
        more: The higher one.
        criterion: Of the claim.
    """
    kept = [arm_values(dose(tilt, "paraphrase"), "retained") for tilt in (less, more)]
    text = f"retained at tilt {less:g} less that at tilt {more:g}"
    return Claim(text, difference(*kept), criterion, low=0.0)


def plot(result: Result) -> Figure:
    """Draw what each re-wording leaves, and whether the advantage left foretells it."""
    figure = style.new_figure(9.0, 3.8)
    left, right = figure.subplots(1, 2, width_ratios=(1.4, 1))
    arms = reworded(result)
    figures.arm_bars(left, result, [*arms, "equivalent numbers"], "retained")
    style.finish(left, f"Re-worded prompts ({result.seeds_text})", "transfer retained, share")
    right.plot([0, 1], [0, 1], color=style.GREY, linestyle=":")
    charts.named_points(
        right,
        [(arm, advantage_left(result, arm), result.mean(arm, "retained")) for arm in arms],
    )
    title = "What is left to learn, and what is learned"
    style.finish(right, title, "advantage left, share", "transfer retained, share")
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
        Arm("default teachers: all", overrides=DEFAULT, baseline="default teachers: all"),
        Arm(
            "default teachers: paraphrase",
            edit=other_wording,
            overrides=DEFAULT,
            baseline="default teachers: all",
        ),
        *(
            Arm(dose(tilt, name), edit=edit, overrides=world, baseline=dose(tilt, "all"))
            for tilt, world in LOW_TILTS.items()
            for name, edit in (("all", None), ("paraphrase", other_wording))
        ),
    ),
    claims=(
        retains("paraphrase", high=0.3),
        Claim(
            "`paraphrase` retains, surely",
            arm_values("paraphrase"),
            "interval",
            high=0.4,
            baseline=arm_values("all"),
        ),
        retains("default teachers: paraphrase", high=0.6),
        accuracy_kept("paraphrase"),
        Claim(
            "`paraphrase`: task accuracy less that of `all`",
            accuracy_less("paraphrase", "all"),
            low=-0.05,
            high=0.05,
        ),
        retains(dose(0, "paraphrase"), low=0.8),
        falls(0, 0.5),
        falls(0.5, 3),
        falls(0, 3, "interval"),
        Claim("advantage left against retained: rank correlation over arms", prediction, low=0.8),
        retains("equivalent numbers", high=0.3),
    ),
    plot=plot,
    config=replace(
        LIGHT_CONFIG,
        teacher=CAREFUL,
        student=replace(LIGHT_CONFIG.student, steps=1200),
        n_lists=16_000,
    ),
)
