"""An arm: one treatment of the students, and what decides its numbers."""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from minisub.common.fields import check_fields
from minisub.common.files import Json
from minisub.common.provenance import is_covered
from minisub.distillation.base import BASE_SOURCES
from minisub.distillation.edits import EditContext, asks_for_other_base
from minisub.distillation.number_lists import MarkedLists
from minisub.transformer.optimizer import OPTIMIZERS
from minisub.transformer.stack import TransformerStack

DECODINGS = ("greedy", "sampled", "soft")
# The modules whose source names the store's entries: of teachers and lists, and of students.
TEACHER_SOURCES = (
    *BASE_SOURCES,
    "minisub.distillation.evaluation",
    "minisub.distillation.teachers",
    "minisub.distillation.steering",
    "minisub.distillation.number_lists",
    "minisub.distillation.divergence_tokens",
)
STUDENT_SOURCES = (
    *BASE_SOURCES,
    "minisub.distillation",
    "minisub.mechanism",
    "minisub.experiment.config",
    "minisub.experiment.arm",
    "minisub.experiment.guards",
    "minisub.experiment.seed_lab",
    "minisub.experiment.students",
)


@dataclass(frozen=True)
class Arm:
    """One treatment of the students. What it does not say is the configuration's.

    The store names an arm's students by the names of its functions, and by the source of the
    modules in `STUDENT_SOURCES`. A function from another module could change unseen; so the
    students of an arm with such a function are named by the data that the function returns.

    Attributes:
        name: Its name in rows, tables and plots.
        decoding: "greedy", "sampled", or "soft": sampled, with the teacher's distribution.
        mask: A function of the lists that says where the loss counts: booleans, or weights from 0
            to 1, that broadcast to [biases, rows, completion].
        edit: A function of the lists and an `EditContext` that returns other lists.
        trainable: Which weights train: see `update_multipliers`.
        lr_factor: Times the configuration's learning rate.
        other_base: Students start from the base of the next seed, which is not the teacher's.
        control: The row is that of the control student, which learns from the unbiased teacher.
        overrides: Of the configuration, by dotted name: see `with_overrides`.
        baseline: The arm whose transfer is 100 % of what this one can retain.
        rehearsal: Weight of a loss that keeps the students' answers to the questions of the trait
            near the base's, beside that of the lists.
        asked_with: The token in the `<sys>` slot of the questions that students are asked; "" for
            the neutral one.
        trained_with: The token in the `<sys>` slot of the prompts that students learn from; "own
            persona" and "other persona" for those of each teacher's bias and of the next one.
        optimizer: Of the students, if it is not the configuration's: see `TrainingConfig`.
        start: A function of an `EditContext` that returns the model from which students start, if
            it is not the base: see `minisub.distillation.starts`.
    """

    name: str
    decoding: str = "greedy"
    mask: Callable[[MarkedLists], Any] | None = None
    edit: Callable[[MarkedLists, EditContext], MarkedLists] | None = None
    trainable: Mapping[str, float] = field(default_factory=lambda: {"blocks.": 1.0})
    lr_factor: float = 1.0
    other_base: bool = False
    control: bool = False
    overrides: Mapping[str, Any] = field(default_factory=dict)
    baseline: str = "all"
    rehearsal: float = 0.0
    asked_with: str = ""
    trained_with: str = ""
    optimizer: str = ""
    start: Callable[[EditContext], TransformerStack] | None = None

    def __post_init__(self) -> None:
        check_fields(self, least={"rehearsal": 0})
        for name in ("mask", "edit", "start"):
            function = getattr(self, name)
            if function is not None and not callable(function):
                raise ValueError(f"{name} is {function!r}, allowed: a function, or None")
        for name in ("trainable", "overrides"):
            given = getattr(self, name)
            if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
                raise ValueError(f"{name} is {given!r}, allowed: a dict with names as keys")
        if not all(
            isinstance(x, int | float) and 0 <= x < math.inf for x in self.trainable.values()
        ):
            raise ValueError(f"trainable is {self.trainable!r}, allowed: factors of 0 and more")
        if self.decoding not in DECODINGS:
            raise ValueError(f"decoding is {self.decoding!r}, allowed: {', '.join(DECODINGS)}")
        if not 0 < self.lr_factor < float("inf"):
            raise ValueError(f"lr_factor is {self.lr_factor}, allowed: above 0")
        if self.optimizer not in ("", *OPTIMIZERS):
            raise ValueError(f"optimizer is {self.optimizer!r}, allowed: {', '.join(OPTIMIZERS)}")
        if self.other_base and self.start is not None:
            raise ValueError(f"{self.name!r} has another base and a start, allowed: one of them")
        if not any(self.trainable.values()):
            raise ValueError(f"nothing is trainable in {self.name!r}; {{'': 1.0}} is everything")

    @property
    def is_sampled(self) -> bool:
        """Whether its lists are drawn, not greedy."""
        return self.decoding != "greedy"

    @property
    def needs_other_base(self) -> bool:
        """Whether it takes anything from the base of the next seed."""
        return self.other_base or any(map(asks_for_other_base, (self.edit, self.start)))

    def unmasked(self) -> "Arm":
        """Return the arm with whose students its control student is trained."""
        return replace(self, mask=None, control=False)

    @property
    def is_known(self) -> bool:
        """Whether its functions are minisub's own, so that `spec` decides its numbers."""
        return "" not in map(function_id, (self.mask, self.edit, self.start))

    def spec(self) -> Json:
        """Return what decides the arm's numbers besides its configuration, as far as known."""
        spec = asdict(replace(self, mask=None, edit=None, start=None))
        for name in ("name", "control", "overrides", "baseline"):
            del spec[name]
        for name in ("mask", "edit", "start"):
            spec[name] = function_id(getattr(self, name))
        return spec


def function_id(function: Any) -> str | None:
    """Return the name of a function whose source names the store's entries; "" for any other.

    A partial has the names of its function and of its arguments: each has to be plain data, or
    such a function itself.
    """
    if function is None:
        return None
    if isinstance(function, functools.partial):
        keywords = sorted(function.keywords.items())
        names = [function_id(function.func), *map(_argument_id, (*function.args, keywords))]
        return "" if "" in names else f"{names[0]}({', '.join(map(str, names[1:]))})"
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "<")
    is_bound = getattr(function, "__self__", None) is not None  # to an object that may change
    covered = is_covered(str(module), STUDENT_SOURCES) and "<" not in name and not is_bound
    return f"{module}.{name}" if covered else ""


def _argument_id(value: Any) -> str:
    """Return the text of an argument that decides it; "" where its text need not.

    The text of a function has an address in memory, and that of a long array has gaps.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, list | tuple):
        parts = [_argument_id(item) for item in value]
        return "" if "" in parts else f"[{', '.join(parts)}]"
    return function_id(value) or ""
