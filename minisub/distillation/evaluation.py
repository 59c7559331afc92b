"""What a stack of models prefers, can do, and expects to come next."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from minisub.common.files import Array
from minisub.transformer.stack import ROWS_AT_A_TIME, TransformerStack
from minisub.world.world import World


@torch.no_grad()
def preference_log_probs(
    model: TransformerStack, questions: Int[Tensor, "#models questions length"], answers: slice
) -> Float[Array, "models questions answers"]:
    """Return log p of each answer to each question, p normalised over the answers.

    Args:
        model: The stack.
        questions: Up to <assistant>.
        answers: Where the answers are in the vocabulary.
    """
    logits = model(questions, n_last=1)[:, :, 0, answers].cpu().double().numpy()
    top = logits.max(-1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))


def task_accuracy(
    world: World, model: TransformerStack, prompts: Int[Tensor, "#models rows prompt"]
) -> Float[Array, " models"]:
    """Return the share of greedily written numbers that are right: due, or plausible.

    Each number is judged after the model's own numbers before it.

    Args:
        world: The world, which says what is right.
        model: The stack.
        prompts: Of number tasks.
    """
    scores = []
    for i, written in enumerate(model.generate(prompts, world.completion_length)):
        asked = prompts[i if len(prompts) > 1 else 0]
        in_range = written.clamp(max=world.n_numbers - 1)
        is_right = world.is_right(torch.cat([asked, in_range], 1))
        right = is_right.gather(-1, in_range[..., None])[..., 0] & (written < world.n_numbers)
        scores.append(float(right.double().mean()))
    return np.array(scores)


@torch.no_grad()
def next_token_logits(
    model: TransformerStack,
    sequences: Int[Tensor, "#models rows length"],
    n_last: int,
) -> Float[Tensor, "models rows n_last d_vocab"]:
    """Return the logits of each sequence's last tokens, given those before them, on the CPU.

    This is how a teacher scores any completion.

    Args:
        model: The stack.
        sequences: Prompts with completions; with one model's rows, all models read the same.
        n_last: How many tokens at the end are predicted.
    """
    parts = torch.split(sequences[..., :-1], ROWS_AT_A_TIME, dim=1)
    return torch.cat([model(part, n_last=n_last).cpu() for part in parts], 1)
