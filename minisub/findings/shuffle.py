"""Order matters: shuffled numbers carry little (paper, F5b)."""

from minisub.arm import LIGHT, Arm
from minisub.edits import shuffle_across, shuffle_within
from minisub.findings.finding import Finding, retains
from minisub.result import Claim, of

FINDING = Finding(
    name="shuffle",
    statement="The same numbers in another order carry little: order is the context.",
    paper="Numbers shuffled within a response, or across responses: suppressed.",
    arms=(
        Arm("all"),
        Arm("shuffle within", edit=shuffle_within),
        Arm("shuffle across", edit=shuffle_across),
    ),
    claims=(
        retains("shuffle within", high=0.3),
        retains("shuffle across", high=0.3),
        Claim("it ruins the task: accuracy", of("shuffle within", "task_accuracy"), high=0.5),
    ),
    config=LIGHT,
)
