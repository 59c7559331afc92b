"""Must the student start where its teacher started? (Cloud et al.; 2605.23645)."""

from functools import partial

import numpy as np
from matplotlib.figure import Figure

from minisub.distillation.starts import between_bases, noisy, partly_foreign, shared_heads
from minisub.experiment.arm import Arm
from minisub.experiment.presets import LIGHT_CONFIG
from minisub.findings.finding import Finding
from minisub.results import figures
from minisub.results.claims import (
    Claim,
    accuracy_kept,
    arm_values,
    difference,
    no_transfer,
    retains,
    transfers,
)
from minisub.results.result import Result
from minisub.viz import style

DOSES = (0.03, 0.1, 0.3)  # of noise, times the size of the weights
SHARES = (0.1, 0.25)  # of the way to another base
PARTS = {"unembedding": ("W_U",), "block 2": ("blocks.2.",), "block 3": ("blocks.3.",)}


def noise(dose: float) -> str:
    """Return the name of the arm whose students start with noise of a dose."""
    return f"noise {dose:g}"


def way(share: float) -> str:
    """Return the name of the arm whose students start a share of the way to another base."""
    return f"{share:.0%} of the way"


def plot(result: Result) -> Figure:
    """Draw transfer by noise on the start, by distance to another base, and by what is shared."""
    figure = style.new_figure(9.0, 3.4)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.5))
    for i, (names, doses, label) in enumerate(
        (
            (map(noise, DOSES), DOSES, "noise"),
            (map(way, SHARES), SHARES, "towards another base"),
        )
    ):
        values = [result.values(arm) for arm in ("all", *names)]
        x = list(np.log10([0.01, *doses]))  # the untouched start stands at the left edge
        figures.curve(left, x, values, style.SERIES[i], style.MARKERS[i], label, 1.0)
    ticks = (0.01, 0.03, 0.1, 0.3)
    left.set_xticks(np.log10(ticks), ["0", *(f"{t:g}" for t in ticks[1:])])
    style.finish(
        left,
        f"How near the start is ({result.seeds_text})",
        "noise, or share of the way",
        "transfer, nats",
        legend=True,
    )
    rest = ["all", *(f"foreign {part}" for part in PARTS), "shared heads", "foreign"]
    figures.arm_bars(right, result, rest)
    style.finish(right, "Which part is shared")
    return figure


FINDING = Finding(
    name="start",
    statement="The nearer a student starts to its teacher, the more passes in equal time; shared "
    "embeddings do not suffice.",
    paper="Cloud et al.: the same start is needed. 2605.23645: compatible heads are enough (on "
    "digits). A replication: noise of .01 on the start halves it.",
    arms=(
        Arm("all"),
        *(Arm(noise(dose), start=partial(noisy, dose=dose)) for dose in DOSES),
        *(Arm(way(share), start=partial(between_bases, share=share)) for share in SHARES),
        *(
            Arm(f"foreign {name}", start=partial(partly_foreign, parts=parts))
            for name, parts in PARTS.items()
        ),
        Arm("shared heads", start=shared_heads),
        Arm("foreign", other_base=True),
    ),
    claims=(
        transfers("all"),
        retains(noise(0.03), low=0.8),
        retains(noise(0.1), low=0.6),
        retains(noise(0.3), high=0.6),
        retains(way(0.1), low=0.5),
        retains(way(0.25), high=0.7),
        retains("foreign unembedding", high=0.3),
        retains("foreign block 3", high=0.6),
        Claim(
            "`foreign unembedding` less `foreign block 2`, nats",
            difference(arm_values("foreign unembedding"), arm_values("foreign block 2")),
            "interval",
            high=0.0,
        ),
        no_transfer("shared heads", within=0.2),
        accuracy_kept("shared heads"),
        no_transfer("foreign", within=0.2),
    ),
    plot=plot,
    config=LIGHT_CONFIG,
)
