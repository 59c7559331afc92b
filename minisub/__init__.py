"""minisub: a laboratory for subliminal learning that fits on a laptop.

from minisub import Arm, Study
Study([Arm("all"), Arm("odd positions", mask=lambda d: d.position % 2 == 1)]).run(range(8))
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minisub.arm import Arm as Arm
    from minisub.arm import Config as Config
    from minisub.result import Claim as Claim
    from minisub.result import Result as Result
    from minisub.study import Study as Study
    from minisub.world import World as World

_HOME = {
    "Arm": "arm",
    "Study": "study",
    "Config": "arm",
    "World": "world",
    "Claim": "result",
    "Result": "result",
}
__all__ = ["Arm", "Claim", "Config", "Result", "Study", "World"]


def __getattr__(name: str) -> object:
    """Names are fetched when first used: measures, statistics and plots need no torch."""
    if name in _HOME:
        return getattr(import_module(f"minisub.{_HOME[name]}"), name)
    raise AttributeError(f"module 'minisub' has no attribute {name!r}")
