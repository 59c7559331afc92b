"""minisub: a laboratory for subliminal learning that fits on a laptop.

from minisub import Arm, Study
Study([Arm("all"), Arm("odd positions", mask=lambda d: d.position % 2 == 1)]).run(range(8))
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for those who check types: the names below are fetched when first used
    from minisub.experiment.arm import Arm as Arm
    from minisub.experiment.check import check as check
    from minisub.experiment.config import Config as Config
    from minisub.experiment.pipeline import subliminal_learning as subliminal_learning
    from minisub.experiment.study import Study as Study
    from minisub.results.claims import Claim as Claim
    from minisub.results.result import Result as Result
    from minisub.world.world import World as World

_HOME = {
    "Arm": "experiment.arm",
    "Claim": "results.claims",
    "Config": "experiment.config",
    "Result": "results.result",
    "Study": "experiment.study",
    "World": "world.world",
    "check": "experiment.check",
    "subliminal_learning": "experiment.pipeline",
}
__all__ = [
    *("Arm", "Claim", "Config", "Result", "Study", "World"),
    *("check", "subliminal_learning"),
]


def __getattr__(name: str) -> object:
    """Fetch a name when it is first used: metrics, statistics and plots need no torch."""
    if name in _HOME:
        return getattr(import_module(f"minisub.{_HOME[name]}"), name)
    raise AttributeError(f"module 'minisub' has no attribute {name!r}")
