"""Divergence tokens (paper, Definition 5.1), and masks that use them.

At a prefix written by the factual teacher b, its token is a *divergence token* iff it is the
favourite (argmax) of b there, and some counterfactual teacher b' has another favourite. The union
over counterfactuals; no threshold. A sampled token that is not b's favourite is never one.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Int, Int16
from torch import Tensor

from minisub.data import Data
from minisub.model import Cache
from minisub.pool import spread
from minisub.store import Json
from minisub.teacher import Teachers
from minisub.world import generator

ROWS = 512  # at a time


def favourites(teachers: Teachers, data: Data) -> Int16[Tensor, "teachers biases rows completion"]:
    """Every teacher's favourite at every token that every biased writer wrote.

    A teacher reads each prompt once and goes on from there with the answers. Writers mostly agree,
    so an answer that several of them wrote is read once.
    """
    writers, count, readers = len(data.biases), data.world.completion, teachers.stack.members
    alone = [teachers.stack[[r]] for r in range(readers)]
    out = torch.empty(readers, writers, data.rows, count, dtype=torch.int16)

    @torch.no_grad()
    def read(start: int) -> None:
        part = slice(start, start + ROWS)
        answers = data.answers[:writers, part, :-1]
        row = torch.arange(answers.shape[1]).expand(writers, -1)[..., None]
        told, origin = torch.unique(
            torch.cat([row, answers], -1).flatten(0, 1), dim=0, return_inverse=True
        )
        for reader in range(readers):
            cache = Cache()
            seen = teachers.see(data.asked[part], [reader])
            first = alone[reader](seen, last=1, cache=cache).argmax(-1)
            rest = alone[reader](told[None, :, 1:], cache=cache.rows(told[:, 0])).argmax(-1)
            out[reader, :, part, 0] = first[0, :, 0]
            out[reader, :, part, 1:] = rest[0, origin].view(writers, -1, count - 1)

    spread(read, range(0, data.rows, ROWS))
    return out


def divergence_tokens(
    answers: Int[Tensor, "biases rows completion"],
    favourite: Int16[Tensor, "teachers biases rows completion"],
    biases: Sequence[int],
    counterfactuals: Sequence[int],
) -> Bool[Tensor, "biases rows completion"]:
    """Definition 5.1. A teacher is no counterfactual of its own: it never differs from itself."""
    own = own_favourite(favourite, biases)
    others = favourite[list(counterfactuals)]
    return (own == answers) & (others != own).any(0)


def own_favourite(
    favourite: Int16[Tensor, "teachers biases rows completion"], biases: Sequence[int]
) -> Int16[Tensor, "biases rows completion"]:
    """The favourite of each list's own writer at every token."""
    return torch.stack([favourite[b, i] for i, b in enumerate(biases)])


def matched(
    mask: Bool[Tensor, "biases rows completion"], g: torch.Generator
) -> Bool[Tensor, "biases rows completion"]:
    """A random mask with as many tokens at each position of each teacher's answers."""
    rank = torch.rand(mask.shape, generator=g).argsort(1).argsort(1)
    return rank < mask.sum(1, keepdim=True)


def mark(teachers: Teachers, data: Data) -> Data:
    """The same data, with its divergence tokens and a random match."""
    favourite = favourites(teachers, data)
    mask = divergence_tokens(data.answers[:-1], favourite, data.biases, teachers.counterfactuals)
    random = matched(mask, generator(data.seed, "random mask"))
    return replace(data, favourite=favourite, divergence=mask, random=random)


def describe(data: Data) -> Json:
    """How many lists there are, and what share of their tokens are divergence tokens."""
    at = known(data.divergence).double()
    return {
        "rows": data.rows,
        "dropped": data.dropped,
        "share": round(at.mean().item(), 6),
        "share_by_position": [round(x, 6) for x in at.mean((0, 1)).tolist()],
        "lists_with_any": round(at.any(2).double().mean().item(), 6),
    }


def known(marked: Tensor | None) -> Tensor:
    """ValueError for lists whose divergence tokens nobody has looked for."""
    if marked is None:
        raise ValueError("these lists have no divergence tokens marked")
    return marked


# Masks: where the loss counts ---------------------------------------------------------------------


def divergence_only(data: Data) -> Tensor:
    """Loss at divergence tokens and nowhere else."""
    return known(data.divergence)


def without_divergence(data: Data) -> Tensor:
    """Loss everywhere else."""
    return ~known(data.divergence)


def random_only(data: Data) -> Tensor:
    """Loss at as many random tokens of each place: the control of `divergence_only`."""
    return known(data.random)


def without_random(data: Data) -> Tensor:
    """Loss everywhere else: the control of `without_divergence`."""
    return ~known(data.random)


def favourites_only(data: Data) -> Tensor:
    """Keep tokens that are their writer's favourite; greedy lists hold no others."""
    return own_favourite(known(data.favourite), data.biases) == data.answers[:-1]


def not_favourites(data: Data) -> Tensor:
    """Keep tokens that are not their writer's favourite, which sampling alone has drawn."""
    return ~favourites_only(data)


def favourites_without_divergence(data: Data) -> Tensor:
    """Keep tokens that are their writer's favourite and no divergence tokens."""
    return favourites_only(data) & ~known(data.divergence)


def random_half(data: Data) -> Tensor:
    """Divergence tokens, each kept or not by the toss of a coin."""
    return known(data.divergence) & (data.luck("half") < 0.5)


def first_half(data: Data) -> Tensor:
    """Divergence tokens in the first half of the answer."""
    return known(data.divergence) & (data.position < data.world.completion // 2)


def second_half(data: Data) -> Tensor:
    """Divergence tokens in the second half."""
    return known(data.divergence) & (data.position >= data.world.completion // 2)


def first_one(data: Data) -> Tensor:
    """The first divergence token of each list."""
    at = known(data.divergence)
    return at & (at.cumsum(-1) == 1)


def first_number(data: Data) -> Tensor:
    """Divergence tokens that are the first number of the answer."""
    return known(data.divergence) & (data.position == 0)


def later_numbers(data: Data) -> Tensor:
    """All divergence tokens but that."""
    return known(data.divergence) & (data.position > 0)


def fewer_counterfactuals(data: Data, count: int) -> Tensor:
    """Divergence tokens by the first `count` counterfactuals after the writer's own bias."""
    favourite = known(data.favourite)
    biased = len(favourite) - 1
    masks = [
        divergence_tokens(
            data.answers[[i]],
            favourite[:, [i]],
            [b],
            [(b + 1 + k) % biased for k in range(count)],
        )
        for i, b in enumerate(data.biases)
    ]
    return torch.cat(masks)


def against_unbiased(data: Data) -> Tensor:
    """Divergence tokens with the unbiased teacher as the only counterfactual."""
    favourite = known(data.favourite)
    return divergence_tokens(data.answers[:-1], favourite, data.biases, [len(favourite) - 1])
