"""Checks of what an arm's functions gave, and of how its students' training ended."""

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from minisub.common.files import Json
from minisub.distillation.number_lists import MarkedLists
from minisub.transformer.dataset import TokenDataset
from minisub.transformer.stack import TransformerStack

SIGNALS = ("signal", "entropy", "still_favourite", "divergence_left", "advantage_left")
FORECASTS = ("inner", "coverage")
MIN_STEPS = 50  # of a training whose losses say whether it diverged


def checked_edit(edited: Any, lists: MarkedLists, arm: str) -> MarkedLists:
    """Return edited lists, if they are lists and as many as there were.

    Args:
        edited: What an edit returned.
        lists: What it was given.
        arm: Whose edit it is, for the message.

    Raises:
        ValueError: They are not.
    """
    shape = tuple(lists.completions.shape)
    if not isinstance(edited, MarkedLists):
        given = type(edited).__name__
    elif tuple(edited.completions.shape) != shape:
        given = f"completions of shape {list(edited.completions.shape)}"
    else:
        return edited
    raise ValueError(
        f"the edit of {arm!r} gives {given}, allowed: MarkedLists with completions of shape "
        f"{list(shape)}"
    )


def checked_start(start: Any, base: TransformerStack, arm: str) -> TransformerStack:
    """Return the model from which students start, if it is one model of the base's shape.

    Args:
        start: What a start returned.
        base: The base.
        arm: Whose start it is, for the message.

    Raises:
        ValueError: It is not.
    """
    if type(start) is not TransformerStack:  # a steered one is more than its weights
        given = f"a {type(start).__name__}"
    elif start.config != base.config or start.n_models != 1:
        given = f"{start.n_models} models of {start.config}"
    elif not bool(start.flat_params.isfinite().all()):
        given = "weights that are no numbers"
    else:
        return start.to(base.device)
    raise ValueError(
        f"the start of {arm!r} gives {given}, allowed: a TransformerStack of one model of "
        f"{base.config}"
    )


def has_diverged(losses: Tensor, n_choices: int, dataset: TokenDataset) -> bool:
    """Return whether a student's loss ran away.

    It did if a loss is not finite, or if, after at least `MIN_STEPS` steps, the loss of the last
    tenth is above 1.5 times the first step's and above a quarter of what guessing costs.

    Args:
        losses: [steps, models], in nats.
        n_choices: Among which a student guesses.
        dataset: What was learned.
    """
    if not bool(losses.isfinite().all()):
        return True
    if len(losses) < MIN_STEPS:
        return False
    first, last = losses[0], losses[-len(losses) // 10 :].mean(0)
    guessing = math.log(n_choices) * dataset.weights.mean((1, 2))
    return bool(((last > 1.5 * first) & (last > 0.25 * guessing)).any())


def diverged_row(seed: int, arm: str, biases: Sequence[str], lr: float) -> Json:
    """Return the row of an arm whose students, or whose control, diverged: without numbers.

    Args:
        seed: The seed.
        arm: The arm's name.
        biases: Names of those that have students.
        lr: Their learning rate.
    """
    measures = (
        *("transfer", "off_target", "hit_rate", "control_hit_rate", "distance"),
        *("task_accuracy", "control_task_accuracy", "loss_tokens", "final_loss"),
        *("divergence_share", *SIGNALS, *FORECASTS, "cosines", "control_cosines"),
    )
    unknown: Json = dict.fromkeys(measures)
    return {
        "seed": seed,
        "arm": arm,
        **unknown,
        "diverged": True,
        "lr": lr,
        "biases": list(biases),
        "by_bias": [None] * len(biases),
        "shifts": [None] * len(biases),
    }
