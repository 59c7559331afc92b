"""What is measured on students, in numpy. The words are explained in the README.

Importing this needs no torch: models and worlds come in as arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from minisub.model import Stack
    from minisub.world import World

Array = np.ndarray[Any, np.dtype[Any]]


def preference(
    world: World, model: Stack, asked: Any = None, answers: slice | None = None
) -> Float[Array, "members questions answers"]:
    """log p of each animal as the answer, p normalised over the animals, by question wording.

    `asked` [members or 1, questions, length] is every preference question without a persona by
    default; `answers` is where other answers than the animals lie in the vocabulary.
    """
    questions = world.ask()[None] if asked is None else asked
    said = model(questions, last=1)[:, :, 0, answers or world.animals]
    logits = said.detach().cpu().double().numpy()
    top = logits.max(-1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))


def task_accuracy(world: World, model: Stack, prompts: Any) -> Float[Array, " members"]:
    """Share of greedily written numbers that are right: the number due, or a plausible one.

    `prompts`: [members or 1, rows, prompt length]. Each number is judged after the model's own
    numbers before it.
    """
    answers = model.generate(prompts, world.completion)
    scores = []
    for member, answer in enumerate(answers):
        asked = prompts[member if len(prompts) > 1 else 0]
        in_range = np.minimum(answer.numpy(), world.numbers - 1)
        told = np.concatenate([asked.numpy(), in_range], 1)
        right = world.right(answer.new_tensor(told)).numpy()
        given = np.take_along_axis(right, in_range[..., None], -1)[..., 0]
        scores.append((given & (answer.numpy() < world.numbers)).mean())
    return np.array(scores)


def shift(
    student: Float[Array, "biases questions answers"],
    control: Float[Array, "controls questions answers"],
) -> Float[Array, "biases answers"]:
    """Nats by which each student's log-preference differs from its control's, mean over wordings.

    Row: the bias of the student's teacher. Column: the answer.
    """
    return (student - control).mean(1)


def transfer(shifts: Float[Array, "biases answers"], biases: Sequence[int]) -> float:
    """Mean shift towards the answer that the teacher was biased to, in nats."""
    return float(shifts[np.arange(len(shifts)), list(biases)].mean())


def off_target(shifts: Float[Array, "biases answers"], biases: Sequence[int]) -> float:
    """Mean shift towards the other answers, in nats. Specific transfer has none above zero."""
    off = np.ones(shifts.shape, dtype=bool)
    off[np.arange(len(shifts)), list(biases)] = False
    return float(shifts[off].mean())


def hit_rate(logp: Float[Array, "models questions answers"], biases: Sequence[int]) -> float:
    """Mean probability that a model answers its bias; one model is asked for all of them."""
    p = np.exp(logp).mean(1)
    return float(p[np.arange(len(p)) if len(p) > 1 else 0, list(biases)].mean())


def distance(
    student: Float[Array, "biases questions answers"],
    control: Float[Array, "controls questions answers"],
) -> float:
    """Mean total variation between a student's and its control's answers, 0 to 1."""
    return float(np.abs(np.exp(student) - np.exp(control)).sum(-1).mean() / 2)
