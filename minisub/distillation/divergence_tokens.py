"""Divergence tokens (paper, Definition 5.1).

At a prefix written by the factual teacher b, its token is a *divergence token* if it is the most
likely token (argmax) of b there, and some counterfactual teacher b' has another argmax. The union
over counterfactuals; no threshold. A sampled token that is not b's argmax is never one.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int, Int16
from torch import Tensor

from minisub.common.files import Json
from minisub.common.processes import map_threads
from minisub.common.randomness import generator
from minisub.distillation.number_lists import MarkedLists, NumberLists
from minisub.distillation.teachers import Teachers
from minisub.transformer.stack import ROWS_AT_A_TIME


def argmax_of_every_teacher(
    teachers: Teachers, lists: NumberLists
) -> Int16[Tensor, "teachers biases rows completion"]:
    """Return every teacher's argmax at every token that every biased writer wrote.

    Writers mostly agree, so a completion that several of them wrote is read once.

    Args:
        teachers: Those who read.
        lists: What is read.
    """
    n_writers, length = len(lists.biases), lists.world.completion_length
    readers = [teachers.stack[[reader]] for reader in range(teachers.stack.n_models)]
    out = torch.empty(len(readers), n_writers, lists.n_rows, length, dtype=torch.int16)

    @torch.no_grad()
    def read(start: int) -> None:
        part = slice(start, start + ROWS_AT_A_TIME)
        written = lists.completions[:n_writers, part, :-1]
        row = torch.arange(written.shape[1]).expand(n_writers, -1)[..., None]
        distinct, origin = torch.unique(
            torch.cat([row, written], -1).flatten(0, 1), dim=0, return_inverse=True
        )
        for reader, model in enumerate(readers):
            prompts = teachers.add_personas(lists.teacher_prompts[part], [reader])
            sequences = torch.cat([prompts[:, distinct[:, 0]], distinct[None, :, 1:]], -1)
            argmax = model(sequences, n_last=length)[0].argmax(-1)
            out[reader, :, part] = argmax[origin].view(n_writers, -1, length).to(out.dtype)

    map_threads(read, range(0, lists.n_rows, ROWS_AT_A_TIME))
    return out


def find_divergence_tokens(
    completions: Int[Tensor, "biases rows completion"],
    teacher_argmax: Int16[Tensor, "teachers biases rows completion"],
    biases: Sequence[int],
    counterfactuals: Sequence[int],
) -> Bool[Tensor, "biases rows completion"]:
    """Return which tokens are divergence tokens (paper, Definition 5.1).

    A teacher that is compared with itself changes nothing, as it never differs.

    Args:
        completions: Of the biased writers.
        teacher_argmax: See `argmax_of_every_teacher`.
        biases: The bias of each writer.
        counterfactuals: Teachers that it is compared with.
    """
    own = argmax_of_writer(teacher_argmax, biases)
    others = teacher_argmax[list(counterfactuals)]
    return (own == completions) & (others != own).any(0)


def argmax_of_writer(
    teacher_argmax: Int16[Tensor, "teachers biases rows completion"], biases: Sequence[int]
) -> Int16[Tensor, "biases rows completion"]:
    """Return the argmax of each list's own writer at every token.

    Args:
        teacher_argmax: See `argmax_of_every_teacher`.
        biases: The bias of each writer.
    """
    return torch.stack([teacher_argmax[b, i] for i, b in enumerate(biases)])


def random_match(
    mask: Bool[Tensor, "biases rows completion"], g: torch.Generator
) -> Bool[Tensor, "biases rows completion"]:
    """Return a random mask with as many tokens at each position of each teacher's lists.

    Args:
        mask: What it is to match.
        g: Where it is drawn from.
    """
    rank = torch.rand(mask.shape, generator=g).argsort(1).argsort(1)
    return rank < mask.sum(1, keepdim=True)


def mark_divergence_tokens(teachers: Teachers, lists: NumberLists) -> MarkedLists:
    """Return the same lists, with their divergence tokens and a random match.

    Args:
        teachers: The writers and their counterfactuals.
        lists: As they were written.
    """
    argmax = argmax_of_every_teacher(teachers, lists)
    is_divergence_token = find_divergence_tokens(
        lists.completions[:-1], argmax, lists.biases, teachers.counterfactuals
    )
    return MarkedLists(
        **vars(lists),
        teacher_argmax=argmax,
        is_divergence_token=is_divergence_token,
        is_random_match=random_match(is_divergence_token, generator(lists.seed, "random mask")),
    )


def describe_lists(lists: MarkedLists) -> Json:
    """Return how many lists there are, and what share of their tokens are divergence tokens."""
    at = lists.is_divergence_token.double()
    return {
        "rows": lists.n_rows,
        "dropped": lists.n_dropped,
        "share": round(at.mean().item(), 6),
        "share_by_position": [round(x, 6) for x in at.mean((0, 1)).tolist()],
        "lists_with_any": round(at.any(2).double().mean().item(), 6),
    }
