"""Divergence tokens (paper, Definition 5.1), and masks that use them.

At a prefix written by the factual teacher b, its token is a *divergence token* iff it is the
favourite (argmax) of b there, and some counterfactual teacher b' has another favourite. The union
over counterfactuals; no threshold. A sampled token that is not b's favourite is never one.
"""

from dataclasses import replace

import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor

from minisub.data import Data
from minisub.model import Cache
from minisub.store import Json
from minisub.teacher import BIASES, Teachers
from minisub.world import generator

ROWS = 512  # at a time


@torch.no_grad()
def favourites(teachers: Teachers, data: Data) -> UInt8[Tensor, "readers writers rows completion"]:
    """Every biased teacher's favourite at every token that every biased teacher wrote.

    A reader reads each prompt once and goes on from there with the answers. Teachers mostly agree,
    so an answer that several of them wrote is read once.
    """
    writers, count = len(BIASES), data.world.completion
    readers = [teachers.stack[[b]] for b in BIASES]
    out = torch.empty(writers, writers, data.rows, count, dtype=torch.uint8)
    for start in range(0, data.rows, ROWS):
        part = slice(start, start + ROWS)
        answers = data.answers[:writers, part, :-1]
        row = torch.arange(answers.shape[1]).expand(writers, -1)[..., None]
        told, origin = torch.unique(
            torch.cat([row, answers], -1).flatten(0, 1), dim=0, return_inverse=True
        )
        for reader in BIASES:
            cache: Cache = {}
            first = readers[reader](data.seen[[reader], part], last=1, cache=cache).argmax(-1)
            cache = {
                name: ([h[told[:, 0]] for h in k], [h[told[:, 0]] for h in v])
                for name, (k, v) in cache.items()
            }
            rest = readers[reader](told[None, :, 1:], cache=cache).argmax(-1)
            out[reader, :, part, 0] = first[0, :, 0]
            out[reader, :, part, 1:] = rest[0, origin].view(writers, -1, count - 1)
    return out


def divergence_tokens(
    answers: Int[Tensor, "biases rows completion"],
    favourite: UInt8[Tensor, "readers biases rows completion"],
    counterfactuals: tuple[int, ...] = BIASES,
) -> Bool[Tensor, "biases rows completion"]:
    """Definition 5.1. A teacher is no counterfactual of its own: it never differs from itself."""
    own = torch.stack([favourite[b, b] for b in range(len(answers))])
    others = favourite[list(counterfactuals)]
    return (own == answers) & (others != own).any(0)


def matched(
    mask: Bool[Tensor, "biases rows completion"], g: torch.Generator
) -> Bool[Tensor, "biases rows completion"]:
    """A random mask with as many tokens at each position of each teacher's answers."""
    rank = torch.rand(mask.shape, generator=g).argsort(1).argsort(1)
    return rank < mask.sum(1, keepdim=True)


def mark(teachers: Teachers, data: Data, seed: int) -> Data:
    """The same data, with its divergence tokens and a random match."""
    biased = data.answers[: len(BIASES)]
    mask = divergence_tokens(biased, favourites(teachers, data))
    return replace(data, divergence=mask, random=matched(mask, generator(seed, "random mask")))


def describe(data: Data) -> Json:
    """How many lists there are, and what share of their tokens are divergence tokens."""
    at = _known(data.divergence).double()
    return {
        "rows": data.rows,
        "dropped": data.dropped,
        "share": round(at.mean().item(), 6),
        "share_by_position": [round(x, 6) for x in at.mean((0, 1)).tolist()],
        "lists_with_any": round(at.any(2).double().mean().item(), 6),
    }


def _known(mask: Tensor | None) -> Tensor:
    if mask is None:
        raise ValueError("these lists have no divergence tokens marked")
    return mask


def divergence_only(data: Data) -> Tensor:
    return _known(data.divergence)


def without_divergence(data: Data) -> Tensor:
    return ~_known(data.divergence)


def random_only(data: Data) -> Tensor:
    return _known(data.random)


def without_random(data: Data) -> Tensor:
    return ~_known(data.random)
