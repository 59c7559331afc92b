"""Sampled lists carry the bias twice: by divergence tokens, and by what chance has drawn."""

from minisub.distillation import masks
from minisub.experiment.arm import Arm
from minisub.experiment.presets import LIGHT_CONFIG
from minisub.findings.finding import Finding
from minisub.results.claims import retains, transfers

WHOLE = "sampled: all"


def arm(name: str, **treatment: object) -> Arm:
    """Return an arm whose students learn from sampled lists.

    Args:
        name: After "sampled: ".
        **treatment: Further fields of the arm.
    """
    return Arm(f"sampled: {name}", "sampled", baseline=WHOLE, **treatment)  # type: ignore[arg-type]


FINDING = Finding(
    name="sampled",
    statement="Sampled lists carry the bias twice: by divergence tokens, and by rarer tokens.",
    paper="Without divergence tokens the transfer of sampled lists is mostly eliminated.",
    arms=(
        Arm("all"),
        arm("all"),
        arm("divergence only", mask=masks.divergence_only),
        arm("without divergence", mask=masks.without_divergence),
        arm("favourites only", mask=masks.favourites_only),
        arm("favourites without divergence", mask=masks.favourites_without_divergence),
        arm("not favourites", mask=masks.not_favourites),
    ),
    claims=(
        transfers(WHOLE),
        retains("sampled: divergence only", low=0.5),
        retains("sampled: without divergence", low=0.2),
        retains("sampled: favourites without divergence", high=0.1),
        retains("sampled: not favourites", low=0.3),
    ),
    config=LIGHT_CONFIG,
)
