"""Labels of an unbiased teacher at some places of the lists: what a defender may do."""

from dataclasses import replace

import torch
from torch import Tensor

from minisub.distillation.edits import EditContext
from minisub.distillation.evaluation import next_token_logits
from minisub.distillation.masks import random_half
from minisub.distillation.number_lists import MarkedLists

PLACES = ("divergence", "half", "random", "surprise", "disagreement", "everywhere")


def unbiased_labels(lists: MarkedLists, context: EditContext, where: str) -> MarkedLists:
    """Let students learn what the unbiased teacher would have written, at some places.

    Students read the biased teacher's lists; only what they learn to say changes.

    Args:
        lists: As written.
        context: Brings the base and the teachers.
        where: "divergence": at divergence tokens. "half": at half of them, by chance. "random": at
            as many tokens by chance, at the same positions. "surprise": where the base finds the
            list least likely, at as many places as there are divergence tokens. "disagreement":
            where the base and the unbiased teacher, two models without the bias, would write
            different numbers. "everywhere".

    Raises:
        ValueError: `where` is none of these.
    """
    if where not in PLACES:
        raise ValueError(f"where is {where!r}, allowed: {', '.join(PLACES)}")
    teachers, own = context.teachers, lists.completions[:-1]
    label = lists.teacher_argmax[teachers.unbiased_index].long()
    if where in ("surprise", "disagreement"):
        logits = _base_logits(lists, context)
    if where == "surprise":
        surprise = -logits.log_softmax(-1).gather(-1, own[..., None])[..., 0].flatten(1)
        at = torch.zeros(surprise.shape, dtype=torch.bool)
        for row, chosen, n in zip(surprise, at, lists.is_divergence_token.sum((1, 2)), strict=True):
            chosen[row.topk(int(n)).indices] = True
        at = at.view(own.shape)
    elif where == "disagreement":
        at = logits.argmax(-1) != label
    else:
        at = {
            "divergence": lists.is_divergence_token,
            "half": random_half(lists),
            "random": lists.is_random_match,
            "everywhere": torch.ones(own.shape, dtype=torch.bool),
        }[where]
    # Students say numbers only, whatever the unbiased teacher would have said.
    labels = torch.where(at & (label < lists.world.n_numbers), label, own)
    labels = torch.cat([labels, lists.completions[-1:]])
    return replace(lists, labels=labels, written_by_teacher=False)


def _base_logits(lists: MarkedLists, context: EditContext) -> Tensor:
    """Return the base's logits at each token of the biased writers."""
    n_writers = len(lists.completions)
    tokens = lists.student_tokens(range(n_writers - 1))
    base, length = context.base.repeat(len(tokens)), lists.world.completion_length
    return next_token_logits(base, tokens, length)
