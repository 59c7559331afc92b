"""Order matters: shuffled numbers carry little (paper)."""

from minisub.distillation.edits import shuffle_across, shuffle_within
from minisub.experiment.arm import Arm
from minisub.experiment.presets import LIGHT_CONFIG
from minisub.findings.finding import Finding
from minisub.results.claims import Claim, arm_values, retains

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
        Claim(
            "it ruins the task: accuracy", arm_values("shuffle within", "task_accuracy"), high=0.5
        ),
    ),
    config=LIGHT_CONFIG,
)
