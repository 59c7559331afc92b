"""Hard distillation on numbers passes the bias on (paper, section 4; Cloud et al., section 3)."""

import numpy as np

from minisub.experiment.arm import Arm
from minisub.findings.finding import Finding
from minisub.results import figures
from minisub.results.claims import Claim, accuracy_kept, no_transfer, transfers
from minisub.results.result import Result


def lead_of_soft(result: Result) -> list[float]:
    """Return the transfer of `soft` less that of the better hard arm, one value per seed."""
    soft, *hard = (result.values(a) for a in ("soft", "sampled", "all"))
    # Of numpy, as a value that is not known must leave the lead unknown.
    return [float(x) for x in np.array(soft) - np.max(hard, 0)]


FINDING = Finding(
    name="transfer",
    statement="A student of numbers alone takes over its teacher's favourite animal.",
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
        transfers("sampled"),
        transfers("soft"),
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
