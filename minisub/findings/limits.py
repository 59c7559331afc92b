"""Where it dies and where it is strongest (paper, F7; and what follow-ups dispute)."""

import numpy as np
from matplotlib.figure import Figure

from minisub import plots
from minisub.arm import LIGHT, Arm
from minisub.findings.finding import Finding, retains
from minisub.result import Claim, Result, of

STEPS, LISTS = (15, 60), (300, 1200, 9600)
DEFAULT = (60, 9600)
# Learning in another way: each arm at its own best rate, by `minisub rates limits` (docs/rates.md),
# and so is the one that they are compared with.
BEST = "all, best rate"
RANKS = {1: 8.0, 2: 8.0, 4: 8.0}
BEST_RATE, SGD_RATE, ALL_WEIGHTS_RATE = 8.0, 400.0, 1.0


def cell(steps: int, lists: int) -> str:
    """The name of the arm with so much teaching and so many lists."""
    return "all" if (steps, lists) == DEFAULT else f"{steps} teacher steps, {lists} lists"


def student(**changes: object) -> dict[str, object]:
    """What an arm changes about how its students learn."""
    return {f"student.{name}": value for name, value in changes.items()}


def weakest(result: Result) -> list[float]:
    """Transfer of each seed's weaker bias, of `all`."""
    rows = sorted((r for r in result.rows if r["arm"] == "all"), key=lambda r: r["seed"])
    return [min(row["by_bias"]) for row in rows]


def plot(result: Result) -> Figure:
    """Transfer by teaching and lists, and by what else was tried."""
    figure = Figure(figsize=(9.0, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.3, 1))
    plots.arm_bars(left, result, [a for a in result.arms if "teacher steps" not in a])
    left.set_title(f"One dial at a time ({plots.seeds(result)})", loc="left", fontsize=10)
    table = np.array([[np.mean(result.values(cell(s, n))) for n in LISTS] for s in STEPS])
    right.imshow(table, cmap="Oranges", vmin=0, vmax=max(1e-6, float(table.max())), aspect="auto")
    for (i, j), value in np.ndenumerate(table):
        ink = "white" if value > 0.6 * table.max() else plots.INK
        right.text(j, i, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=9)
    right.set_xticks(range(len(LISTS)), [str(n) for n in LISTS])
    right.set_yticks(range(len(STEPS)), [str(s) for s in STEPS])
    right.set_xlabel("different lists", fontsize=9)
    right.set_ylabel("teacher's training, steps", fontsize=9)
    right.set_title("Two dials: transfer, nats", loc="left", fontsize=10)
    plots.tidy(right)
    return figure


FINDING = Finding(
    name="limits",
    statement="It fades with weak teachers and few lists; rank 4 and SGD still take it over.",
    paper="Some biases and some models never transfer. LoRA rank, optimiser and decay are in "
    "dispute among follow-ups.",
    arms=(
        Arm("all"),
        *(
            Arm(cell(s, n), changes={"teaching.training.steps": s, "lists": n})
            for s in STEPS
            for n in LISTS
            if (s, n) != DEFAULT
        ),
        Arm("1200 lists, one pass", changes={"lists": 1200, "student.steps": 37}),
        Arm("temperature 0.5", decoding="sampled", changes={"temperature": 0.5}),
        Arm("temperature 1", decoding="sampled"),
        Arm("120 teacher steps", changes={"teaching.training.steps": 120}),
        Arm(BEST, rate=BEST_RATE, of=BEST),
        *(
            Arm(f"rank {r}", rate=rate, changes=student(rank=r), of=BEST)
            for r, rate in RANKS.items()
        ),
        Arm("all weights", trains={"": 1.0}, rate=ALL_WEIGHTS_RATE, of=BEST),
        Arm("weight decay 0.1", changes=student(decay=0.1)),
        Arm("SGD", rate=SGD_RATE, changes=student(method="sgd"), of=BEST),
    ),
    claims=(
        Claim("`all` transfers, nats", of("all"), "interval", low=0.0),
        retains(cell(15, 9600), high=0.5),
        retains(cell(60, 300), high=0.7),
        retains("rank 4", low=0.7),
        retains("SGD", low=0.5),
        Claim("`all`: the weaker bias of each seed passes, nats", weakest, "every seed", low=0.0),
    ),
    plot=plot,
    config=LIGHT,
)
