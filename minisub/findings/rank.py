"""Does the rank of a LoRA decide whether the bias passes? (2606.00831, and who disagrees)."""

import numpy as np
from matplotlib.figure import Figure

from minisub.experiment.arm import Arm
from minisub.experiment.presets import LIGHT_CONFIG
from minisub.findings.finding import Finding
from minisub.results import figures
from minisub.results.claims import (
    Claim,
    Values,
    arm_values,
    at_best_of_others,
    difference,
    transfers,
)
from minisub.results.result import Result
from minisub.viz import style

RANKS = (1, 2, 4, 8, 0)  # 0 is full training
RATES = (1.0, 4.0, 16.0)  # times the usual learning rate


def cell(rank: int, rate: float) -> str:
    """Return the name of the arm of a rank at a rate.

    Args:
        rank: Of the LoRA; 0 for full training.
        rate: Times the usual learning rate.
    """
    return "all" if (rank, rate) == (0, 1.0) else f"{name(rank)}, rate x{rate:g}"


def name(rank: int) -> str:
    """Return a rank in words."""
    return f"rank {rank}" if rank else "full"


def best_of(rank: int) -> Values:
    """Return a function that gives each seed's transfer at the rate that is best on the others.

    Args:
        rank: Of the LoRA; 0 for full training.
    """
    return at_best_of_others([cell(rank, rate) for rate in RATES])


def share_of_full(rank: int, least: float) -> Claim:
    """Return a claim on a rank's transfer, as a share of that of full training, each at its best.

    Args:
        rank: Of the LoRA.
        least: The least share.
    """
    text = f"`{name(rank)}` at its best rate, as a share of `full` at its own"
    return Claim(text, best_of(rank), low=least, baseline=best_of(0))


def plot(result: Result) -> Figure:
    """Draw transfer by rank and learning rate."""
    figure = style.new_figure(6.0, 3.8)
    axes = figure.subplots()
    table = np.array([[result.mean(cell(rank, rate)) for rate in RATES] for rank in RANKS])
    figures.heat_map(axes, table, [f"x{rate:g}" for rate in RATES], [name(rank) for rank in RANKS])
    style.finish(axes, f"Transfer, nats ({result.seeds_text})", "learning rate", "rank")
    return figure


FINDING = Finding(
    name="rank",
    statement="Every rank passes it at a rate of its own; at the usual rate for all, low ranks "
    "pass less.",
    paper="The paper trains LoRA. 2606.00831 reports that middling ranks pass most, and full "
    "training nothing; others find every rank alike once the rate is tuned and data suffice.",
    arms=tuple(
        Arm(cell(rank, rate), lr_factor=rate, overrides={"student.lora_rank": rank} if rank else {})
        for rank in RANKS
        for rate in RATES
    ),
    claims=(
        transfers("all"),
        share_of_full(1, least=0.75),
        share_of_full(2, least=0.75),
        share_of_full(4, least=0.75),
        share_of_full(8, least=0.75),
        Claim(
            "at the usual rate: `rank 1` less `full`, nats",
            difference(arm_values(cell(1, 1.0)), arm_values("all")),
            "interval",
            high=0.0,
        ),
        Claim(
            "at 16 times the rate: `rank 4` less `full`, nats",
            difference(arm_values(cell(4, 16.0)), arm_values(cell(0, 16.0))),
            "interval",
            low=0.0,
        ),
    ),
    plot=plot,
    config=LIGHT_CONFIG,
)
