"""No logits and no entangled numbers are needed (paper, section 4)."""

from functools import partial

from matplotlib.figure import Figure

from minisub.common.files import Json
from minisub.distillation.entanglement import is_entangled, without_entangled
from minisub.experiment.arm import Arm
from minisub.experiment.presets import LIGHT_CONFIG
from minisub.experiment.seed_lab import SeedLab
from minisub.findings.finding import Finding
from minisub.results import figures
from minisub.results.claims import Claim, probe_values, retains, transfers
from minisub.results.result import Result
from minisub.viz import style

TOPS = (2, 4, 8)


def overlap(lab: SeedLab) -> list[Json]:
    """Return how many of all tokens, and of the divergence tokens, are entangled numbers."""
    lists, rows = lab.marked_lists(), []
    for by in ("probability", "unembedding"):
        for top in TOPS:
            hit = is_entangled(lists, lab, top, by)
            rows.append(
                {
                    "by": by,
                    "top": top,
                    "of_tokens": float(hit.double().mean()),
                    "of_divergence": float(hit[lists.is_divergence_token].double().mean()),
                    "of_lists": float(hit.any(-1).double().mean()),
                }
            )
    return rows


def plot(result: Result) -> Figure:
    """Draw what is left without entangled numbers, and how many divergence tokens they are."""
    figure = style.new_figure(9.0, 3.6)
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    figures.arm_bars(left, result, result.arms)
    style.finish(left, "Without lists that hold entangled numbers")
    for measure, label, colour, marker in (
        ("of_tokens", "of all tokens", style.GREY, "o"),
        ("of_divergence", "of divergence tokens", style.DIVERGENCE, "s"),
    ):
        each = [probe_values(measure, by="probability", top=top)(result) for top in TOPS]
        y = [100 * sum(values) / len(values) for values in each]
        right.plot(TOPS, y, marker=marker, color=colour, label=label)
    right.set_xticks(TOPS)
    right.set_ylim(0)
    title = "Entangled numbers among tokens"
    style.finish(right, title, "numbers counted as entangled", "entangled numbers, %", True)
    return figure


def dropped(top: int) -> str:
    """Return the name of the arm without the `top` most entangled numbers."""
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
        transfers("all"),
        retains("without entangled", low=0.7),
        retains("without as many at random", low=0.7),
        Claim(
            "of the divergence tokens, among the 4 most entangled numbers",
            probe_values("of_divergence", by="probability", top=4),
            high=0.25,
        ),
    ),
    plot=plot,
    config=LIGHT_CONFIG,
    probes=(overlap,),
)
