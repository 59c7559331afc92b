"""Hard distillation on numbers passes the bias on (paper, section 4; Cloud et al., section 3)."""

from minisub.experiment.arm import Arm
from minisub.findings.finding import Finding
from minisub.results import figures
from minisub.results.claims import Claim, accuracy_kept, arm_values, no_transfer
from minisub.results.result import Result


def lead_of_soft(result: Result) -> list[float]:
    """Return the transfer of `soft` less that of the better hard arm, one value per seed."""
    arms = (result.values(a) for a in ("soft", "sampled", "all"))
    return [soft - max(hard) for soft, *hard in zip(*arms, strict=True)]


FINDING = Finding(
    name="transfer",
    statement="A student of numbers alone takes over its teacher's favourite animal, and no other.",
    paper="Sampled and greedy lists both transfer; greedy often more. Students of another "
    "initialisation take over next to nothing.",
    arms=(
        Arm("soft", decoding="soft"),
        Arm("sampled", decoding="sampled"),
        Arm("all"),
        Arm("control", control=True),
        Arm("foreign", other_base=True),
    ),
    claims=(
        Claim("`sampled` transfers, nats", arm_values("sampled"), "interval", low=0.0),
        Claim("`soft` transfers, nats", arm_values("soft"), "interval", low=0.0),
        Claim(
            "`soft` transfers most: lead over the hard arms, nats",
            lead_of_soft,
            "interval",
            low=0.0,
        ),
        no_transfer("foreign"),
        accuracy_kept("soft"),
        accuracy_kept("sampled"),
        accuracy_kept("all"),
    ),
    plot=figures.transfer,
)
