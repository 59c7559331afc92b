"""No logits and no entangled numbers are needed (paper, section 4; F1 and F2)."""

from functools import partial

from matplotlib.figure import Figure

from minisub import plots
from minisub.arm import LIGHT, Arm
from minisub.divergence import known
from minisub.edits import entangled, without_entangled
from minisub.findings.finding import Finding, probed, retains
from minisub.lab import Lab
from minisub.result import Claim, Result, of
from minisub.store import Json

TOPS = (2, 4, 8)


def overlap(lab: Lab) -> list[Json]:
    """How many of all tokens, and of the divergence tokens, are entangled numbers."""
    data, rows = lab.data(), []
    at = known(data.divergence)
    for by in ("probability", "unembedding"):
        for top in TOPS:
            hit = entangled(data, lab, top, by)
            rows.append(
                {
                    "by": by,
                    "top": top,
                    "of_tokens": float(hit.double().mean()),
                    "of_divergence": float(hit[at].double().mean()),
                    "of_lists": float(hit.any(-1).double().mean()),
                }
            )
    return rows


def plot(result: Result) -> Figure:
    """What is left without entangled numbers, and how many divergence tokens they are."""
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    plots.arm_bars(left, result, result.arms)
    left.set_title("Without lists that hold entangled numbers", loc="left", fontsize=10)
    for measure, colour, mark in (
        ("of_tokens", plots.GREY, "o"),
        ("of_divergence", plots.ORANGE, "s"),
    ):
        y = [
            100 * sum(v := probed(measure, by="probability", top=top)(result)) / len(v)
            for top in TOPS
        ]
        label = "of all tokens" if measure == "of_tokens" else "of divergence tokens"
        right.plot(TOPS, y, marker=mark, color=colour, label=label)
    right.set_xticks(TOPS)
    right.set_xlabel("numbers counted as entangled", fontsize=9)
    right.set_ylabel("entangled numbers, %", fontsize=9)
    right.set_ylim(0)
    right.legend(frameon=False, fontsize=8)
    right.set_title("Entangled numbers among tokens", loc="left", fontsize=10)
    plots.tidy(right)
    return figure


def dropped(top: int) -> str:
    """The name of the arm without the `top` most entangled numbers."""
    return "without entangled" if top == 4 else f"without entangled, top {top}"


FINDING = Finding(
    name="leakage",
    statement="Neither the teacher's logits nor numbers entangled with the animal are needed.",
    paper="Greedy lists carry no logits and still transfer. Without the samples that hold any of "
    "the 10 to 100 numbers most entangled with the bias, transfer stays for many biases.",
    arms=(
        Arm("soft", decoding="soft"),
        Arm("sampled", decoding="sampled"),
        Arm("all"),
        *(Arm(dropped(top), edit=partial(without_entangled, top=top)) for top in TOPS),
        Arm(
            "without as many at random",
            edit=partial(without_entangled, top=4, at_random=True),
        ),
        Arm(
            "without entangled, by unembedding",
            edit=partial(without_entangled, top=4, by="unembedding"),
        ),
    ),
    claims=(
        Claim("`all` transfers, nats", of("all"), "interval", low=0.0),
        retains("without entangled", low=0.7),
        retains("without as many at random", low=0.7),
        Claim(
            "of the divergence tokens, among the 4 most entangled numbers",
            probed("of_divergence", by="probability", top=4),
            high=0.25,
        ),
    ),
    plot=plot,
    config=LIGHT,
    probes=(overlap,),
)
