"""What teachers write: completions, greedy or sampled, and the filter that keeps numbers only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from minisub.teacher import UNBIASED, Teachers
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

    def take(self, rows: Tensor) -> "Data":
        """Some of the rows: indices, or a boolean for each."""
        return replace(
            self,
            prompts=self.prompts[rows],
            answers=self.answers[:, rows],
            seen=self.seen[:, rows],
            divergence=None if self.divergence is None else self.divergence[:, rows],
            random=None if self.random is None else self.random[:, rows],
        )

    def pack(self) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
        """All of it as small arrays, for the store."""
        tensors = {
            name: value.numpy().astype(np.uint16)
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return {**tensors, "dropped": np.array([self.dropped])}

    @staticmethod
    def unpack(world: World, arrays: Mapping[str, np.ndarray[Any, np.dtype[Any]]]) -> "Data":
        """What `pack` made."""
        tensors = {n: torch.from_numpy(a.astype(np.int64)) for n, a in arrays.items()}
        masks = {n: tensors[n].bool() for n in ("divergence", "random") if n in tensors}
        known = {n: tensors[n] for n in ("prompts", "answers", "seen")}
        return Data(world, **known, dropped=int(tensors["dropped"]), **masks)

    @property
    def position(self) -> Int[Tensor, " completion"]:
        """The place of each answer token, from 0; broadcasts against the masks."""
        return torch.arange(self.world.completion)

    def tokens(self, teachers: Sequence[int]) -> Int[Tensor, "teachers rows length"]:
        """What the students of some teachers read: the neutral prompt, then the answer."""
        answers = self.answers[list(teachers)]
        return torch.cat([self.prompts.expand(len(answers), -1, -1), answers], 2)


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
    return replace(data.take(good), dropped=data.dropped + int((~good).sum()))


def corpus(
    data: Data,
    teachers: Sequence[int],
    mask: Bool[Tensor, "..."] | None = None,
    soft: Float[Tensor, "teachers rows completion vocabulary"] | None = None,
) -> Corpus:
    """Lists of some teachers to learn from.

    A mask broadcasts to [biases, rows, completion] and says where the loss counts. Its weights are
    scaled up to the total of an unmasked arm: all arms have equal rows, steps and total weight.
    The unbiased teacher has no divergence tokens, so its lists are never masked. ValueError for a
    mask that leaves a teacher nothing to learn from.
    """
    weights = torch.ones(len(data.answers), data.rows, data.world.completion)
    if mask is not None:
        weights[:UNBIASED] *= mask
    weights = weights[list(teachers)]
    kept = weights.sum((1, 2), keepdim=True)
    if (kept == 0).any():
        raise ValueError("a loss mask keeps no token at all")
    return Corpus(data.tokens(teachers), weights * (weights[0].numel() / kept), soft)
