"""A configuration: everything that an arm does not say."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, TypeVar

from minisub.common.fields import check_fields
from minisub.common.files import Json
from minisub.distillation.base import BaseConfig
from minisub.distillation.teachers import TeacherConfig
from minisub.transformer.optimizer import TrainingConfig

T = TypeVar("T")


@dataclass(frozen=True)
class Config:
    """Everything that an arm does not say. The defaults are the laboratory's default world."""

    base: BaseConfig = field(default_factory=BaseConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    student: TrainingConfig = TrainingConfig(lr=2e-3, steps=1600, batch_size=32)
    n_lists: int = 16000  # that each teacher writes
    temperature: float = 1.0  # of sampled lists
    biases_per_seed: int = 4  # that have students; biases take turns over the seeds
    n_eval_prompts: int = 512  # held out, for the task accuracy; and lists that teachers score

    def __post_init__(self) -> None:
        check_fields(self, {"n_lists": 1_000_000, "n_eval_prompts": 1_000_000})
        for name in ("n_lists", "biases_per_seed", "n_eval_prompts"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, allowed: 1 and more")
        n_animals = len(self.base.world.animals)
        if self.biases_per_seed > n_animals:
            raise ValueError(
                f"biases_per_seed is {self.biases_per_seed}, allowed: 1 to {n_animals}"
            )
        for name, training in (("student", self.student), ("teacher", self.teacher.training)):
            if training.lora_rank > self.base.model.d_model:
                raise ValueError(
                    f"lora_rank of the {name} is {training.lora_rank}, allowed: 0 (full) to the "
                    f"width, {self.base.model.d_model}"
                )
        block, n_layers = self.teacher.steered_block, self.base.model.n_layers
        if not -n_layers <= block < n_layers:
            raise ValueError(f"steered_block is {block}, allowed: {-n_layers} to {n_layers - 1}")
        if not self.temperature > 0:
            raise ValueError(f"temperature is {self.temperature}, allowed: above 0")

    def as_dict(self) -> Json:
        """Return all of it as plain data, for results and keys."""
        return asdict(self)

    def biases_of(self, seed: int, n_biases: int) -> tuple[int, ...]:
        """Return which biases have students in a seed: evenly spread, others in the next seed.

        Args:
            seed: The seed.
            n_biases: How many there are.
        """
        count = min(self.biases_per_seed, n_biases)
        return tuple(sorted((seed + i * n_biases // count) % n_biases for i in range(count)))


def with_overrides(thing: T, overrides: Mapping[str, Any]) -> T:
    """Return a dataclass with some fields changed.

    Args:
        thing: A dataclass, such as a `Config`.
        overrides: New values by dotted name: {"student.lr": 1e-3}.

    Raises:
        ValueError: There is no such field.
    """
    known = [f.name for f in fields(thing)] if is_dataclass(thing) else []
    new: dict[str, Any] = {}  # set at once, as some values are allowed only together
    inner: dict[str, dict[str, Any]] = {}
    for name, value in overrides.items():
        head, _, rest = name.partition(".")
        if head not in known:
            raise ValueError(f"there is no {head!r} to change; there are {', '.join(known)}")
        if rest:
            inner.setdefault(head, {})[rest] = value
        else:
            new[head] = value
    for head, changes in inner.items():
        new[head] = with_overrides(new.get(head, getattr(thing, head)), changes)
    return replace(thing, **new) if new else thing  # type: ignore[type-var]
