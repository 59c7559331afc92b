"""What is made for one seed: base, teachers and lists, each once and only when it is asked for."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import asdict

import torch
from torch import Tensor

from minisub.common.files import Json, digest
from minisub.common.provenance import code_version
from minisub.common.randomness import generator
from minisub.common.store import Store, about_to_make
from minisub.distillation.base import BaseConfig, load_base
from minisub.distillation.divergence_tokens import describe_lists, mark_divergence_tokens
from minisub.distillation.edits import EditContext
from minisub.distillation.number_lists import MarkedLists, NumberLists, generate_lists
from minisub.distillation.teachers import Teachers, describe_teachers, make_teachers
from minisub.experiment.arm import STUDENT_SOURCES, TEACHER_SOURCES
from minisub.experiment.config import Config
from minisub.transformer.stack import TransformerStack
from minisub.world.traits import get_trait


class SeedLab(EditContext):
    """The laboratory of one seed.

    Models are on `device`, data on the CPU, and the same data for every device.

    Args:
        config: What is made.
        seed: The seed.
        store: Where it is kept.
        biases: Whose teachers write; by default those whose turn it is.
        device: Where models are.
    """

    def __init__(
        self,
        config: Config,
        seed: int,
        store: Store,
        biases: Sequence[int] | None = None,
        device: str = "cpu",
    ) -> None:
        self.config, self.seed, self.store, self.device = config, seed, store, device
        self.world = config.base.world
        self.trait = get_trait(self.world, config.teacher.trait_name)
        self.biases = tuple(biases or config.biases_of(seed, len(self.trait.biases)))
        self._lists: dict[tuple[str, bool], NumberLists] = {}

    def key(self, *parts: object) -> str:
        """Return the store key of an entry that depends on all of the lab, and on `parts`."""
        of = [self.config.as_dict(), self.seed, self.biases, code_version(*STUDENT_SOURCES)]
        return digest([*of, *parts])

    def _teacher_key(self, *parts: object) -> str:
        """Return the store key of teachers and lists, which know nothing of students."""
        config = self.config
        of = [config.base.as_dict(), asdict(config.teacher), self.seed]
        return digest([*of, code_version(*TEACHER_SOURCES), *parts])

    def stored(self, kind: str, key: str | None, make: Callable[[], Json]) -> Json:
        """Return an entry of the store, made now if it is not there.

        Args:
            kind: Its kind.
            key: Its key; without one nothing is stored.
            make: Makes it.
        """
        entry = self.store.get(kind, key) if key else None
        if entry is None:
            about_to_make()
            entry = make()
            if key:
                self.store.put(kind, key, entry)
        return entry

    @property
    def base_config(self) -> BaseConfig:
        """What made the base, but for its seed."""
        return self.config.base

    @functools.cached_property
    def base(self) -> TransformerStack:
        """The seed's base, one model."""
        return load_base(self.config.base, self.seed, self.store, self.device)

    @functools.cached_property
    def other_base_lab(self) -> "SeedLab":
        """The lab of the next seed, whose base is not this one's."""
        return SeedLab(self.config, self.seed + 1, self.store, self.biases, self.device)

    @property
    def other_base(self) -> TransformerStack:
        """The base of the next seed."""
        return self.other_base_lab.base

    @property
    def other_base_teachers(self) -> Teachers:
        """Teachers with the same biases, made from another base."""
        return self.other_base_lab.teachers

    @property
    def n_lists(self) -> int:
        """How many prompts each teacher is given."""
        return self.config.n_lists

    @functools.cached_property
    def eval_prompts(self) -> Tensor:
        """Held-out prompts [n_eval_prompts, prompt length]."""
        g = generator(self.seed, "exam")
        return self.world.sample_prompts(self.config.n_eval_prompts, g, held_out=True)

    @functools.cached_property
    def teachers(self) -> Teachers:
        """All teachers of the seed, the unbiased one last."""
        config = self.config.teacher
        if config.kind == "steered":  # quickly made, and more than weights
            return make_teachers(self.world, self.base, config, self.seed)
        key = self._teacher_key("teachers")
        arrays = self.store.get_arrays("teachers", key)
        if arrays is not None:
            flat = torch.from_numpy(arrays["flat_params"])
            stack = TransformerStack(self.config.base.model_config, flat)
            return Teachers(self.world, stack.to(self.device), config)
        about_to_make()
        made = make_teachers(self.world, self.base, config, self.seed)
        arrays = {"flat_params": made.stack.flat_params.cpu().numpy()}
        about = {"seed": self.seed, "teacher": asdict(config)}
        self.store.put_arrays("teachers", key, arrays, about)
        return made

    def teacher_report(self) -> list[Json]:
        """Return how biased each teacher is, and what that cost: one entry each."""

        def make() -> Json:
            return {"teachers": describe_teachers(self.teachers, self.base, self.eval_prompts)}

        key = self._teacher_key("report", self.config.n_eval_prompts)
        rows: list[Json] = self.stored("reports", key, make)["teachers"]
        return [{"seed": self.seed, "teacher": self.config.teacher.kind, **row} for row in rows]

    def _list_key(self, kind: str, sampled: bool) -> str:
        config = self.config
        temperature = sampled and config.temperature
        return self._teacher_key("lists", config.n_lists, self.biases, temperature, kind)

    def lists(self, sampled: bool = False) -> NumberLists:
        """Return what the teachers wrote: all that an arm without mask and edit needs."""
        if ("plain", sampled) not in self._lists:
            key = self._list_key("plain", sampled)
            arrays = self.store.get_arrays("lists", key)
            if arrays is not None:
                lists = NumberLists.from_arrays(self.world, arrays)
            else:
                about_to_make()
                temperature = self.config.temperature if sampled else None
                lists = generate_lists(
                    self.teachers, self.biases, self.n_lists, self.seed, temperature
                )
                self._put_lists(key, lists, sampled)
            self._lists["plain", sampled] = lists
        return self._lists["plain", sampled]

    def marked_lists(self, sampled: bool = False) -> MarkedLists:
        """Return the same lists, with their divergence tokens marked."""
        found = self._lists.get(("marked", sampled))
        if not isinstance(found, MarkedLists):
            key = self._list_key("marked", sampled)
            arrays = self.store.get_arrays("lists", key)
            if arrays is not None:
                found = MarkedLists.from_arrays(self.world, arrays)
            else:
                about_to_make()
                found = mark_divergence_tokens(self.teachers, self.lists(sampled))
                self._put_lists(key, found, sampled)
            self._lists["marked", sampled] = found
        return found

    def _put_lists(self, key: str, lists: NumberLists, sampled: bool) -> None:
        about = {"seed": self.seed, "teacher": asdict(self.config.teacher), "sampled": sampled}
        self.store.put_arrays("lists", key, lists.to_arrays(), about)

    def list_report(self, sampled: bool) -> Json:
        """Return how many lists there are and where their divergence tokens are."""
        key = self._list_key("report", sampled)
        entry = self.stored("reports", key, lambda: describe_lists(self.marked_lists(sampled)))
        decoding, kind = "sampled" if sampled else "greedy", self.config.teacher.kind
        return {"seed": self.seed, "teacher": kind, "decoding": decoding, **entry}
