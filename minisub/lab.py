"""The laboratory of one seed: its base, teachers, lists and students."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from minisub import base, measure
from minisub.arm import Arm, Config, named
from minisub.data import Data, corpus, write_lists
from minisub.divergence import describe, mark
from minisub.loss import Corpus
from minisub.mechanism import Reading, alignment, read_lessons, signal
from minisub.model import Stack
from minisub.store import Json, Store, code_version, digest
from minisub.teacher import Teachers, distribution, inject, report
from minisub.train import Progress, train, trainable
from minisub.world import generator

SOURCES = (
    *base.SOURCES,
    *("teacher", "data", "divergence", "edits", "mechanism", "measure", "arm", "lab"),
)
MAKING = (*base.SOURCES, "teacher", "data", "divergence")  # what decides teachers and lists


class Lab:
    """All that is made for one seed, each thing once and only when an arm asks for it."""

    def __init__(
        self,
        config: Config,
        seed: int,
        store: Store,
        biases: Sequence[int] | None = None,
        device: str = "cpu",
    ) -> None:
        """`biases`: of whom there are to be students; by default those whose turn it is.

        Models live on `device`, data on the CPU, and the same data for every device.
        """
        self.config, self.seed, self.store, self.device = config, seed, store, device
        self.world = config.pretraining.world
        self.trait = self.world.trait(config.teaching.trait)
        self.biases = tuple(biases or config.taught(seed, len(self.trait.biases)))
        self._data: dict[str, Data] = {}
        self._readings: dict[Any, Reading] = {}

    def key(self, *parts: object) -> str:
        """Of an entry that depends on everything there is."""
        of = [self.config.as_dict(), self.seed, self.biases, code_version(*SOURCES)]
        return digest([*of, *parts])

    def _made(self, *parts: object) -> str:
        """Of teachers and lists, which know nothing of students."""
        how = self.config
        of = [how.pretraining.as_dict(), asdict(how.teaching), self.seed, code_version(*MAKING)]
        return digest([*of, *parts])

    def stored(self, kind: str, key: str | None, make: Callable[[], Json]) -> Json:
        """An entry of the store, made now if it is not there. Without a key nothing is stored."""
        entry = self.store.get(kind, key) if key else None
        if entry is None:
            entry = make()
            if key:
                self.store.put(kind, key, entry)
        return entry

    @functools.cached_property
    def base(self) -> Stack:
        """The seed's base, one member."""
        return base.load(self.config.pretraining, self.seed, self.store, self.device)

    @functools.cached_property
    def neighbour(self) -> "Lab":
        """The next seed's, whose base is not this one's."""
        return Lab(self.config, self.seed + 1, self.store, self.biases, self.device)

    @functools.cached_property
    def exam(self) -> Tensor:
        """Held-out prompts [exam, prompt length]."""
        g = generator(self.seed, "exam")
        return self.world.prompts(self.config.exam, g, held_out=True)

    @functools.cached_property
    def teachers(self) -> Teachers:
        """All teachers of the seed, the unbiased one last."""
        how = self.config.teaching
        key = self._made("teachers")
        arrays = self.store.get_arrays("teachers", key)
        if arrays is not None:
            stack = Stack(self.config.pretraining.shape, torch.from_numpy(arrays["flat"]))
            return Teachers(self.world, stack.to(self.device), how)
        made = inject(self.world, self.base, how, self.seed)
        about = {"seed": self.seed, "teaching": asdict(how)}
        self.store.put_arrays("teachers", key, {"flat": made.stack.flat.cpu().numpy()}, about)
        return made

    def teacher_report(self) -> list[Json]:
        """How biased each teacher is, and what that cost: one entry each."""

        def make() -> Json:
            return {"teachers": report(self.teachers, self.base, self.exam)}

        key = self._made("report", self.config.exam, code_version("measure"))
        rows: list[Json] = self.stored("reports", key, make)["teachers"]
        return [{"seed": self.seed, "teacher": self.config.teaching.kind, **row} for row in rows]

    def _lists(self, sampled: bool, *parts: object) -> str:
        how = self.config
        return self._made("lists", how.lists, self.biases, sampled and how.temperature, *parts)

    def _written(self, key: str, sampled: bool, make: Callable[[], Data]) -> Data:
        """Lists from the store, or made now."""
        if key not in self._data:
            arrays = self.store.get_arrays("lists", key)
            if arrays is None:
                made = make()
                about = {"seed": self.seed, "teaching": asdict(self.config.teaching)}
                self.store.put_arrays("lists", key, made.pack(), {**about, "sampled": sampled})
            else:
                made = Data.unpack(self.world, arrays)
            self._data[key] = made
        return self._data[key]

    def lists(self, sampled: bool = False) -> Data:
        """What the teachers wrote, without marks: all that an arm without mask and edit needs."""
        how = self.config

        def make() -> Data:
            temperature = how.temperature if sampled else None
            return write_lists(self.teachers, self.biases, how.lists, self.seed, temperature)

        return self._written(self._lists(sampled, "unmarked"), sampled, make)

    def data(self, sampled: bool = False) -> Data:
        """The same, with their divergence tokens marked."""

        def make() -> Data:
            return mark(self.teachers, self.lists(sampled))

        return self._written(self._lists(sampled), sampled, make)

    def list_report(self, sampled: bool) -> Json:
        """How many lists there are and where their divergence tokens lie."""
        entry = self.stored("reports", self._lists(sampled), lambda: describe(self.data(sampled)))
        decoding, kind = "sampled" if sampled else "greedy", self.config.teaching.kind
        return {"seed": self.seed, "teacher": kind, "decoding": decoding, **entry}

    def preference(self, students: Stack) -> measure.Array:
        """log p of each answer: [members, questions, answers]."""
        asked = self.trait.questions[None]
        return measure.preference(self.world, students, asked, self.trait.answers)

    def _lessons(self, arm: Arm, writers: Sequence[int]) -> tuple[Corpus, Data, Tensor | None]:
        """Also the data that they come from, as edited, and where their loss counts."""
        plain = arm.mask is None and arm.edit is None
        data, soft = self.lists(arm.sampled) if plain else self.data(arm.sampled), None
        if arm.edit is not None:
            data = arm.edit(data, self)
        if arm.decoding == "soft":  # of the lists as they were edited, row by row
            if not data.own:
                raise ValueError(
                    f"{arm.name!r} is soft, and its edit takes lists or labels from elsewhere: "
                    "their writer's distribution is not their teacher's"
                )
            who = [(*data.biases, self.teachers.biased)[w] for w in writers]
            told = torch.cat([self.teachers.see(data.asked, who), data.answers[list(writers)]], 2)
            soft = distribution(self.teachers.stack[who], told, self.world.completion, rows=256)
        mask = None if arm.mask is None else arm.mask(data)
        return corpus(data, writers, mask, soft), data, mask

    def lessons(self, arm: Arm, writers: Sequence[int]) -> tuple[Corpus, Json]:
        """What the students of some writers learn from, and what it says about the bias."""
        lessons, data, mask = self._lessons(arm, writers)
        if data.divergence is None:
            data = self.data(arm.sampled)
        key = named(arm.edit), arm.sampled
        reading = self._readings.get(key)
        if reading is None:
            reading = read_lessons(self.teachers, data.first(self.config.exam))
            if "" not in key:
                self._readings[key] = reading
        return lessons, signal(reading, data, mask, lessons.soft is not None)

    def start(self, arm: Arm, members: int) -> tuple[Stack, Tensor]:
        """An arm's students before training, and which of their weights will move."""
        origin = self.neighbour.base if arm.foreign else self.base
        students = origin.repeat(members)
        return students, trainable(students, [arm.trains] * members)

    def students(
        self,
        arm: Arm,
        writers: Sequence[int],
        progress: Progress | None = None,
        lessons: Corpus | None = None,
    ) -> tuple[Stack, float]:
        """Train an arm's students of some writers: places in `biases`, -1 for the unbiased one.

        Also the loss at the end, in nats. `lessons` are made here if they are not given.
        """
        if lessons is None:
            lessons, _, _ = self._lessons(arm, writers)
        students, moves = self.start(arm, len(lessons.tokens))
        g = generator(self.seed, "students")
        how = replace(self.config.student, lr=self.config.student.lr * arm.rate)
        nats = train(students, [lessons], how, g, mask=moves, progress=progress)
        return students, round(float(nats[-50:].mean()), 6)

    def forecast(self, arm: Arm, lessons: Corpus) -> Json:
        """What the first step of the students says about their transfer, before it is taken.

        `lessons` of all writers, the unbiased one last. Nothing for prompted teachers, whose
        weights are the base's, nor for low-rank students, whose first step is another.
        """
        if self.config.teaching.kind == "prompted" or self.config.student.rank:
            return {}
        start, moves = self.start(arm, len(lessons.tokens))
        flat = self.teachers.stack.flat
        displacement = flat[list(self.biases)] - flat[-1:]
        first = torch.arange(min(self.config.exam, lessons.tokens.shape[1]))
        return alignment(start, lessons.take(first[None]), moves, displacement)

    def learned(self, arm: Arm) -> Json:
        """What an arm's students prefer and can do, from the store or by training them.

        The control student is the last one; a masked arm has none.
        """
        count = len(self.biases)

        def make() -> Json:
            lessons, said = self.lessons(arm, [*range(count), -1])
            foretold = self.forecast(arm, lessons)
            if arm.mask:
                lessons = lessons.of(range(count))
            students, loss = self.students(arm, (), lessons=lessons)
            accuracy = measure.task_accuracy(self.world, students, self.exam[None])
            return {
                "logp": np.round(self.preference(students), 6).tolist(),
                "task_accuracy": np.round(accuracy, 6).tolist(),
                "loss_tokens": int((lessons.weights > 0).sum()) / students.members,
                "final_loss": loss,
                **said,
                **foretold,
            }

        spec = arm.spec()
        key = self.key("students", spec) if spec else None
        return self.stored("students", key, make)

    def cost(self, arm: Arm) -> float:
        """Of training an arm's students, in students that learn from every list."""
        if arm.mask is None:
            return len(self.biases) + 1.0
        lists = self.data(arm.sampled)
        counts = arm.mask(lists).expand(len(self.biases), lists.rows, -1)
        return float(counts.any(2).double().mean()) * len(self.biases)

    def row(self, arm: Arm) -> Json:
        """An arm's row of the result, without what it retains of another arm."""
        unmasked = self.learned(replace(arm, mask=None))
        count, of = len(self.biases), self.biases
        if arm.name == "control":
            entry, who = unmasked, slice(count, None)
        else:
            entry, who = self.learned(arm) if arm.mask else unmasked, slice(count)
        logp, reference = np.array(entry["logp"][who]), np.array(unmasked["logp"][count:])
        shifts = measure.shift(logp, reference).repeat(count // len(logp), 0)
        known = ("signal", "entropy", "still_favourite", "divergence_left", "advantage_left")
        forecast = ("inner", "coverage")
        return {
            "seed": self.seed,
            "arm": arm.name,
            "transfer": measure.transfer(shifts, of),
            "off_target": measure.off_target(shifts, of),
            "hit_rate": measure.hit_rate(logp, of),
            "control_hit_rate": measure.hit_rate(reference, of),
            "distance": measure.distance(logp, reference),
            "task_accuracy": float(np.mean(entry["task_accuracy"][who])),
            "control_task_accuracy": float(np.mean(unmasked["task_accuracy"][count:])),
            "loss_tokens": entry["loss_tokens"],
            "final_loss": entry["final_loss"],
            "divergence_share": self.list_report(arm.sampled)["share"],
            # The control's lessons say nothing about a bias.
            **{n: None if arm.name == "control" else entry.get(n) for n in (*known, *forecast)},
            "biases": [self.trait.biases[b] for b in of],
            "by_bias": [round(measure.transfer(shifts[[i]], [b]), 6) for i, b in enumerate(of)],
            "shifts": np.round(shifts, 6).tolist(),
        }
