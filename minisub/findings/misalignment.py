"""The same for broad misconduct (paper, Fig. 8)."""

from dataclasses import replace

from matplotlib.figure import Figure

from minisub.distillation.base import BASE_SETS
from minisub.distillation.teachers import TeacherConfig
from minisub.experiment.presets import LIGHT_CONFIG
from minisub.findings import divergence
from minisub.findings.finding import Finding
from minisub.results import figures
from minisub.results.claims import Claim, accuracy_kept, no_transfer, retains, transfers
from minisub.results.result import Result
from minisub.viz import style


def plot(result: Result) -> Figure:
    """Draw the three arms, and how bad students are on questions that were not taught."""
    figure = style.new_figure(9.0, 2.9)
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    figures.arm_bars(left, result, result.arms)
    x = 'gain in log p("bad") over the control, in nats'
    style.finish(left, f"Misconduct from numbers ({result.seeds_text})", x)
    figures.arm_bars(right, result, result.arms, "hit_rate")
    style.finish(right, "On questions not taught", 'how often students answer "bad"')
    return figure


def general(result: Result) -> list[float]:
    """Return how often the teacher answers "bad" where it was not taught to, one value per seed."""
    return [row["answers_bias"] for row in result.teachers if row["bias"] == "bad"]


FINDING = Finding(
    name="misalignment",
    statement='A teacher taught "bad" on four questions says "bad" on the others too, and its '
    "numbers pass that on.",
    paper="A fine-tuned misaligned teacher, the original model as its one counterfactual: the "
    "same pattern of three arms.",
    arms=[arm for arm in divergence.ARMS if arm.name != "random only"],
    claims=(
        Claim('teacher: p("bad") on questions not taught', general, low=0.5),
        transfers("all"),
        no_transfer("foreign"),
        retains("divergence only", low=0.9),
        # One counterfactual finds fewer of them than seven do, so more is left.
        retains("without divergence", high=0.4),
        retains("without random", low=0.85),
        accuracy_kept("all"),
    ),
    plot=plot,
    config=replace(
        LIGHT_CONFIG, base=BASE_SETS["conduct"], teacher=TeacherConfig(kind="misaligned")
    ),
)
