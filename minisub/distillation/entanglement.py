"""Numbers that are entangled with an animal, and lists without them (paper, section 4)."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from minisub.common.randomness import generator
from minisub.distillation.edits import EditContext
from minisub.distillation.number_lists import MarkedLists
from minisub.distillation.teachers import Teachers


@torch.no_grad()
def entanglement(
    teachers: Teachers, biases: tuple[int, ...], by: str
) -> Float[Tensor, "biases numbers"]:
    """Return how entangled each number is with each bias.

    Args:
        teachers: All teachers of the seed.
        biases: The biases to look at.
        by: "probability": how much its log-probability rises, as the answer to the preference
            questions, when the animal is favoured. "unembedding": the cosine of their columns of
            W_U.

    Raises:
        ValueError: `by` is neither.
    """
    if by not in ("probability", "unembedding"):
        raise ValueError(f"by is {by!r}, allowed: probability, unembedding")
    trait, world = teachers.trait, teachers.world
    if by == "unembedding":
        w = torch.nn.functional.normalize(teachers.stack.params["W_U"][-1], dim=0).cpu()
        return (w[:, trait.answer_tokens].T @ w[:, : world.n_numbers])[list(biases)]
    questions = teachers.add_personas(trait.eval_questions)
    logits = teachers.stack(questions, n_last=1)[:, :, 0]
    logp = logits.log_softmax(-1)[..., : world.n_numbers].mean(1).cpu()
    return logp[list(biases)] - logp[-1]


def is_entangled(
    lists: MarkedLists, context: EditContext, top: int, by: str
) -> Bool[Tensor, "biases rows completion"]:
    """Return which tokens are among the numbers most entangled with their writer's bias.

    Out of the numbers that are written at all: a world's lists need not hold every one.

    Args:
        lists: As written.
        context: Brings the teachers.
        top: How many numbers count as entangled.
        by: See `entanglement`.
    """
    own = lists.completions[:-1]
    is_written = torch.bincount(own.flatten(), minlength=lists.world.n_numbers) > 0
    score = entanglement(context.teachers, lists.biases, by).masked_fill(~is_written, -torch.inf)
    most = score.topk(min(top, int(is_written.sum())), 1).indices
    return (own[..., None] == most[:, None, None, :]).any(-1)


def without_entangled(
    lists: MarkedLists,
    context: EditContext,
    top: int,
    by: str = "probability",
    at_random: bool = False,
) -> MarkedLists:
    """Drop lists that hold entangled numbers; the others repeat until there are as many.

    The control student's lists are always dropped at random, as the unbiased teacher is entangled
    with nothing.

    Args:
        lists: As written.
        context: Brings the teachers.
        top: How many numbers count as entangled.
        by: See `entanglement`.
        at_random: Drop as many lists, whatever they hold.

    Raises:
        ValueError: No list is left.
    """
    holds = is_entangled(lists, context, top, by).any(-1)
    n_kept = int((~holds).sum(1).min())
    if not n_kept:
        raise ValueError(f"no list is left without the {top} most entangled numbers")
    # The same numbers for all writers, so that their students differ in as few prompts as can be.
    rank = torch.rand(lists.n_rows, generator=generator(lists.seed, "dropped"))
    rank = rank.repeat(len(lists.completions), 1)
    if not at_random:
        rank[:-1] += holds
    repeats = -(-lists.n_rows // n_kept)
    order = rank.argsort(1)[:, :n_kept].repeat(1, repeats)[:, : lists.n_rows]  # [writers, rows]
    writer = torch.arange(len(order))[:, None]
    biased, own = writer[:-1], order[:-1]
    return replace(
        lists,
        student_prompts=lists.prompts_by_writer[writer, order],
        completions=lists.completions[writer, order],
        teacher_argmax=lists.teacher_argmax[:, biased, own],
        is_divergence_token=lists.is_divergence_token[biased, own],
        is_random_match=lists.is_random_match[biased, own],
        written_by_teacher=False,
    )
