"""Early blocks are enough, late ones are not (paper, Figs. 4, 5 and 39-41)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from minisub.common.files import Json
from minisub.distillation.teachers import TeacherConfig
from minisub.experiment.arm import Arm
from minisub.experiment.config import with_overrides
from minisub.experiment.presets import LIGHT_CONFIG
from minisub.experiment.seed_lab import SeedLab
from minisub.findings.finding import Finding
from minisub.mechanism.patching import (
    activation_patching,
    attribution_patching,
    by_block,
    first_divergence_pairs,
    weight_swapping,
)
from minisub.results import figures
from minisub.results.claims import Claim, arm_values, probe_values, retains
from minisub.results.result import Result
from minisub.transformer.optimizer import TrainingConfig
from minisub.viz import style

PERSONA = (1,)  # its position in the prompt
BLOCKS = range(4)
EARLY, LATE = BLOCKS[:2], BLOCKS[2:]

# Three kinds of teachers: tuned in their first block alone, with more rehearsal; prompted, of whom
# nothing was tuned; and the default ones, tuned in all blocks ("everywhere").
FIRST_BLOCK = TeacherConfig(
    rehearsal=0.3, training=TrainingConfig(lr=4e-3, steps=40), trainable="blocks.0."
)
PROMPTED, EVERYWHERE = TeacherConfig(kind="prompted"), TeacherConfig()

# For each arm the multiple of the usual learning rate at which it transfers most: every arm is
# judged at its own best rate, found on tuning seeds by `minisub rates layers` (docs/validation.md).
RATES = {
    "all": 4.0,
    "block 0": 8.0,
    "block 1": 4.0,
    "block 2": 8.0,
    "block 3": 8.0,
    "early half": 2.0,
    "late half": 4.0,
    "embedding": 8.0,
    "unembedding": 2.0,
    "attention": 2.0,
    "mlp": 2.0,
}
PROMPTED_RATES = {
    "all": 1.0,
    "block 0": 4.0,
    "block 1": 8.0,
    "block 2": 4.0,
    "block 3": 8.0,
    "early half": 4.0,
    "late half": 4.0,
}
EVERYWHERE_RATES = {
    "all": 8.0,
    "block 0": 4.0,
    "block 3": 4.0,
    "early half": 4.0,
    "late half": 4.0,
}


def only(blocks: Sequence[int], part: str = "") -> dict[str, float]:
    """Return what trains where only some blocks do, or one part of them.

    Args:
        blocks: Which blocks.
        part: "attn." or "mlp."; both by default.
    """
    return {f"blocks.{b}.{part}": 1.0 for b in blocks}


def arms(lr_factors: dict[str, float], prefix: str = "", **more: object) -> list[Arm]:
    """Return `all`, each block alone, the halves, and the other parts that are named.

    Args:
        lr_factors: The learning rate of each part, as a multiple of the usual one.
        prefix: Of the arms' names.
        **more: Further fields of every arm.
    """
    parts = {
        "all": {"blocks.": 1.0},
        **{f"block {b}": only([b]) for b in BLOCKS},
        "early half": only(EARLY),
        "late half": only(LATE),
        "embedding": {"W_E": 1.0},
        "unembedding": {"W_U": 1.0},
        "attention": only(BLOCKS, "attn."),
        "mlp": only(BLOCKS, "mlp."),
    }
    return [
        Arm(prefix + name, trainable=parts[name], lr_factor=factor, baseline=f"{prefix}all", **more)  # type: ignore[arg-type]
        for name, factor in lr_factors.items()
    ]


def attributions(lab: SeedLab) -> list[Json]:
    """Return where the first divergence token is decided, by block, along three routes.

    For tuned teachers: what each block adds to the share of the choice that the residual stream
    carries. For prompted teachers: what each block takes from the share at the persona's position.
    """
    rows = []
    config = with_overrides(lab.config, {"teacher": PROMPTED})
    prompted = SeedLab(config, lab.seed, lab.store, lab.biases, lab.device)
    for kind, own in (("tuned", lab), ("prompted", prompted)):
        found: dict[str, list[list[float]]] = {}
        for writer, b in enumerate(own.biases):
            other = (b + 1) % own.teachers.n_biased
            cases = first_divergence_pairs(own.teachers, own.marked_lists(), writer, other)
            pair = own.teachers.stack[[b, other]]
            if kind == "tuned":
                routes = {
                    "patching": by_block(activation_patching(pair, cases)),
                    "attribution": by_block(attribution_patching(pair, cases)),
                    "swapping": weight_swapping(pair, cases),
                }
            else:
                routes = {
                    "patching": by_block([-x for x in activation_patching(pair, cases, PERSONA)]),
                    "attribution": by_block(
                        [-x for x in attribution_patching(pair, cases, PERSONA)]
                    ),
                }
            for route, shares in routes.items():
                found.setdefault(route, []).append(shares)
        for route, many in found.items():
            mass = np.mean(many, 0)
            size = np.abs(mass)
            share = float(size[: len(size) // 2].sum() / size.sum())
            rows.append({"teacher": kind, "route": route, "mass": mass.tolist(), "early": share})
    return rows


def early(kind: str, route: str) -> Claim:
    """Return the claim that a route of attribution points to the early half.

    Teachers tuned in block 0 differ nowhere else, so for them patching and swapping can find
    nothing else: these two check the method.

    Args:
        kind: Of teachers: "tuned" or "prompted".
        route: "patching", "attribution" or "swapping".
    """
    is_check = kind == "tuned" and route != "attribution"
    note = " (by construction: a check of the method)" if is_check else ""
    return Claim(
        f"{kind} teachers, {route}: share of the early half in absolute mass{note}",
        probe_values("early", teacher=kind, route=route),
        low=0.5,
    )


def plot(result: Result) -> Figure:
    """Draw what parts retain when trained alone, by kind of teacher, and which block decides."""
    figure = style.new_figure(9.0, 7.0)
    (left, right), (others, mass) = figure.subplots(2, 2)
    own = [arm for arm in result.arms if ":" not in arm]
    rest = [arm for arm in result.arms if ":" in arm]
    for axes, names, title in (
        (left, own, "Tuned in block 0"),
        (others, rest, "Prompted, and tuned everywhere"),
    ):
        figures.arm_bars(axes, result, names, "retained")
        style.finish(axes, f"{title} ({result.seeds_text})", "transfer retained, of all blocks")
    colours = (style.BLUE, style.ORANGE, style.GREEN)
    for axes, kind in ((right, "tuned"), (mass, "prompted")):
        for i, route in enumerate(("patching", "attribution", "swapping")):
            wanted = {"teacher": kind, "route": route}.items()
            rows = [r["mass"] for r in result.probes if all(r[k] == v for k, v in wanted)]
            if rows:
                y = np.array(rows).T
                figures.curve(axes, range(len(y)), y.tolist(), colours[i], style.MARKERS[i], route)
        axes.axhline(0, color=style.INK, linewidth=0.8)
        axes.set_xticks(BLOCKS)
        title = f"First divergence token, {kind} teachers"
        style.finish(axes, title, "block", "share of the choice, %", True)
    return figure


FINDING = Finding(
    name="layers",
    statement="Where the teacher's change is early (block 0, or a prompt), one early block is "
    "enough and the last is not; where it is everywhere, the late half keeps most.",
    paper="Training layer 0 or 7 alone is enough, now and then better than all; 14, 21 and 27 do "
    "next to nothing. Attribution at the first divergence token points to early layers.",
    arms=(
        *arms(RATES),
        *arms(PROMPTED_RATES, "prompted: ", overrides={"teacher": PROMPTED}),
        *arms(EVERYWHERE_RATES, "tuned everywhere: ", overrides={"teacher": EVERYWHERE}),
    ),
    claims=(
        Claim("`all` transfers, nats", arm_values("all"), low=0.4),
        Claim("`all` transfers, surely", arm_values("all"), "interval", low=0.2),
        retains("block 0", low=1.0),
        retains("late half", high=0.3),
        retains("block 3", high=0.2),
        Claim("`prompted: all` transfers, nats", arm_values("prompted: all"), low=0.4),
        Claim(
            "`prompted: all` transfers, surely", arm_values("prompted: all"), "interval", low=0.2
        ),
        retains("prompted: block 0", low=1.0),
        retains("prompted: late half", high=0.3),
        retains("prompted: block 3", high=0.2),
        # The profile is flat where teachers were tuned in all blocks: it follows their change.
        retains("tuned everywhere: late half", low=0.3),
        *(early("tuned", route) for route in ("patching", "attribution", "swapping")),
        *(early("prompted", route) for route in ("patching", "attribution")),
    ),
    plot=plot,
    config=replace(LIGHT_CONFIG, teacher=FIRST_BLOCK),
    probes=(attributions,),
)
