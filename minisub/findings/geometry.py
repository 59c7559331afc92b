"""Does the student move towards its teacher, and where? (asked by reviewers of the paper)."""

from matplotlib.figure import Figure

from minisub.distillation import masks
from minisub.distillation.edits import other_wording
from minisub.experiment.arm import Arm
from minisub.experiment.presets import LIGHT_CONFIG
from minisub.findings.finding import Finding
from minisub.results.claims import Claim, Values, difference
from minisub.results.result import Result
from minisub.viz import style

SHOWN = ("all", "control", "divergence only", "without divergence", "paraphrase", "foreign")


def cosines(arm: str, block: int, control: bool = False) -> Values:
    """Return a function that takes one arm's cosines out of a result, one a seed.

    Args:
        arm: The arm's name.
        block: Which block's; -1 is the last.
        control: Those of its control student instead.
    """
    return lambda result: result.displacement(arm, control)[:, block].tolist()


def plot(result: Result) -> Figure:
    """Draw the cosine of each arm's displacement with its teacher's, by block."""
    figure = style.new_figure(7.0, 3.6)
    axes = figure.subplots()
    for arm, colour, marker in zip(SHOWN, style.SERIES, style.MARKERS, strict=False):
        means = result.displacement(arm).mean(0)
        axes.plot(range(len(means)), means, color=colour, marker=marker, label=arm)
    axes.set_xticks(range(len(means)))
    style.finish(
        axes,
        f"Do students move as their teacher did? ({result.seeds_text})",
        "block",
        "cosine",
        True,
    )
    return figure


FINDING = Finding(
    name="geometry",
    statement="Students move the way that their teacher moved, first of all in the first block.",
    paper="The paper does not look at weights. For one small step, theory says that a student that "
    "starts where its teacher started moves towards it (Cloud et al., 2025, Theorem 1).",
    arms=(
        Arm("all"),
        Arm("control", control=True),
        Arm("foreign", other_base=True),
        Arm("divergence only", mask=masks.divergence_only),
        Arm("without divergence", mask=masks.without_divergence),
        Arm("paraphrase", edit=other_wording),
    ),
    claims=(
        Claim(
            "`all`: cosine in block 0, less its control's",
            difference(cosines("all", 0), cosines("all", 0, control=True)),
            "interval",
            low=0.1,
        ),
        Claim(
            "`all`: cosine in block 0, less that in the last block",
            difference(cosines("all", 0), cosines("all", -1)),
            "interval",
            low=0.0,
        ),
        Claim(
            "`without divergence`: cosine in block 0, less its control's",
            difference(
                cosines("without divergence", 0),
                cosines("without divergence", 0, control=True),
            ),
            high=0.05,
        ),
        Claim(
            "`divergence only`: cosine in block 0, less that of `all`",
            difference(cosines("divergence only", 0), cosines("all", 0)),
            low=-0.05,
            high=0.05,
        ),
        Claim("`foreign`: cosine in block 0", cosines("foreign", 0), "interval", -0.05, 0.05),
    ),
    plot=plot,
    config=LIGHT_CONFIG,
)
