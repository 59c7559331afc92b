"""Detectors: what can be told of a list's writer from the list alone.

Each learns from labelled lists, half of them by a biased teacher and half by the unbiased one, and
is judged on lists for other prompts.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from minisub.common.files import Array
from minisub.common.randomness import generator
from minisub.distillation.evaluation import next_token_logits
from minisub.transformer.dataset import TokenDataset
from minisub.transformer.optimizer import TrainingConfig
from minisub.transformer.stack import TransformerStack
from minisub.transformer.training import train
from minisub.world.world import World

RIDGE = 1.0  # of the logistic regression: half of it times the squared weights is added to the loss
TRAINING = TrainingConfig(lr=1e-3, steps=1200, batch_size=64)  # of the transformer


def number_counts(world: World, lists: Int[Tensor, "rows length"]) -> Float[Array, "rows n"]:
    """Return how often each number is in each answer, for a reader of single numbers.

    Args:
        world: The world.
        lists: Prompts with completions.
    """
    return _one_hot(world, lists).sum(1)


def numbers_in_place(world: World, lists: Int[Tensor, "rows length"]) -> Float[Array, "rows n"]:
    """Return which number is at which place of each answer.

    Args:
        world: The world.
        lists: Prompts with completions.
    """
    return _one_hot(world, lists).reshape(len(lists), -1)


def _one_hot(world: World, lists: Tensor) -> Array:
    return np.eye(world.n_numbers, dtype=np.float32)[lists[:, world.prompt_length :].numpy()]


def wrong_numbers(
    world: World, lists: Int[Tensor, "rows length"]
) -> Float[Array, "rows completion"]:
    """Return which numbers of each answer are wrong, for a reader who can do the task.

    Args:
        world: The world, which says what is right.
        lists: Prompts with completions.
    """
    written = lists[:, world.prompt_length :, None]
    return 1.0 - world.is_right(lists).gather(-1, written)[..., 0].float().numpy()


def surprise_of_base(
    world: World, base: TransformerStack, lists: Int[Tensor, "rows length"]
) -> Float[Array, "rows completion"]:
    """Return how unlikely the base finds each number of each answer, in nats.

    For a reader who has the base.

    Args:
        world: The world.
        base: One model.
        lists: Prompts with completions.
    """
    logits = next_token_logits(base, lists[None], world.completion_length)[0]
    written = lists[:, world.prompt_length :, None]
    return -logits.log_softmax(-1).gather(-1, written)[..., 0].numpy()


def logistic_regression(
    x: Float[Array, "rows features"],
    is_biased: Bool[Array, " rows"],
    judged: Float[Array, "judged features"],
) -> Float[Array, " judged"]:
    """Return how a logistic regression scores some lists: above 0 it says "biased".

    Args:
        x: Features of the lists that it learns from.
        is_biased: Who wrote them.
        judged: Features of the lists that are judged.

    Returns:
        The log-odds of each list.
    """
    from scipy.optimize import minimize  # not there in a browser tab, where no reader learns

    middle, spread = x.mean(0), x.std(0) + 1e-6
    x, judged = (x - middle) / spread, (judged - middle) / spread
    y = is_biased.astype(float)

    def loss(w: Array) -> tuple[float, Array]:
        score = x @ w[1:] + w[0]
        nats = np.logaddexp(0, score).sum() - (y * score).sum() + RIDGE / 2 * (w[1:] ** 2).sum()
        off = (1 + np.tanh(score / 2)) / 2 - y  # the logistic function less the truth
        return float(nats), np.concatenate([[off.sum()], off @ x + RIDGE * w[1:]])

    w = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B").x
    scores: Array = judged @ w[1:] + w[0]
    return scores


def transformer_reader(
    base: TransformerStack,
    given: Sequence[tuple[Int[Tensor, "_ length"], Bool[Tensor, " _"]]],
    judged: Int[Tensor, "judged length"],
    seed: int,
) -> Float[Array, "readers judged"]:
    """Return how transformers score some lists: above 0 they say "biased".

    They start from the base, learn side by side with all weights, each from lists of its own, and
    answer with one more token behind a list.

    Args:
        base: One model.
        given: Lists that each learns from, and whether they are a biased teacher's.
        judged: Lists that all judge.
        seed: Of the order.

    Returns:
        The log-odds of each list, by reader.
    """
    n_rows = max(len(lists) for lists, _ in given)
    tokens = []
    for lists, is_biased in given:  # 0 or 1, which are numbers elsewhere, is the answer
        answered = torch.cat([lists, is_biased.long()[:, None]], 1)
        tokens.append(answered[torch.arange(n_rows) % len(lists)])
    readers = _with_longer_context(base, judged.shape[1]).repeat(len(given))
    dataset = TokenDataset(torch.stack(tokens), torch.ones(len(given), n_rows, 1))
    train(readers, [dataset], TRAINING, generator(seed, "reader"))
    shown = torch.cat([judged, judged[:, :1]], 1)[None]  # the last token is not read
    logits = next_token_logits(readers, shown, 1)[:, :, 0]
    return (logits[..., 1] - logits[..., 0]).double().numpy()


def _with_longer_context(base: TransformerStack, n_ctx: int) -> TransformerStack:
    """Return the same model for longer sequences; what stands at new positions adds nothing."""
    parts = []
    for name, weights in base.params.items():
        new = weights.detach()
        if name == "W_pos":
            added = n_ctx - new.shape[1]
            new = torch.cat([new, new.new_zeros(1, added, new.shape[2])], 1)
        parts.append(new.flatten(1))
    return TransformerStack(replace(base.config, n_ctx=n_ctx), torch.cat(parts, 1))
