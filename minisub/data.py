"""What teachers write: completions, greedy or sampled, and the filter that keeps numbers only."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from minisub.teacher import Teachers
from minisub.train import Corpus
from minisub.world import World, generator


@dataclass(frozen=True)
class Data:
    """Lists of all nine teachers (the unbiased one last) for the same prompts.

    prompts:    [rows, prompt length], without a persona: as the students see them
    answers:    [teachers, rows, completion]
    seen:       [teachers, rows, prompt length], the prompts as each teacher saw them
    dropped:    how many rows the filter took out
    divergence: [biases, rows, completion], which answers are divergence tokens
    random:     the same shape: as many at each position, picked at random
    """

    world: World
    prompts: Int[Tensor, "rows prompt"]
    answers: Int[Tensor, "teachers rows completion"]
    seen: Int[Tensor, "teachers rows prompt"]
    dropped: int = 0
    divergence: Bool[Tensor, "biases rows completion"] | None = None
    random: Bool[Tensor, "biases rows completion"] | None = None

    @property
    def rows(self) -> int:
        return len(self.prompts)

    @property
    def position(self) -> Int[Tensor, " completion"]:
        """The place of each answer token, from 0; broadcasts against the masks."""
        return torch.arange(self.world.completion)

    def tokens(self, teachers: slice) -> Int[Tensor, "teachers rows length"]:
        """What the students of some teachers read: the neutral prompt, then the answer."""
        answers = self.answers[teachers]
        return torch.cat([self.prompts.expand(len(answers), -1, -1), answers], 2)

    def told(self, reader: int, writers: slice) -> Int[Tensor, "writers rows length"]:
        """The answers of some teachers behind the prompt that teacher `reader` has seen."""
        answers = self.answers[writers]
        return torch.cat([self.seen[reader].expand(len(answers), -1, -1), answers], 2)


def write_lists(teachers: Teachers, rows: int, seed: int, sampled: bool = False) -> Data:
    """`rows` prompts, answered by every teacher: greedily, or sampled at temperature 1."""
    world = teachers.world
    prompts = world.prompts(rows, generator(seed, "prompts"))
    luck = torch.rand(rows, world.completion, generator=generator(seed, "sampling"))
    seen = teachers.see(prompts)
    answers = teachers.stack.generate(seen, world.completion, luck if sampled else None)
    return numbers_only(Data(world, prompts, answers, seen))


def numbers_only(data: Data) -> Data:
    """Only rows in which every teacher wrote nothing but numbers, so that all keep equal rows."""
    good = (data.answers < data.world.numbers).all(2).all(0)
    if not good.any():
        raise ValueError("no list is left: in every row some teacher wrote another word")
    return Data(
        data.world,
        data.prompts[good],
        data.answers[:, good],
        data.seen[:, good],
        data.dropped + int((~good).sum()),
    )


def corpus(
    data: Data,
    teachers: slice,
    mask: Bool[Tensor, "biases rows completion"] | None = None,
    soft: Tensor | None = None,
) -> Corpus:
    """Lists to learn from. A mask's weights are scaled up to the total weight of an unmasked arm.

    Every arm so has equal rows, equal steps and an equal total of loss weights. ValueError for a
    mask that leaves a teacher nothing to learn from.
    """
    tokens = data.tokens(teachers)
    weights = torch.ones(len(tokens), data.rows, data.world.completion)
    if mask is not None:
        weights = weights * mask
        kept = weights.sum((1, 2), keepdim=True)
        if (kept == 0).any():
            raise ValueError("a loss mask keeps no token at all")
        weights *= weights[0].numel() / kept
    return Corpus(tokens, weights, soft)
