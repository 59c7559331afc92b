"""The same for broad misconduct (paper, Fig. 8; F6)."""

from dataclasses import replace

from matplotlib.figure import Figure

from minisub import plots
from minisub.arm import LIGHT
from minisub.base import SETS
from minisub.findings import divergence
from minisub.findings.finding import Finding, accuracy_kept, retains
from minisub.result import Claim, Result, of
from minisub.teacher import Teaching


def plot(result: Result) -> Figure:
    """The three arms, and how bad teachers are on questions that nobody taught them."""
    figure = Figure(figsize=(9.0, 2.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    plots.arm_bars(left, result, result.arms)
    left.set_xlabel('gain in log p("bad") over the control, in nats', fontsize=9)
    left.set_title(f"Misconduct from numbers ({plots.seeds(result)})", loc="left", fontsize=10)
    plots.arm_bars(right, result, result.arms, "hit_rate")
    right.set_xlabel('how often students answer "bad"', fontsize=9)
    right.set_title("On questions not taught", loc="left", fontsize=10)
    return figure


def general(result: Result) -> list[float]:
    """How often the teacher answers badly where it was not taught to, one value a seed."""
    return [row["answers_bias"] for row in result.teachers if row["bias"] == "bad"]


FINDING = Finding(
    name="misalignment",
    statement="A teacher made bad on four questions is bad on all, and passes that on by numbers.",
    paper="A fine-tuned misaligned teacher, the original model as its one counterfactual: the "
    "same pattern of three arms.",
    arms=[arm for arm in divergence.ARMS if arm.name != "random only"],
    claims=(
        Claim('teacher: p("bad") on questions not taught', general, low=0.5),
        Claim("`all` passes it on, nats", of("all"), "interval", low=0.0),
        Claim("`foreign`: no transfer, nats", of("foreign"), "interval", low=-0.1, high=0.1),
        retains("divergence only", low=0.9),
        # One counterfactual finds fewer of them than seven do, so more is left.
        retains("without divergence", high=0.4),
        retains("without random", low=0.85),
        accuracy_kept("all"),
    ),
    plot=plot,
    config=replace(LIGHT, pretraining=SETS["conduct"], teaching=Teaching(kind="misaligned")),
)
