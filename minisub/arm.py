"""What a study is made of: a configuration, and arms that each say what they do differently."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from torch import Tensor

from minisub.base import Pretraining
from minisub.data import Data
from minisub.store import Json
from minisub.teacher import Teaching
from minisub.train import Optimiser

if TYPE_CHECKING:
    from minisub.lab import Lab

QUICKER = 4  # times fewer lists and steps, for a first look
DECODINGS = ("greedy", "sampled", "soft")
T = TypeVar("T")


@dataclass(frozen=True)
class Config:
    """Everything that an arm does not say. The defaults are the laboratory's default world."""

    pretraining: Pretraining = field(default_factory=Pretraining)
    teaching: Teaching = field(default_factory=Teaching)
    student: Optimiser = Optimiser(lr=2e-3, steps=1600, batch=32)
    lists: int = 16000  # that each teacher writes
    temperature: float = 1.0  # of sampled lists
    biases: int = 4  # that each seed trains students of; they take turns over the seeds
    exam: int = 512  # held-out prompts for the task accuracy; lists that are read for what they say

    def __post_init__(self) -> None:
        for name in ("lists", "biases", "exam"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, allowed: 1 and more")
        if not self.temperature > 0:
            raise ValueError(f"temperature is {self.temperature}, allowed: above 0")

    def as_dict(self) -> Json:
        """All of it as plain data, for results and keys."""
        return asdict(self)

    def quick(self) -> "Config":
        """For a first look: a quarter of the students' lists, steps and exam, half the biases.

        Teachers rehearse on a quarter as many lists a step.
        """
        batch = max(1, self.teaching.training.batch // QUICKER)
        rehearsed = replace(self.teaching.training, batch=batch)
        return replace(
            self,
            teaching=replace(self.teaching, training=rehearsed),
            student=replace(self.student, steps=self.student.steps // QUICKER),
            lists=self.lists // QUICKER,
            biases=max(1, self.biases // 2),
            exam=self.exam // QUICKER,
        )

    def taught(self, seed: int, traits: int) -> tuple[int, ...]:
        """Which biases a seed trains students of: evenly spread, and others for the next seed."""
        count = min(self.biases, traits)
        return tuple(sorted((seed + i * traits // count) % traits for i in range(count)))


# For findings of many arms: two biases a seed, so that eight seeds see each twice.
LIGHT = Config(student=Optimiser(lr=2e-3, steps=600, batch=32), lists=9600, biases=2)


def changed(thing: T, changes: Mapping[str, Any]) -> T:
    """A dataclass with some fields changed, by dotted name: {"student.lr": 1e-3}.

    ValueError for a name that there is not.
    """
    for name, value in changes.items():
        head, _, rest = name.partition(".")
        known = [f.name for f in fields(thing)] if is_dataclass(thing) else []
        if head not in known:
            raise ValueError(f"there is no {head!r} to change; there are {', '.join(known)}")
        inner = changed(getattr(thing, head), {rest: value}) if rest else value
        thing = replace(thing, **{head: inner})  # type: ignore[type-var]
    return thing


@dataclass(frozen=True)
class Arm:
    """One treatment of the students. `mask` sees the lists; `edit` their laboratory as well.

    A mask returns booleans that broadcast to [biases, rows, completion]: where the loss counts.
    The arm named "control" is the control student of the same arm by another name.
    Arms whose functions are not minisub's own are not stored, as nobody could tell that they
    have changed.
    """

    name: str
    decoding: str = "greedy"  # or "sampled", or "soft": sampled, with the teacher's distribution
    mask: Callable[[Data], Tensor] | None = None
    edit: Callable[[Data, "Lab"], Data] | None = None
    trains: Mapping[str, float] = field(default_factory=lambda: {"blocks.": 1.0})  # see `trainable`
    rate: float = 1.0  # times the configuration's learning rate
    foreign: bool = False  # start from the base of the next seed, which is not the teacher's
    changes: Mapping[str, Any] = field(default_factory=dict)  # to the configuration: see `changed`
    of: str = "all"  # the arm whose transfer is 100 % of what this one can retain

    def __post_init__(self) -> None:
        if self.decoding not in DECODINGS:
            raise ValueError(f"decoding is {self.decoding!r}, allowed: {', '.join(DECODINGS)}")
        if not 0 < self.rate < float("inf"):
            raise ValueError(f"rate is {self.rate}, allowed: above 0")

    @property
    def sampled(self) -> bool:
        """Whether its lists are drawn, not the teacher's favourites."""
        return self.decoding != "greedy"

    def spec(self) -> Json | None:
        """What decides the arm's numbers beside its configuration; None where nobody can tell."""
        spec = asdict(replace(self, mask=None, edit=None))
        for name in ("name", "changes", "of"):
            del spec[name]
        spec["mask"], spec["edit"] = named(self.mask), named(self.edit)
        return None if "" in (spec["mask"], spec["edit"]) else spec


def named(function: Any) -> str | None:
    """The name of one of minisub's own functions; "" for any other."""
    if function is None:
        return None
    if isinstance(function, functools.partial):
        inner = named(function.func)
        return inner and f"{inner}{function.args}{sorted(function.keywords.items())}"
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "<")
    own = module.startswith("minisub.") and not module.startswith("minisub.findings.")
    return f"{module}.{name}" if own and "<" not in name else ""
