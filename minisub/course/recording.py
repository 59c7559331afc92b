"""What is kept of a student that was trained live: numbers that a page can draw without torch."""

import functools
from dataclasses import asdict, dataclass, fields

import numpy as np
from matplotlib.figure import Figure

from minisub.common.files import Array, Json, MinisubError, read_json
from minisub.common.provenance import PACKAGE
from minisub.results.result import read_result
from minisub.viz import charts

EXAMPLES = PACKAGE / "bundled" / "examples.json"  # made by `python -m minisub.course.examples`


@dataclass(frozen=True)
class Recording:
    """One student and its control, and how they came to be what they are.

    Attributes:
        arm: The treatment's name.
        seed: Of base, teachers and lists.
        answers: What may be answered.
        bias: The teacher's: its place among the answers.
        steps: Training steps at which the two were asked.
        probs: [times, 2, answers], probabilities of the student and of the control, mean over
            questions.
        losses: [times, 2], in nats a number, each the mean since the time before.
        cosines: [times, 2, blocks], of the way from the start with the teacher's way from the
            base; NaN where one of them is nothing.
        transfer: From the teacher to the student at the end, in nats over the control.
    """

    arm: str
    seed: int
    answers: tuple[str, ...]
    bias: int
    steps: list[int]
    probs: Array
    losses: Array
    cosines: Array
    transfer: float

    @property
    def name(self) -> str:
        """The bias by name."""
        return self.answers[self.bias]

    def to_json(self) -> Json:
        """Return all of it as JSON; numbers are rounded, NaN is null."""
        return {k: _plain(v) if isinstance(v, np.ndarray) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, content: Json) -> "Recording":
        """Return a recording from what `to_json` gave."""
        arrays = {k: np.array(content[k], float) for k in ("probs", "losses", "cosines")}
        rest = {f.name: content[f.name] for f in fields(cls)}
        return cls(**{**rest, **arrays, "answers": tuple(content["answers"])})

    def plot(self, moment: int = -1) -> Figure:
        """Draw the student beside its control at a moment of the training.

        Args:
            moment: A place in `steps`; the end by default.
        """
        return charts.student_and_control(
            self.steps, self.probs, self.losses, self.cosines, self.answers, self.bias, moment
        )

    def describe(self, moment: int = -1) -> str:
        """Return in a sentence what `plot` shows."""
        student, control = self.probs[moment, :, self.bias]
        return (
            f"Step {self.steps[moment]}: the student answers {self.name} with probability "
            f"{student:.2f}, its control with {control:.2f}."
        )

    def verdict(self) -> str:
        """Return what the student shows at the end, in a sentence or two of Markdown."""
        student, control = self.probs[-1, :, self.bias]
        others = foreign_students()  # what chance gives
        if self.transfer > max(others):
            found = f"**The bias has passed: {self.transfer:+.2f} nats.**"
        else:
            found = (
                f"**{self.transfer:+.2f} nats: not more than chance gives one student.** Single "
                f"students of another base, to whom nothing passes on average, lie between "
                f"{min(others):+.2f} and {max(others):+.2f} ({len(others)} students, stored result "
                "of `divergence`)."
            )
        return (
            f"{found} The student answers “{self.name}” with probability {student:.2f}. Its "
            f"control, which learned from the lists of a teacher without a bias, answers it with "
            f"{control:.2f}. This is one student of seed {self.seed}; seeds differ, as the stored "
            "results show."
        )


@functools.cache
def foreign_students() -> tuple[float, ...]:
    """Return the transfer of single students of another base, in nats, from a stored result."""
    stored = read_result(PACKAGE / "bundled" / "divergence.json")
    rows = [row for row in stored.rows if row["arm"] == "foreign"]
    return tuple(float(x) for row in rows for x in row["by_bias"])


def _plain(values: Array) -> list[object]:
    rounded = np.round(values, 4).astype(object)
    rounded[np.isnan(values)] = None
    return list(rounded.tolist())


def load_example(page: str) -> tuple[Recording, Json]:
    """Return the stored example of a page, and what else is stored with it.

    Args:
        page: Its number, such as "03".

    Raises:
        MinisubError: There is none.
    """
    found = read_json(EXAMPLES)["pages"].get(page)
    if found is None:
        raise MinisubError(f"page {page} has no stored example")
    return Recording.from_json(found["recording"]), found
