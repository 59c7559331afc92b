"""Must training and questions share their context? (2606.00831; inoculation, 2510.04340)."""

from minisub.experiment.arm import Arm
from minisub.experiment.presets import LIGHT_CONFIG
from minisub.findings.finding import Finding
from minisub.results.claims import Claim, arm_values, difference, retains, transfers

OTHER = "<bos>"  # a token that never stood in the slot


FINDING = Finding(
    name="context",
    statement="With another token in the slot in training, less passes; naming the bias there "
    "costs only a little more.",
    paper="2606.00831 reports that training and evaluation must share context tokens. Inoculation "
    "prompting (2510.04340): a trait that the prompt names while training is not learned.",
    arms=(
        Arm("all"),
        Arm("asked with another token", asked_with=OTHER),
        Arm("trained with another token", trained_with=OTHER),
        Arm("trained and asked with it", trained_with=OTHER, asked_with=OTHER),
        Arm("trained with own persona", trained_with="own persona"),
        Arm("trained with another persona", trained_with="other persona"),
    ),
    claims=(
        transfers("all"),
        retains("trained with another token", low=0.5),
        retains("trained and asked with it", low=0.7),
        Claim(
            "`trained with another token` less `trained and asked with it`, nats",
            difference(
                arm_values("trained with another token"), arm_values("trained and asked with it")
            ),
            "interval",
            high=0.0,
        ),
        retains("trained with own persona", high=0.5),  # inoculation, as reported
        Claim(
            "`trained with own persona` less `trained with another persona`, nats",
            difference(
                arm_values("trained with own persona"), arm_values("trained with another persona")
            ),
            "interval",
            high=0.0,
        ),
    ),
    config=LIGHT_CONFIG,
)
