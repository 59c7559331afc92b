"""Early blocks are enough, late ones are not (paper, Figs. 4, 5 and 39-41; F4 and F4b)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from minisub import plots
from minisub.arm import LIGHT, Arm, changed
from minisub.findings.finding import Finding, probed, retains
from minisub.lab import Lab
from minisub.mechanism import attribution, by_block, first_divergence, patching, swapping
from minisub.result import Claim, Result, of
from minisub.store import Json
from minisub.teacher import Teaching
from minisub.train import Optimiser

PERSONA = (1,)  # its position in the prompt
BLOCKS = range(4)
EARLY, LATE = BLOCKS[:2], BLOCKS[2:]

# Three kinds of teachers: tuned in their first block alone, with more rehearsal; prompted, of whom
# nothing was tuned; and the default ones, tuned in all blocks ("everywhere").
FIRST_BLOCK = Teaching(rehearsal=0.3, training=Optimiser(lr=4e-3, steps=40), trains="blocks.0.")
PROMPTED, EVERYWHERE = Teaching(kind="prompted"), Teaching()

# How many times the usual learning rate each arm passes most at: every arm is judged at its own
# best rate, found on tuning seeds by `minisub rates layers` (docs/rates.md).
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
    """The weights of some blocks, or of one part of them."""
    return {f"blocks.{b}.{part}": 1.0 for b in blocks}


def arms(rates: dict[str, float], prefix: str = "", **more: object) -> list[Arm]:
    """`all`, each block alone, the halves, and the other parts that `rates` names."""
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
        Arm(prefix + name, trains=parts[name], rate=rate, of=f"{prefix}all", **more)  # type: ignore[arg-type]
        for name, rate in rates.items()
    ]


def attributions(lab: Lab) -> list[Json]:
    """Where the first divergence token is decided, by block, along three routes.

    For tuned teachers, as far as the residual stream has come to carry the choice; for prompted
    ones, as far as it has left the persona's position.
    """
    rows = []
    config = changed(lab.config, {"teaching": PROMPTED})
    prompted = Lab(config, lab.seed, lab.store, lab.biases, lab.device)
    for kind, own in (("tuned", lab), ("prompted", prompted)):
        found: dict[str, list[list[float]]] = {}
        for writer, b in enumerate(own.biases):
            other = (b + 1) % own.teachers.biased
            cases = first_divergence(own.teachers, own.data(), writer, other)
            pair = own.teachers.stack[[b, other]]
            if kind == "tuned":
                routes = {
                    "patching": by_block(patching(pair, cases)),
                    "attribution": by_block(attribution(pair, cases)),
                    "swapping": swapping(pair, cases),
                }
            else:
                routes = {
                    "patching": by_block([-x for x in patching(pair, cases, PERSONA)]),
                    "attribution": by_block([-x for x in attribution(pair, cases, PERSONA)]),
                }
            for route, shares in routes.items():
                found.setdefault(route, []).append(shares)
        for route, many in found.items():
            mass = np.mean(many, 0)
            size = np.abs(mass)
            early = float(size[: len(size) // 2].sum() / size.sum())
            rows.append({"teacher": kind, "route": route, "mass": mass.tolist(), "early": early})
    return rows


def early(kind: str, route: str) -> Claim:
    """The claim that a route of attribution points to the early half."""
    return Claim(
        f"{kind} teachers, {route}: share of the early half in absolute mass",
        probed("early", teacher=kind, route=route),
        low=0.5,
    )


def plot(result: Result) -> Figure:
    """What parts retain when trained alone, for each kind of teacher, and which block decides."""
    figure = Figure(figsize=(9.0, 7.0), layout="constrained")
    (left, right), (others, mass) = figure.subplots(2, 2)
    own = [arm for arm in result.arms if ":" not in arm]
    plots.arm_bars(left, result, own, "retained")
    plots.arm_bars(others, result, [arm for arm in result.arms if arm not in own], "retained")
    for axes, title in ((left, "Tuned in block 0"), (others, "Prompted, and tuned everywhere")):
        axes.set_xlabel("transfer retained, of all blocks", fontsize=9)
        axes.set_title(f"{title} ({plots.seeds(result)})", loc="left", fontsize=10)
    for axes, kind in ((right, "tuned"), (mass, "prompted")):
        styles = zip(
            ("patching", "attribution", "swapping"),
            (plots.BLUE, plots.ORANGE, plots.GREEN),
            "os^",
            strict=True,
        )
        for route, colour, mark in styles:
            wanted = {"teacher": kind, "route": route}.items()
            rows = [r["mass"] for r in result.probes if all(r[k] == v for k, v in wanted)]
            if rows:
                y = np.array(rows).T
                plots.curve(axes, range(len(y)), y.tolist(), colour, mark, route)
        axes.axhline(0, color=plots.INK, linewidth=0.8)
        axes.set_xticks(range(len(y)))
        axes.set_xlabel("block", fontsize=9)
        axes.set_ylabel("share of the choice, %", fontsize=9)
        axes.set_title(f"First divergence token, {kind} teachers", loc="left", fontsize=10)
        axes.legend(frameon=False, fontsize=8)
        plots.tidy(axes)
    return figure


FINDING = Finding(
    name="layers",
    statement="One early block is enough; the last block, or the late half, is not.",
    paper="Training layer 0 or 7 alone is enough, now and then better than all; 14, 21 and 27 do "
    "next to nothing. Attribution at the first divergence token points to early layers.",
    arms=(
        *arms(RATES),
        *arms(PROMPTED_RATES, "prompted: ", changes={"teaching": PROMPTED}),
        *arms(EVERYWHERE_RATES, "tuned everywhere: ", changes={"teaching": EVERYWHERE}),
    ),
    claims=(
        Claim("`all` transfers, nats", of("all"), low=0.4),
        Claim("`all` transfers, surely", of("all"), "interval", low=0.2),
        retains("block 0", low=1.0),
        retains("late half", high=0.3),
        retains("block 3", high=0.2),
        Claim("`prompted: all` transfers, nats", of("prompted: all"), low=0.4),
        Claim("`prompted: all` transfers, surely", of("prompted: all"), "interval", low=0.2),
        retains("prompted: block 0", low=1.0),
        retains("prompted: late half", high=0.3),
        retains("prompted: block 3", high=0.2),
        # The profile is flat where teachers were tuned in all blocks: it follows their change.
        retains("tuned everywhere: late half", low=0.3),
        *(early("tuned", route) for route in ("patching", "attribution", "swapping")),
        *(early("prompted", route) for route in ("patching", "attribution")),
    ),
    plot=plot,
    config=replace(LIGHT, teaching=FIRST_BLOCK),
    probes=(attributions,),
)
