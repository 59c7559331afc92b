"""Which of the divergence tokens, and what in them (paper, Figs. 17-21)."""

from functools import partial

from minisub.common.files import Json
from minisub.distillation import masks
from minisub.distillation.edits import other_wording, replace_divergence_tokens
from minisub.experiment.arm import Arm
from minisub.experiment.presets import LIGHT_CONFIG
from minisub.experiment.seed_lab import SeedLab
from minisub.findings.finding import Finding
from minisub.mechanism.bias_signal import score_lists
from minisub.results.claims import Claim, probe_values, retains


def stability(lab: SeedLab) -> list[Json]:
    """Return how many divergence tokens stay such with another wording, and for another base."""
    lists = lab.marked_lists()
    rows = []
    for change, teachers, changed in (
        ("wording", lab.teachers, other_wording(lists, lab)),
        ("base", lab.other_base_teachers, lists),
    ):
        scores = score_lists(teachers, changed.first_rows(lab.config.n_eval_prompts))
        still = scores.is_divergence_token
        at = lists.is_divergence_token[:, : still.shape[1]]
        rows.append(
            {
                "change": change,
                "still": float(still[at].double().mean()),
                "others_become": float(still[~at].double().mean()),
            }
        )
    return rows


FINDING = Finding(
    name="selection",
    statement="Half of the divergence tokens carries most of it; with swapped labels the student "
    "moves away from the bias.",
    paper="Random parts, halves and the first one only, and tokens swapped for another teacher's "
    "(Figs. 17 to 21): outcomes are not quoted here; what is shown is the simulator's.",
    arms=(
        Arm("all"),
        Arm("divergence only", mask=masks.divergence_only),
        Arm("random half", mask=masks.random_half),
        Arm("first half", mask=masks.first_half),
        Arm("second half", mask=masks.second_half),
        Arm("first only", mask=masks.first_one),
        Arm("first number", mask=masks.first_number),
        Arm("later numbers", mask=masks.later_numbers),
        Arm("1 counterfactual", mask=partial(masks.fewer_counterfactuals, count=1)),
        Arm("3 counterfactuals", mask=partial(masks.fewer_counterfactuals, count=3)),
        Arm("against unbiased", mask=masks.against_unbiased),
        Arm("replaced label", edit=partial(replace_divergence_tokens, where="label")),
        Arm("replaced input", edit=partial(replace_divergence_tokens, where="input")),
        Arm("replaced both", edit=partial(replace_divergence_tokens, where="both")),
    ),
    claims=(
        retains("random half", low=0.7),
        retains("first only", low=0.7),
        retains("1 counterfactual", low=0.5),
        retains("against unbiased", low=0.7),
        retains("replaced label", high=0.15),
        retains("replaced input", high=0.6),
        retains("replaced both", high=0.15),
        Claim(
            "divergence tokens that are still some for another base",
            probe_values("still", change="base"),
            high=0.4,
        ),
    ),
    config=LIGHT_CONFIG,
    probes=(stability,),
)
