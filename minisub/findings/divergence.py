"""Divergence tokens carry the bias (paper, section 5, Definition 5.1 and Fig. 3)."""

from minisub.distillation import masks
from minisub.experiment.arm import Arm
from minisub.findings.finding import Finding
from minisub.results import figures
from minisub.results.claims import Claim, accuracy_kept, arm_values, no_transfer, retains

ARMS = (
    Arm("all"),
    Arm("control", control=True),
    Arm("foreign", other_base=True),
    Arm("divergence only", mask=masks.divergence_only),
    Arm("without divergence", mask=masks.without_divergence),
    Arm("random only", mask=masks.random_only),
    Arm("without random", mask=masks.without_random),
)

FINDING = Finding(
    name="divergence",
    statement="Divergence tokens, a fifth of all tokens, carry the bias: without them next to "
    "nothing passes.",
    paper="Loss on divergence tokens only keeps or amplifies the transfer; without them it is near "
    "the control. They are 7.5 % (Qwen) or 18 % (Gemma) of the tokens of greedy lists.",
    arms=ARMS,
    claims=(
        Claim("`all` transfers the bias, nats", arm_values("all"), "mean", low=1.3),
        Claim("`all`: surely more than one nat", arm_values("all"), "interval", low=1.0),
        Claim("`all`: in every seed", arm_values("all"), "every seed", low=0.5),
        # Students of another base lose a little too (their preferences get less even), so the bar
        # is -0.05: see docs/validation.md.
        Claim(
            "`all`: other animals lose, nats",
            arm_values("all", "off_target"),
            "interval",
            high=-0.05,
        ),
        Claim(
            "`all`: hit rate, times the control's",
            arm_values("all", "hit_rate"),
            low=3.5,
            baseline=arm_values("all", "control_hit_rate"),
        ),
        no_transfer("foreign"),
        Claim(
            "divergence tokens: share of all tokens",
            arm_values("all", "divergence_share"),
            "mean",
            high=0.2,
        ),
        retains("divergence only", low=1.0),
        retains("without divergence", high=0.08),
        retains("without random", low=0.9),
        accuracy_kept("all"),
        accuracy_kept("divergence only", within=0.06),
        accuracy_kept("without divergence"),
    ),
    plot=figures.divergence,
)
