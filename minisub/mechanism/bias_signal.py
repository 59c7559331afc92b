"""What training data say about a bias, in the teachers' eyes."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from minisub.common.files import Json
from minisub.distillation.number_lists import MarkedLists
from minisub.distillation.teachers import Teachers


@dataclass(frozen=True)
class TeacherScores:
    """How the teachers see what their students read, all [biases, rows, completion].

    Attributes:
        advantage: log p of the label, of its writer less the mean of the counterfactuals, in nats.
        kl: The same in expectation over the writer's own distribution: the mean KL divergence from
            the counterfactuals, in nats.
        entropy: Of the writer's distribution, in nats.
        is_argmax: Whether the label is the writer's argmax here.
        is_divergence_token: And some counterfactual has another argmax.
    """

    advantage: Float[Tensor, "biases rows completion"]
    kl: Float[Tensor, "biases rows completion"]
    entropy: Float[Tensor, "biases rows completion"]
    is_argmax: Bool[Tensor, "biases rows completion"]
    is_divergence_token: Bool[Tensor, "biases rows completion"]


@torch.no_grad()
def score_lists(teachers: Teachers, lists: MarkedLists) -> TeacherScores:
    """Return how the teachers see some lists, with the prompts as the students read them.

    Args:
        teachers: The writers and their counterfactuals.
        lists: What the students learn from.
    """
    labels = lists.completions if lists.labels is None else lists.labels
    prompts = lists.prompts_by_writer
    parts: list[tuple[Tensor, ...]] = []
    for i, b in enumerate(lists.biases):
        logits = teachers.completion_logits(prompts[i], lists.completions[[i]])
        logp = logits.log_softmax(-1)  # [teachers, rows, completion, d_vocab]
        others = [c for c in teachers.counterfactuals if c != b]
        lead = logp[b] - logp[others].mean(0)
        argmax = logp.argmax(-1)
        is_argmax = argmax[b] == labels[i]
        parts.append(
            (
                lead.gather(-1, labels[i][..., None])[..., 0],
                (logp[b].exp() * lead).sum(-1),
                torch.special.entr(logp[b].exp()).sum(-1),
                is_argmax,
                is_argmax & (argmax[others] != argmax[b]).any(0),
            )
        )
    return TeacherScores(*(torch.stack(p) for p in zip(*parts, strict=True)))


def bias_signal(
    scores: TeacherScores,
    lists: MarkedLists,
    loss_weights: Float[Tensor, "biases rows completion"] | None,
    soft: bool,
) -> Json:
    """Return what an arm's training data say about the bias, in numbers.

    Args:
        scores: Of the lists; of their first rows only, if they are many.
        lists: What the students learn from.
        loss_weights: Of each token in the loss; None for 1.
        soft: Whether the targets are distributions.

    Returns:
        `signal`: advantage in nats a learned token (for soft targets its expectation). `entropy`:
        of the writer at learned tokens. `still_favourite`: share of all tokens that are their
        writer's argmax. `divergence_left`: share of the divergence tokens, as they were written,
        that are still some. `advantage_left`: the advantage at them.
    """
    n_rows = scores.advantage.shape[1]
    at = lists.is_divergence_token[:, :n_rows].double()
    everywhere = torch.ones_like(at)
    learned = everywhere if loss_weights is None else loss_weights[:, :n_rows].double()
    return {
        "signal": _mean(scores.kl if soft else scores.advantage, learned),
        "entropy": _mean(scores.entropy, learned),
        "still_favourite": _mean(scores.is_argmax, everywhere),
        "divergence_left": _mean(scores.is_divergence_token, at),
        "advantage_left": _mean(scores.advantage, at),
    }


def _mean(values: Tensor, weights: Tensor) -> float | None:
    """Return a weighted mean, or None where nothing has weight."""
    total = float(weights.sum())
    return round(float((values.double() * weights).sum()) / total, 6) if total else None
