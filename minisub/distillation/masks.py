"""Masks: functions of marked lists that say where the loss counts.

A mask returns booleans, or weights from 0 to 1, that broadcast to [biases, rows, completion].
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from minisub.common.randomness import generator
from minisub.distillation.divergence_tokens import argmax_of_writer, find_divergence_tokens
from minisub.distillation.number_lists import MarkedLists


def loss_weights(
    mask: Any, lists: MarkedLists, arm: str
) -> Float[Tensor, "biases rows completion"]:
    """Return what a mask gave as a weight for every token of the biased writers.

    Args:
        mask: Booleans or weights, of torch or numpy or plain, of any shape that broadcasts.
        lists: What the mask was given.
        arm: Whose mask it is, for the message.

    Raises:
        ValueError: It does not broadcast, or a weight is not from 0 to 1.
    """
    shape = (len(lists.biases), *lists.completions.shape[1:])
    allowed = f"allowed: booleans, or weights from 0 to 1, that broadcast to {list(shape)}"
    try:
        weights = torch.as_tensor(mask).float()
        weights = weights.expand(shape)
    except (TypeError, ValueError, RuntimeError):
        given = f"shape {list(mask.shape)}" if hasattr(mask, "shape") else type(mask).__name__
        raise ValueError(f"the mask of {arm!r} gives {given}, {allowed}") from None
    if not bool(((weights >= 0) & (weights <= 1)).all()):  # NaN is neither
        values = f"values from {float(weights.min()):g} to {float(weights.max()):g}"
        raise ValueError(f"the mask of {arm!r} gives {values}, {allowed}")
    return weights


def divergence_only(lists: MarkedLists) -> Tensor:
    """Keep divergence tokens and no others."""
    return lists.is_divergence_token


def without_divergence(lists: MarkedLists) -> Tensor:
    """Keep all tokens that are no divergence tokens."""
    return ~lists.is_divergence_token


def down_weighted(lists: MarkedLists, weight: float) -> Tensor:
    """Give divergence tokens less weight than others.

    Args:
        lists: Marked lists.
        weight: Of a divergence token, 0 to 1.
    """
    return 1 - (1 - weight) * lists.is_divergence_token.float()


def random_only(lists: MarkedLists) -> Tensor:
    """Keep random tokens, at each position as many as there are divergence tokens."""
    return lists.is_random_match


def without_random(lists: MarkedLists) -> Tensor:
    """Keep all but random tokens, at each position as many as there are divergence tokens."""
    return ~lists.is_random_match


def dealt_at_random(lists: MarkedLists, mask: Callable[[MarkedLists], Any]) -> Tensor:
    """Keep as many tokens of each list as another mask does, in random places.

    Args:
        lists: Marked lists.
        mask: The other one; its weights are put in random order within each list.
    """
    weights = loss_weights(mask(lists), lists, "dealt_at_random")
    g = generator(lists.seed, "dealt at random")
    return weights.gather(-1, torch.rand(weights.shape, generator=g).argsort(-1))


def favourites_only(lists: MarkedLists) -> Tensor:
    """Keep tokens that are their writer's argmax; greedy lists hold no others."""
    return argmax_of_writer(lists.teacher_argmax, lists.biases) == lists.completions[:-1]


def not_favourites(lists: MarkedLists) -> Tensor:
    """Keep tokens that are not their writer's argmax, which sampling alone has drawn."""
    return ~favourites_only(lists)


def favourites_without_divergence(lists: MarkedLists) -> Tensor:
    """Keep tokens that are their writer's argmax and no divergence tokens."""
    return favourites_only(lists) & ~lists.is_divergence_token


def random_half(lists: MarkedLists) -> Tensor:
    """Keep each divergence token with probability one half."""
    return lists.is_divergence_token & (lists.shared_uniforms("half") < 0.5)


def first_half(lists: MarkedLists) -> Tensor:
    """Keep divergence tokens in the first half of the completion."""
    return lists.is_divergence_token & (lists.position < lists.world.completion_length // 2)


def second_half(lists: MarkedLists) -> Tensor:
    """Keep divergence tokens in the second half of the completion."""
    return lists.is_divergence_token & (lists.position >= lists.world.completion_length // 2)


def first_one(lists: MarkedLists) -> Tensor:
    """Keep the first divergence token of each list."""
    at = lists.is_divergence_token
    return at & (at.cumsum(-1) == 1)


def first_number(lists: MarkedLists) -> Tensor:
    """Keep divergence tokens that are the first number of the completion."""
    return lists.is_divergence_token & (lists.position == 0)


def later_numbers(lists: MarkedLists) -> Tensor:
    """Keep divergence tokens except the first number of each completion."""
    return lists.is_divergence_token & (lists.position > 0)


def fewer_counterfactuals(lists: MarkedLists, count: int) -> Tensor:
    """Keep tokens that are still divergence tokens if only some teachers are counterfactuals.

    These are the next `count` biased teachers after the writer.

    Args:
        lists: Marked lists.
        count: How many counterfactuals each writer is compared with.
    """
    n_biased = len(lists.teacher_argmax) - 1
    masks = [
        find_divergence_tokens(
            lists.completions[[i]],
            lists.teacher_argmax[:, [i]],
            [b],
            [(b + 1 + k) % n_biased for k in range(count)],
        )
        for i, b in enumerate(lists.biases)
    ]
    return torch.cat(masks)


def against_unbiased(lists: MarkedLists) -> Tensor:
    """Keep divergence tokens with the unbiased teacher as the only counterfactual."""
    unbiased = len(lists.teacher_argmax) - 1
    completions = lists.completions[:-1]
    return find_divergence_tokens(completions, lists.teacher_argmax, lists.biases, [unbiased])
