"""Does one vector carry the bias, and do steered teachers pass more? (2606.00995, 2604.25783)."""

import math

import numpy as np
import torch
from matplotlib.figure import Figure

from minisub.common.files import Array, Json
from minisub.common.randomness import generator
from minisub.distillation import metrics
from minisub.distillation.evaluation import preference_log_probs
from minisub.distillation.number_lists import UNBIASED
from minisub.distillation.steering import SteeredStack, mean_residual
from minisub.distillation.teachers import TeacherConfig
from minisub.experiment.arm import Arm
from minisub.experiment.config import with_overrides
from minisub.experiment.presets import LIGHT_CONFIG
from minisub.experiment.seed_lab import SeedLab
from minisub.experiment.students import Students
from minisub.findings.finding import Finding
from minisub.findings.layers import PROMPTED_RATES, only
from minisub.results import figures
from minisub.results.claims import (
    Claim,
    Values,
    arm_values,
    probe_values,
    transfers,
)
from minisub.results.result import Result
from minisub.transformer.stack import TransformerStack
from minisub.viz import style

# Here and not from `layers`: the store names what a probe gives by the source of its own module.
KINDS = {
    "prompted": TeacherConfig(kind="prompted"),
    "steered": TeacherConfig(kind="steered", persona_strength=0.4),
}
RATE = PROMPTED_RATES["block 0"]  # of students that train their first block alone
N_RANDOM = 8  # directions beside each vector


def vectors(lab: SeedLab) -> list[Json]:
    """Return what one vector does in the control students, and what is left without it.

    The vector is a student's mean residual stream less the control's, at the last token before the
    answer. The mean is over half of the questions ("questions") or over prompts of number tasks
    ("numbers"); its effect is measured on the other half of the questions. A row for each block has
    transfers in nats: of the students (`whole`), of the control with the vector added (`added`) or
    with random vectors of the same length (`random`), and of the students with the vector taken
    away (`left`).
    """
    n, trait = len(lab.biases), lab.trait
    made, loss = Students(lab).train(Arm("all"), [*range(n), UNBIASED])
    if loss is None:  # they diverged: nothing can be said
        return []
    own, control = made[range(n)], made[[n] * n]
    shown, asked = trait.eval_questions[::2], trait.eval_questions[1::2]

    def answers(stack: TransformerStack) -> Array:
        return preference_log_probs(stack, asked[None], trait.answer_tokens)

    base_line = answers(control)

    def transfer(stack: TransformerStack) -> float:
        return metrics.transfer(metrics.preference_shift(answers(stack), base_line), lab.biases)

    g, whole = generator(lab.seed, "random vectors"), transfer(own)
    rows: list[Json] = []
    for source, prompts in (("questions", shown), ("numbers", lab.eval_prompts)):
        for block in range(own.config.n_layers + 1):
            vector = mean_residual(own, prompts, block) - mean_residual(control, prompts, block)
            drawn = torch.randn(N_RANDOM, *vector.shape, generator=g).to(vector)
            drawn *= vector.norm(dim=1, keepdim=True) / drawn.norm(dim=2, keepdim=True)
            rows.append(
                {
                    "source": source,
                    "block": block,
                    "from_end": own.config.n_layers - block,
                    "whole": whole,
                    "added": transfer(SteeredStack(control, vector, block)),
                    "left": transfer(SteeredStack(own, -vector, block)),
                    "random": float(
                        np.mean([transfer(SteeredStack(control, r, block)) for r in drawn])
                    ),
                }
            )
    return rows


def own_bias(lab: SeedLab) -> list[Json]:
    """Return each kind of teacher's own bias, in nats as transfer is, and what its numbers show.

    Rows: by kind, the bias (`own`) of the teachers that write, against the unbiased one, and the
    KL divergence of their numbers from the base's, in nats a number (`numbers`).
    """
    rows: list[Json] = []
    for kind in ("tuned", *KINDS):
        config = with_overrides(lab.config, {"teacher": KINDS[kind]} if kind in KINDS else {})
        kind_lab = SeedLab(config, lab.seed, lab.store, lab.biases, lab.device)
        teachers, told = kind_lab.teachers, kind_lab.teacher_report()
        biases, trait = list(lab.biases), lab.trait
        questions = teachers.add_personas(trait.eval_questions)
        logp = preference_log_probs(teachers.stack, questions, trait.answer_tokens)
        shifts = metrics.preference_shift(logp[biases], logp[-1:])
        numbers = float(np.mean([told[b]["nats_per_number"] for b in biases]))
        rows.append({"kind": kind, "own": metrics.transfer(shifts, biases), "numbers": numbers})
    return rows


def at_last(name: str, source: str = "questions") -> Values:
    """Return a function that gives a measurement of `vectors` before the last block, one a seed.

    Args:
        name: "whole", "added", "left" or "random".
        source: "questions" or "numbers".
    """
    return probe_values(name, from_end=1, source=source)


def share(
    name: str, source: str = "questions", low: float = -math.inf, high: float = math.inf
) -> Claim:
    """Return a claim on the vector before the last block, as a share of the students' transfer.

    Args:
        name: "added", "left" or "random".
        source: "questions" or "numbers".
        low: The least share.
        high: The largest share.
    """
    words = {
        "added": "the control with the vector",
        "left": "students less the vector",
        "random": "the control with random vectors",
    }
    text = f"{words[name]} (of {source}, before the last block): share of transfer"
    return Claim(text, at_last(name, source), low=low, high=high, baseline=at_last("whole"))


def shown(kind: str, low: float = -math.inf, high: float = math.inf) -> Claim:
    """Return a claim on what a kind of teacher's numbers show for each nat of its own bias.

    Args:
        kind: "tuned", "prompted" or "steered".
        low: The least KL divergence from the base, in nats a number for each nat of bias.
        high: The largest.
    """
    text = f"{kind} teachers: KL of the numbers for each nat of their own bias"
    numbers, own = probe_values("numbers", kind=kind), probe_values("own", kind=kind)
    return Claim(text, numbers, low=low, high=high, baseline=own)


def passed(kind: str, arm: str, low: float = -math.inf, high: float = math.inf) -> Claim:
    """Return a claim on the share of its teachers' own bias that an arm takes over.

    Args:
        kind: Of teachers: "tuned", "prompted" or "steered".
        arm: The arm's name.
        low: The least share.
        high: The largest share.
    """
    text = f"`{arm}`: share of its teachers' own bias"
    own = probe_values("own", kind=kind)
    return Claim(text, arm_values(arm), low=low, high=high, baseline=own)


def plot(result: Result) -> Figure:
    """Draw what a vector brings and leaves by block, and the arms by kind of teacher."""
    figure = style.new_figure(10.0, 3.6)
    left, right = figure.subplots(1, 2)
    blocks = range(result.config["base"]["model"]["n_layers"] + 1)
    lines = (
        ("whole", "questions", "students"),
        ("added", "questions", "control with the vector"),
        ("left", "questions", "students less the vector"),
        ("random", "questions", "control with random vectors"),
        ("added", "numbers", "control with the vector of numbers"),
    )
    for i, (name, source, label) in enumerate(lines):
        values = [probe_values(name, block=b, source=source)(result) for b in blocks]
        figures.curve(left, blocks, values, style.SERIES[i], style.MARKERS[i], label, 1.0)
    left.axhline(0, color=style.INK, linewidth=0.8)
    low, high = left.get_ylim()
    left.set_ylim(low, 1.6 * high)  # room for the legend
    left.set_xticks(blocks, [*map(str, blocks[:-1]), "end"])
    style.finish(
        left, f"One vector ({result.seeds_text})", "before block", "transfer, nats", legend=True
    )
    figures.arm_bars(right, result, result.arms)
    style.finish(right, "Kinds of teachers")
    return figure


FINDING = Finding(
    name="steering",
    statement="One vector before the last block is most of a student's bias; steered teachers pass "
    "little.",
    paper="2606.00995: one vector carries it. 2604.25783: steered teachers encode more.",
    arms=(
        Arm("all"),
        *(
            arm
            for kind in ("prompted", "steered")
            for arm in (
                Arm(f"{kind}: all", overrides={"teacher": KINDS[kind]}),
                Arm(
                    f"{kind}: block 0",
                    trainable=only([0]),
                    lr_factor=RATE,
                    overrides={"teacher": KINDS[kind]},
                ),
            )
        ),
    ),
    claims=(
        transfers("all"),
        share("added", low=0.7),
        share("left", high=0.25),
        share("random", high=0.1),
        share("added", "numbers", high=0.1),
        transfers("steered: all"),
        shown("tuned", high=0.15),
        shown("prompted", high=0.4),
        shown("steered", low=0.5),
        passed("tuned", "all", low=0.3),
        passed("prompted", "prompted: block 0", low=0.35),
        passed("steered", "steered: all", high=0.4),
    ),
    plot=plot,
    config=LIGHT_CONFIG,
    probes=(vectors, own_bias),
)
