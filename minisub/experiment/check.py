"""The usual check of a hypothesis in one call: an arm of one's own beside its controls.

minisub.check(mask=lambda lists: lists.position % 2 == 1)
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from minisub.common.files import Json
from minisub.common.processes import OnProgress
from minisub.common.store import Store
from minisub.distillation.edits import EditContext
from minisub.distillation.masks import dealt_at_random
from minisub.distillation.number_lists import MarkedLists
from minisub.experiment.arm import Arm
from minisub.experiment.config import Config
from minisub.experiment.presets import SMALL_CONFIG
from minisub.experiment.study import Study
from minisub.results.comparison import Comparison
from minisub.results.result import Result

RANDOM = "random match"


@dataclass(frozen=True)
class Check:
    """What a check found; it prints as a table of arms and a sentence for each comparison.

    Attributes:
        result: Of all arms.
        comparisons: Of the arm with what it is checked against, and with its random match.
    """

    result: Result
    comparisons: Sequence[Comparison]

    def __str__(self) -> str:
        return "\n".join(map(str, (self.result, *self.comparisons)))

    def _repr_html_(self) -> str:
        """Return the table, the sentences and the bar plot, as marimo and Jupyter show them."""
        sentences = "".join(f"<p>{comparison}</p>" for comparison in self.comparisons)
        return f"{self.result._repr_html_()}{sentences}"

    def plot(self, measure: str = "transfer") -> Any:
        """Draw the arms: see `Result.plot`."""
        return self.result.plot(measure)

    def to_records(self) -> list[Json]:
        """Return the rows as plain data: see `Result.to_records`."""
        return self.result.to_records()


def check(
    mask: Callable[[MarkedLists], Any] | None = None,
    edit: Callable[[MarkedLists, EditContext], MarkedLists] | None = None,
    *,
    arm: Arm | None = None,
    against: str = "all",
    seeds: int | Sequence[int] = 8,
    config: Config = SMALL_CONFIG,
    store: Store | str | None = None,
    workers: int | None = None,
    device: str = "cpu",
    on_progress: OnProgress | None = None,
) -> Check:
    """Check a hypothesis: train an arm of one's own beside `all`, its control and a random match.

    The random match of a mask keeps as many tokens of each list, in random places.

    Args:
        mask: Where the loss counts: see `Arm`.
        edit: What is changed in the lists: see `Arm`.
        arm: A whole arm, in place of `mask` and `edit`.
        against: What it is compared with: "all" or "random match".
        seeds: How many, from 0 on; or which.
        config: Everything that the arm does not say; by default few lists and steps.
        store: See `Study.run`.
        workers: See `Study.run`.
        device: See `Study.run`.
        on_progress: See `Study.run`.

    Raises:
        ValueError: There is nothing to check, or too much, or nothing to compare with.
    """
    given = [x for x in (mask, edit, arm) if x is not None]
    if not given or (arm is not None and len(given) > 1):
        raise ValueError("check needs a mask, an edit or both; or else an arm")
    mine = arm or Arm("mine", mask=mask, edit=edit)
    arms = arms_of_check(mine, against)
    chosen = range(seeds) if isinstance(seeds, int) else seeds
    study = Study(arms, config, "check")
    result = study.run(chosen, store, workers, device, on_progress)
    others = [a.name for a in arms if a.name not in ("control", mine.name)]
    others.sort(key=lambda name: name != against)  # what it is compared with comes first
    return Check(result, [result.compare(mine.name, other) for other in others])


def arms_of_check(mine: Arm, against: str = "all") -> list[Arm]:
    """Return `all`, its control, an arm of one's own, and the random match of its mask, if any.

    Args:
        mine: The arm of one's own.
        against: What it is compared with.

    Raises:
        ValueError: The arm has the name of one of the others, or is compared with none of them.
    """
    if mine.name in ("all", "control", RANDOM):
        raise ValueError(f"the arm is called {mine.name!r}, allowed: a name of its own")
    arms = [Arm("all"), Arm("control", control=True), mine]
    others = ["all"]
    if mine.mask is not None:
        matched = functools.partial(dealt_at_random, mask=mine.mask)
        arms.append(replace(mine, name=RANDOM, mask=matched))
        others.append(RANDOM)
    if against not in others:
        raise ValueError(f"against is {against!r}, allowed: {', '.join(others)}")
    return arms
