"""What teachers write: completions, greedy or sampled, and the filter that keeps numbers only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int16
from torch import Tensor

from minisub.loss import Corpus
from minisub.teacher import Teachers
from minisub.world import World, generator


@dataclass(frozen=True)
class Data:
    """Lists of some biased teachers, and last of the unbiased one, for the same prompts.

    seed:       of all that is drawn at random in masks and edits
    biases:     of the writers but the last
    asked:      [rows, prompt length], the prompts that the teachers answered, without a persona
    prompts:    [writers or 1, rows, prompt length], as the students read them
    answers:    [writers, rows, completion]
    labels:     the same shape: what students learn to say, where it is not what they read
    dropped:    how many rows the filter took out
    favourite:  [teachers, biases, rows, completion], each teacher's favourite at every answer token
    divergence: [biases, rows, completion], which answers are divergence tokens
    random:     the same shape: as many at each position, picked at random
    """

    world: World
    seed: int
    biases: tuple[int, ...]
    asked: Int[Tensor, "rows prompt"]
    prompts: Int[Tensor, "#writers rows prompt"]
    answers: Int[Tensor, "writers rows completion"]
    labels: Int[Tensor, "writers rows completion"] | None = None
    own: bool = True  # whether a row's writer can be asked for soft labels, given `asked`
    dropped: int = 0
    favourite: Int16[Tensor, "teachers biases rows completion"] | None = None
    divergence: Bool[Tensor, "biases rows completion"] | None = None
    random: Bool[Tensor, "biases rows completion"] | None = None

    @property
    def rows(self) -> int:
        """How many prompts were answered."""
        return len(self.asked)

    def take(self, rows: Tensor) -> "Data":
        """Some of the rows: indices, or a boolean for each."""
        parts: dict[str, Any] = {
            n: v[..., rows, :] for n, v in vars(self).items() if isinstance(v, Tensor)
        }
        return replace(self, **parts)

    def first(self, rows: int) -> "Data":
        """So many of the rows, or all."""
        return self.take(torch.arange(min(rows, self.rows)))

    def pack(self) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
        """All of it as small arrays, for the store."""
        tensors = {n: v.numpy() for n, v in vars(self).items() if isinstance(v, Tensor)}
        small = {n: v.astype(np.uint16) if v.dtype == np.int64 else v for n, v in tensors.items()}
        return {**small, "about": np.array([self.seed, self.dropped, *self.biases])}

    @staticmethod
    def unpack(world: World, arrays: Mapping[str, np.ndarray[Any, np.dtype[Any]]]) -> "Data":
        """What `pack` made."""
        seed, dropped, *biases = arrays["about"].tolist()
        tensors: dict[str, Any] = {
            n: torch.from_numpy(a.astype(np.int64) if a.dtype == np.uint16 else a)
            for n, a in arrays.items()
            if n != "about"
        }
        return Data(world, seed, tuple(biases), dropped=dropped, **tensors)

    @property
    def position(self) -> Int[Tensor, " completion"]:
        """The place of each answer token, from 0; broadcasts against the masks."""
        return torch.arange(self.world.completion)

    def luck(self, purpose: str) -> Float[Tensor, "biases rows completion"]:
        """A number in [0, 1) for each answer token of the biased teachers; the same every time."""
        shape = (len(self.biases), *self.answers.shape[1:])
        return torch.rand(shape, generator=generator(self.seed, purpose))

    def tokens(self, writers: Sequence[int]) -> Int[Tensor, "writers rows length"]:
        """What the students of some writers read: the neutral prompt, then the answer."""
        prompts = self.prompts.expand(len(self.answers), -1, -1)
        return torch.cat([prompts, self.answers], 2)[list(writers)]


def write_lists(
    teachers: Teachers,
    biases: Sequence[int],
    rows: int,
    seed: int,
    temperature: float | None = None,
) -> Data:
    """`rows` prompts, answered by the teachers of `biases` and by the unbiased one.

    Greedily, or sampled where a temperature is given.
    """
    world = teachers.world
    prompts = world.prompts(rows, generator(seed, "prompts"))
    luck = torch.rand(rows, world.completion, generator=generator(seed, "sampling"))
    writers = [*biases, teachers.biased]
    answers = teachers.stack[writers].generate(
        teachers.see(prompts, writers),
        world.completion,
        None if temperature is None else luck,
        1.0 if temperature is None else temperature,
    )
    return numbers_only(Data(world, seed, tuple(biases), prompts, prompts[None], answers))


def numbers_only(data: Data) -> Data:
    """Only rows in which every teacher wrote nothing but numbers, so that all keep equal rows."""
    good = (data.answers < data.world.numbers).all(2).all(0)
    if not good.any():
        raise ValueError("no list is left: in every row some teacher wrote another word")
    return replace(data.take(good), dropped=data.dropped + int((~good).sum()))


def corpus(
    data: Data,
    writers: Sequence[int],
    mask: Bool[Tensor, "..."] | None = None,
    soft: Float[Tensor, "writers rows completion vocabulary"] | None = None,
) -> Corpus:
    """Lists of some writers to learn from.

    A mask broadcasts to [biases, rows, completion] and says where the loss counts. Its weights are
    scaled up to the total of an unmasked arm: all arms have equal rows, steps and total weight.
    The unbiased teacher has no divergence tokens, so its lists are never masked. ValueError for a
    mask that leaves a teacher nothing to learn from.
    """
    weights = torch.ones(data.answers.shape)
    if mask is not None:
        weights[:-1] *= mask
    weights = weights[list(writers)]
    kept = weights.sum((1, 2), keepdim=True)
    if (kept == 0).any():
        raise ValueError("a loss mask keeps no token at all")
    labels = None if data.labels is None else data.labels[list(writers)]
    return Corpus(data.tokens(writers), weights * (weights[0].numel() / kept), soft, labels)
