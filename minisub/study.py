"""Arms, and the study that runs them: every experiment is a list of arms.

    Study([Arm("all"), Arm("odd positions", mask=lambda d: d.position % 2 == 1)]).run(range(8))

An arm says which teacher, decoding, edit, loss mask, trained parameters, start and optimiser; all
have defaults. For each seed an arm trains, as one stack, one student a bias and one control
student that differs in nothing but its teacher, which has no bias. A loss mask has no meaning for
that teacher, so masked arms have the control of the same arm without a mask.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from minisub import base, measure, pool
from minisub.base import Pretraining
from minisub.data import Data, corpus, write_lists
from minisub.divergence import describe, mark
from minisub.model import Stack
from minisub.pool import Tick
from minisub.result import Result
from minisub.store import Json, Store, code_version, digest
from minisub.teacher import BIASES, UNBIASED, Teachers, Teaching, distribution, inject, report
from minisub.train import Optimiser, Progress, train, trainable
from minisub.world import generator

SOURCES = (*base.SOURCES, "teacher", "data", "divergence", "measure", "study")
DECODINGS = ("greedy", "sampled", "soft")


@dataclass(frozen=True)
class Config:
    """Everything that an arm does not say. The defaults are the laboratory's default world."""

    pretraining: Pretraining = field(default_factory=Pretraining)
    teaching: Teaching = field(default_factory=Teaching)
    student: Optimiser = Optimiser(lr=2e-3, steps=800, batch=32)
    lists: int = 11200  # that each teacher writes
    exam: int = 512  # held-out prompts for the task accuracy

    def as_dict(self) -> Json:
        return asdict(self)


@dataclass(frozen=True)
class Arm:
    """One treatment of the students. `mask` and `edit` see the `Data` of all teachers at once.

    A mask returns booleans that broadcast to [biases, rows, completion]: where the loss counts.
    Arms whose functions are not minisub's own are not stored, as nobody could tell that they
    have changed.
    """

    name: str
    decoding: str = "greedy"  # or "sampled", or "soft": sampled, with the teacher's distribution
    mask: Callable[[Data], Tensor] | None = None
    edit: Callable[[Data], Data] | None = None
    trains: Mapping[str, float] = field(default_factory=lambda: {"blocks.": 1.0})  # see `trainable`
    foreign: bool = False  # start from the base of the next seed, which is not the teacher's
    teaching: Teaching | None = None  # the configuration's, if not given
    training: Optimiser | None = None  # likewise

    def __post_init__(self) -> None:
        if self.decoding not in DECODINGS:
            raise ValueError(f"decoding is {self.decoding!r}, allowed: {', '.join(DECODINGS)}")

    def spec(self) -> Json | None:
        """What decides the arm's numbers, or None where that cannot be written down."""
        spec = asdict(replace(self, mask=None, edit=None))
        del spec["name"]
        spec["mask"], spec["edit"] = _named(self.mask), _named(self.edit)
        return None if "" in (spec["mask"], spec["edit"]) else spec


def _named(function: Any) -> str | None:
    """The name of one of minisub's own functions; "" for any other."""
    if function is None:
        return None
    if isinstance(function, functools.partial):
        inner = _named(function.func)
        return inner and f"{inner}{function.args}{sorted(function.keywords.items())}"
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "<")
    return f"{module}.{name}" if module.startswith("minisub.") and "<" not in name else ""


class Lab:
    """All that is made for one seed, each thing once and only when an arm asks for it."""

    def __init__(self, config: Config, seed: int, store: Store) -> None:
        self.config, self.seed, self.store = config, seed, store
        self.world = config.pretraining.world
        self._teachers: dict[Teaching, Teachers] = {}
        self._data: dict[tuple[Teaching, bool], Data] = {}

    def key(self, *parts: object) -> str:
        return digest([self.config.as_dict(), self.seed, code_version(*SOURCES), *parts])

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
        return base.load(self.config.pretraining, self.seed, self.store)

    @functools.cached_property
    def foreign_base(self) -> Stack:
        return base.load(self.config.pretraining, self.seed + 1, self.store)

    @functools.cached_property
    def exam(self) -> Tensor:
        g = generator(self.seed, "exam")
        return self.world.prompts(self.config.exam, g, held_out=True)

    def teachers(self, how: Teaching) -> Teachers:
        if how not in self._teachers:
            key = self.key("teachers", asdict(how))
            arrays = self.store.get_arrays("teachers", key)
            if arrays is None:
                made = inject(self.world, self.base, how, self.seed)
                about = {"seed": self.seed, "teaching": asdict(how)}
                self.store.put_arrays("teachers", key, {"flat": made.stack.flat.numpy()}, about)
            else:
                made = Teachers(
                    self.world, Stack(self.base.shape, torch.from_numpy(arrays["flat"])), how.kind
                )
            self._teachers[how] = made
        return self._teachers[how]

    def teacher_report(self, how: Teaching) -> list[Json]:
        def make() -> Json:
            return {"teachers": report(self.teachers(how), self.base, self.exam)}

        rows: list[Json] = self.stored("reports", self.key("report", asdict(how)), make)["teachers"]
        return [{"seed": self.seed, "teacher": how.kind, **row} for row in rows]

    def data(self, how: Teaching, sampled: bool) -> Data:
        """The teachers' lists, with their divergence tokens marked."""
        if (how, sampled) not in self._data:
            key = self.key("lists", asdict(how), sampled)
            arrays = self.store.get_arrays("lists", key)
            if arrays is None:
                teachers = self.teachers(how)
                lists = write_lists(teachers, self.config.lists, self.seed, sampled)
                made = mark(teachers, lists, self.seed)
                about = {"seed": self.seed, "teaching": asdict(how), "sampled": sampled}
                self.store.put_arrays("lists", key, made.pack(), about)
            else:
                made = Data.unpack(self.world, arrays)
            self._data[how, sampled] = made
        return self._data[how, sampled]

    def list_report(self, how: Teaching, sampled: bool) -> Json:
        """How many lists there are and where their divergence tokens lie."""
        key = self.key("lists", asdict(how), sampled)
        entry = self.stored("reports", key, lambda: describe(self.data(how, sampled)))
        decoding = "sampled" if sampled else "greedy"
        return {"seed": self.seed, "teacher": how.kind, "decoding": decoding, **entry}

    def students(
        self, arm: Arm, teachers: Sequence[int], progress: Progress | None = None
    ) -> tuple[Stack, float]:
        """Train an arm's students of some teachers; and how many tokens each learned from."""
        how = arm.teaching or self.config.teaching
        data = self.data(how, arm.decoding != "greedy")
        if arm.edit is not None:
            data = arm.edit(data)
        soft = None
        if arm.decoding == "soft":
            told = torch.cat([data.seen, data.answers], 2)[list(teachers)]
            stack, count = self.teachers(how).stack[teachers], self.world.completion
            soft = distribution(stack, told, count, rows=256)
        mask = None if arm.mask is None else arm.mask(data)
        lessons = corpus(data, teachers, mask, soft)
        students = (self.foreign_base if arm.foreign else self.base).repeat(len(lessons.tokens))
        moves = trainable(students, [arm.trains] * students.members)
        training, g = arm.training or self.config.student, generator(self.seed, "students")
        train(students, [lessons], training, g, mask=moves, progress=progress)
        return students, int((lessons.weights > 0).sum()) / students.members

    def learned(self, arm: Arm) -> Json:
        """What an arm's students prefer and can do, from the store or by training them.

        The control student is the last one; a masked arm has none.
        """
        teachers = BIASES if arm.mask else (*BIASES, UNBIASED)

        def make() -> Json:
            students, loss_tokens = self.students(arm, teachers)
            accuracy = measure.task_accuracy(self.world, students, self.exam[None])
            return {
                "logp": np.round(measure.preference(self.world, students), 6).tolist(),
                "task_accuracy": np.round(accuracy, 6).tolist(),
                "loss_tokens": loss_tokens,
            }

        spec = arm.spec()
        key = self.key("students", spec) if spec else None
        return self.stored("students", key, make)

    def row(self, arm: Arm) -> Json:
        """An arm's row of the result, without what it retains of the arm `all`."""
        unmasked = self.learned(replace(arm, mask=None))
        if arm.name == "control":
            entry, who = unmasked, slice(UNBIASED, None)
        else:
            entry, who = self.learned(arm) if arm.mask else unmasked, slice(UNBIASED)
        logp, reference = np.array(entry["logp"][who]), np.array(unmasked["logp"][UNBIASED:])
        shifts = measure.shift(logp, reference).repeat(len(BIASES) // len(logp), 0)
        how = arm.teaching or self.config.teaching
        return {
            "seed": self.seed,
            "arm": arm.name,
            "transfer": measure.transfer(shifts),
            "off_target": measure.off_target(shifts),
            "hit_rate": measure.hit_rate(logp),
            "control_hit_rate": measure.hit_rate(reference),
            "distance": measure.distance(logp, reference),
            "task_accuracy": float(np.mean(entry["task_accuracy"][who])),
            "control_task_accuracy": float(np.mean(unmasked["task_accuracy"][UNBIASED:])),
            "loss_tokens": entry["loss_tokens"],
            "divergence_share": self.list_report(how, arm.decoding != "greedy")["share"],
            "shifts": np.round(shifts, 6).tolist(),
        }


def run_seed(
    studies: Sequence["Study"], store: Store, seed: int, tick: Tick = lambda: None
) -> list[Json]:
    """All studies on one seed; those of one configuration share its teachers and lists."""
    labs = {study.config: Lab(study.config, seed, store) for study in studies}
    return [_rows(study.arms, labs[study.config], tick) for study in studies]


def _rows(arms: Sequence[Arm], lab: Lab, tick: Tick) -> Json:
    """Arms of one seed: rows, and reports on teachers and lists. `tick()` after each arm."""
    config, rows = lab.config, []
    for arm in arms:
        rows.append(lab.row(arm))
        tick()
    whole = next((row["transfer"] for row in rows if row["arm"] == "all"), None)
    for row in rows:
        row["retained"] = row["transfer"] / whole if whole else None
    hows = dict.fromkeys(arm.teaching or config.teaching for arm in arms)
    lists = dict.fromkeys((a.teaching or config.teaching, a.decoding != "greedy") for a in arms)
    return {
        "rows": rows,
        "teachers": [row for how in hows for row in lab.teacher_report(how)],
        "lists": [lab.list_report(*which) for which in lists],
    }


@dataclass(frozen=True)
class Study:
    """Arms to compare. ValueError for two arms of one name."""

    arms: Sequence[Arm]
    config: Config = field(default_factory=Config)
    name: str = "study"

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names) or not names:
            raise ValueError("a study needs arms, each with a name of its own")

    def run(
        self,
        seeds: Sequence[int],
        store: Store | None = None,
        workers: int | None = None,
        tick: Tick = lambda: None,
    ) -> Result:
        """Run every arm on every seed. `tick()` is called after each arm of each seed.

        Seeds run in `workers` processes of one thread each (a process a core by default; 1 runs
        here). What the store has is not computed again. Arms with functions that cannot be sent
        to another process, such as lambdas, run in threads of this one.
        """
        return run_all([self], seeds, store, workers, tick)[0]


def run_all(
    studies: Sequence[Study],
    seeds: Sequence[int],
    store: Store | None = None,
    workers: int | None = None,
    tick: Tick = lambda: None,
) -> list[Result]:
    """As `Study.run`, for several studies at once: a seed's job is all of them."""
    job = functools.partial(run_seed, tuple(studies), store or Store.default())
    done = pool.run(job, list(seeds), workers, tick)
    return [
        Result(
            finding=study.name,
            config=study.config.as_dict(),
            provenance={**base.versions(), "code": code_version(*SOURCES), "seeds": list(seeds)},
            **{part: [row for entry in found for row in entry[part]] for part in found[0]},
        )
        for study, found in zip(studies, zip(*done, strict=True), strict=True)
    ]
