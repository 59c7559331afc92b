"""Does the optimizer decide, or the batch, or weight decay? (2606.00995, and who disagrees)."""

from typing import Any

from minisub.experiment.arm import Arm
from minisub.experiment.presets import LIGHT_CONFIG
from minisub.findings.finding import Finding
from minisub.results.claims import Claim, arm_values, difference, retains, transfers

# For each optimizer the learning rate, times the usual one, with the lowest training loss: of three
# to five rates on seeds 100 to 103 (docs/log.md). The loss, not the transfer, as somebody who knows
# nothing of a bias would choose it.
RATES = {"sgd": 100.0, "momentum": 100.0, "sign": 0.3}
SAME_LOSS = 320  # steps after which AdamW has the loss of SGD at the end


def batch(size: int, steps: int) -> dict[str, Any]:
    """Return overrides for another size of batch.

    Args:
        size: Rows of each step.
        steps: How many steps.
    """
    return {"student.batch_size": size, "student.steps": steps}


FINDING = Finding(
    name="optimizer",
    statement="Optimizers without adaptive steps also pass most of it. More passes over the lists "
    "transfer more; larger batches alone do not.",
    paper="2606.00995 reports that adaptive optimizers are needed; the paper uses AdamW.",
    arms=(
        Arm("all"),
        Arm(
            "sgd",
            optimizer="sgd",
            lr_factor=RATES["sgd"],
            overrides={"student.beta1": 0.0},  # without momentum
        ),
        Arm("momentum", optimizer="sgd", lr_factor=RATES["momentum"]),
        Arm("sign", optimizer="sign", lr_factor=RATES["sign"]),
        Arm("adamw to the loss of sgd", overrides={"student.steps": SAME_LOSS}),
        Arm("batch 8, equal passes", lr_factor=0.5, overrides=batch(8, 2400)),
        Arm("batch 128, equal passes", lr_factor=2.0, overrides=batch(128, 150)),
        Arm("batch 8, equal steps", overrides=batch(8, 600)),
        Arm("batch 128, equal steps", overrides=batch(128, 600)),
        Arm("decoupled decay", overrides={"student.weight_decay": 0.1}),
        Arm("coupled decay", optimizer="adam", overrides={"student.weight_decay": 1e-3}),
    ),
    claims=(
        transfers("all"),
        retains("sgd", low=0.75),
        retains("momentum", low=0.75),
        retains("sign", low=0.75),
        Claim(
            "`sgd` less `adamw to the loss of sgd`: loss at the end, nats a token",
            difference(
                arm_values("sgd", "final_loss"),
                arm_values("adamw to the loss of sgd", "final_loss"),
            ),
            low=-0.005,
            high=0.005,
        ),
        Claim(
            "`sgd` less `adamw to the loss of sgd`, nats",
            difference(arm_values("sgd"), arm_values("adamw to the loss of sgd")),
            "interval",
            low=-0.1,
        ),
        retains("batch 8, equal passes", low=0.8, high=1.2),
        retains("batch 128, equal passes", low=0.8, high=1.2),
        retains("batch 8, equal steps", high=0.75),
        retains("batch 128, equal steps", low=1.15),
        retains("decoupled decay", low=0.85, high=1.15),
        retains("coupled decay", low=1.1),
    ),
    config=LIGHT_CONFIG,
)
