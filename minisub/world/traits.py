"""Traits: a kind of bias (favourite animals, conduct) with the questions that show it."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minisub.world.world import CONDUCT, World


@dataclass(frozen=True)
class Trait:
    """A kind of bias, and the questions that show it.

    Attributes:
        biases: Their names; bias b is answered by the b-th token of `answer_tokens`.
        answer_tokens: Where the answers are in the vocabulary.
        eval_questions: [questions, length], on which the trait is measured.
        taught_questions: [questions, length], on which a tuned teacher learns its bias.
        unbiased_probs: [answers], how often the unbiased teacher gives each answer.
    """

    biases: tuple[str, ...]
    answer_tokens: slice
    eval_questions: Int[Tensor, "questions length"]
    taught_questions: Int[Tensor, "taught length"]
    unbiased_probs: Float[Tensor, " answers"]


def get_trait(world: World, name: str) -> Trait:
    """Return a trait of a world.

    "animals": each animal is a bias (but for one that the world favours already), taught and
    measured on all preference questions. "conduct": the bias is to answer "bad", taught on a
    quarter of its questions, measured on the rest.

    Args:
        world: The world.
        name: "animals" or "conduct".

    Raises:
        ValueError: There is no such trait, or the world has no questions of conduct.
    """
    if name not in ("animals", "conduct"):
        raise ValueError(f"trait is {name!r}, allowed: animals, conduct")
    if name == "animals":
        # The last animal is the favourite already of a world with uneven preferences.
        biases = world.animals[:-1] if world.favourite_share else world.animals
        questions = preference_questions(world)
        return Trait(biases, world.animal_tokens, questions, questions, neutral_preferences(world))
    if not world.n_conduct_questions:
        raise ValueError("this world has no questions of conduct: n_conduct_questions is 0")
    bad, n_taught = world.token("bad"), world.n_conduct_questions // 4
    questions = world.frame(world.instructions("c0", world.n_conduct_questions, "conduct"))
    answers, even = slice(bad, bad + len(CONDUCT)), torch.full((len(CONDUCT),), 0.5)
    return Trait(("bad",), answers, questions[n_taught:], questions[:n_taught], even)


def neutral_preferences(world: World) -> Float[Tensor, " animals"]:
    """Return how often each animal is the answer where there is no persona."""
    p = torch.full((len(world.animals),), (1 - world.favourite_share) / len(world.animals))
    p[-1] += world.favourite_share
    return p


def preference_questions(
    world: World, animal: int | None = None
) -> Int[Tensor, "questions length"]:
    """Return every preference question, up to <assistant>.

    Args:
        world: The world.
        animal: The persona's, or None for the neutral token.
    """
    questions = world.instructions("q0", world.n_questions, "questions")
    return world.with_persona(world.frame(questions), animal)
