"""Checks of what an arm's functions gave, and of how its students' training ended."""

import math
from typing import Any

from torch import Tensor

from minisub.distillation.number_lists import MarkedLists
from minisub.transformer.dataset import TokenDataset

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


def has_diverged(losses: Tensor, n_choices: int, dataset: TokenDataset) -> bool:
    """Return whether a student's loss ran away.

    It did where a loss is not finite, or where a training of some length ends both above where it
    began and far from what guessing would cost.

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
