"""The lists that teachers write, the filter that keeps numbers only, and what students read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int16
from torch import Tensor

from minisub.common.files import Arrays
from minisub.common.randomness import generator
from minisub.distillation.teachers import Teachers
from minisub.transformer.dataset import TokenDataset
from minisub.world.world import World

UNBIASED = -1  # the place of the unbiased teacher among the writers: the last one
L = TypeVar("L", bound="NumberLists")


@dataclass(frozen=True, kw_only=True)
class NumberLists:
    """Lists of some biased teachers, and last of the unbiased one, for the same prompts.

    Attributes:
        seed: Of all that is drawn at random in masks and edits.
        biases: The bias of each biased writer, as an index into the trait's biases; the last
            writer is the unbiased teacher.
        teacher_prompts: [rows, prompt], what the teachers completed, without a persona.
        student_prompts: [writers or 1, rows, prompt], as the students read them.
        completions: [writers, rows, completion].
        labels: The same shape: what students learn to say, where it is not what they read.
        written_by_teacher: Whether each row's writer can be asked for soft labels: rows are in the
            order of `teacher_prompts`, and what is learned is what is read.
        n_dropped: How many rows the filter took out.
    """

    world: World
    seed: int
    biases: tuple[int, ...]
    teacher_prompts: Int[Tensor, "rows prompt"]
    student_prompts: Int[Tensor, "#writers rows prompt"]
    completions: Int[Tensor, "writers rows completion"]
    labels: Int[Tensor, "writers rows completion"] | None = None
    written_by_teacher: bool = True
    n_dropped: int = 0

    @property
    def n_rows(self) -> int:
        """How many prompts were completed."""
        return len(self.teacher_prompts)

    @property
    def prompts_by_writer(self) -> Int[Tensor, "writers rows prompt"]:
        """What the students of each writer read before the numbers."""
        return self.student_prompts.expand(len(self.completions), -1, -1)

    @property
    def position(self) -> Int[Tensor, " completion"]:
        """The place of each completion token, from 0; broadcasts against masks."""
        return torch.arange(self.world.completion_length)

    def select_rows(self: L, rows: Tensor) -> L:
        """Return some of the rows: places, or a boolean for each."""
        parts: dict[str, Any] = {
            name: value[..., rows, :]
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return replace(self, **parts)

    def first_rows(self: L, n: int) -> L:
        """Return the first `n` rows, or all."""
        return self.select_rows(torch.arange(min(n, self.n_rows)))

    def shared_uniforms(self, purpose: str) -> Float[Tensor, "biases rows completion"]:
        """Return a number in [0, 1) for each token of the biased teachers, the same every time."""
        shape = (len(self.biases), *self.completions.shape[1:])
        return torch.rand(shape, generator=generator(self.seed, purpose))

    def student_tokens(self, writers: Sequence[int]) -> Int[Tensor, "writers rows length"]:
        """Return what the students of some writers read: the neutral prompt, then the numbers."""
        return torch.cat([self.prompts_by_writer, self.completions], 2)[list(writers)]

    def to_arrays(self) -> Arrays:
        """Return lists as their teachers wrote them as small arrays, for the store.

        Raises:
            ValueError: They were edited.
        """
        if not self.written_by_teacher or self.labels is not None:
            raise ValueError(
                "lists were edited; only those as their teachers wrote them are stored"
            )
        tensors = {n: v.numpy() for n, v in vars(self).items() if isinstance(v, Tensor)}
        small = {n: v.astype(np.uint16) if v.dtype == np.int64 else v for n, v in tensors.items()}
        return {**small, "about": np.array([self.seed, self.n_dropped, *self.biases])}

    @classmethod
    def from_arrays(cls: type[L], world: World, arrays: Mapping[str, Any]) -> L:
        """Return what `to_arrays` was given.

        Args:
            world: The world of the lists.
            arrays: By name.
        """
        seed, n_dropped, *biases = arrays["about"].tolist()
        tensors: dict[str, Any] = {
            n: torch.from_numpy(a.astype(np.int64) if a.dtype == np.uint16 else a)
            for n, a in arrays.items()
            if n != "about"
        }
        return cls(world=world, seed=seed, biases=tuple(biases), n_dropped=n_dropped, **tensors)


@dataclass(frozen=True, kw_only=True)
class MarkedLists(NumberLists):
    """Lists whose divergence tokens are known: what masks and edits get.

    Attributes:
        teacher_argmax: [teachers, biases, rows, completion], the most likely token of each teacher
            at every token that every biased writer wrote.
        is_divergence_token: [biases, rows, completion].
        is_random_match: The same shape: as many at each position, picked at random.
    """

    teacher_argmax: Int16[Tensor, "teachers biases rows completion"]
    is_divergence_token: Bool[Tensor, "biases rows completion"]
    is_random_match: Bool[Tensor, "biases rows completion"]


def generate_lists(
    teachers: Teachers,
    biases: Sequence[int],
    n_lists: int,
    seed: int,
    temperature: float | None = None,
) -> NumberLists:
    """Return lists by the teachers of some biases and by the unbiased one, numbers only.

    Args:
        teachers: All teachers of the seed.
        biases: The biased ones that write.
        n_lists: How many prompts they complete.
        seed: Of the prompts and of what sampling draws.
        temperature: Of sampling; greedy without.
    """
    world = teachers.world
    prompts = world.sample_prompts(n_lists, generator(seed, "prompts"))
    shape = (n_lists, world.completion_length)
    uniforms = torch.rand(shape, generator=generator(seed, "sampling"))
    writers = [*biases, teachers.unbiased_index]
    completions = teachers.stack[writers].generate(
        teachers.add_personas(prompts, writers),
        world.completion_length,
        None if temperature is None else uniforms,
        1.0 if temperature is None else temperature,
    )
    lists = NumberLists(
        world=world,
        seed=seed,
        biases=tuple(biases),
        teacher_prompts=prompts,
        student_prompts=prompts[None],
        completions=completions,
    )
    return filter_numbers_only(lists)


def filter_numbers_only(lists: NumberLists) -> NumberLists:
    """Keep the rows in which every teacher wrote nothing but numbers, so that rows stay equal.

    Raises:
        ValueError: No row is left.
    """
    good = (lists.completions < lists.world.n_numbers).all(2).all(0)
    if not good.any():
        raise ValueError("no list is left: in every row some teacher wrote another word")
    return replace(lists.select_rows(good), n_dropped=lists.n_dropped + int((~good).sum()))


def to_dataset(
    lists: NumberLists,
    writers: Sequence[int],
    loss_weights: Float[Tensor, "biases rows completion"] | None = None,
    soft_targets: Float[Tensor, "writers rows completion vocabulary"] | None = None,
) -> TokenDataset:
    """Return the lists of some writers as a dataset to learn from.

    Weights are scaled up to the total of an arm without any: all arms have equal rows, steps and
    total weight. The unbiased teacher has no divergence tokens, so its lists are never masked.

    Args:
        lists: Of all writers.
        writers: Places in `lists.biases`, or `UNBIASED`.
        loss_weights: Of each token of the biased writers, 0 to 1; see `masks.loss_weights`.
        soft_targets: The writers' distributions.

    Raises:
        ValueError: The weights leave a teacher nothing to learn from.
    """
    weights = torch.ones(lists.completions.shape)
    if loss_weights is not None:
        weights[:-1] *= loss_weights
    weights = weights[list(writers)]
    total = weights.sum((1, 2), keepdim=True)
    if (total == 0).any():
        raise ValueError("a loss mask keeps no token at all")
    labels = None if lists.labels is None else lists.labels[list(writers)]
    scale = weights[0].numel() / total
    return TokenDataset(lists.student_tokens(writers), weights * scale, soft_targets, labels)
