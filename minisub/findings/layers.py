"""Early blocks are enough, late ones are not (paper, Figs. 4, 5 and 39-41; F4 and F4b)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from minisub import plots
from minisub.arm import LIGHT, Arm, changed
from minisub.base import SETS
from minisub.findings.finding import Finding, probed, retains
from minisub.lab import Lab
from minisub.mechanism import attribution, by_block, first_divergence, patching, swapping
from minisub.result import Claim, Result
from minisub.store import Json
from minisub.teacher import Teaching

PROMPTED = Teaching(kind="prompted", strength=0.6)
TUNED = Teaching(rehearsal=0.02)  # lightly: much rehearsal flattens the profile
PERSONA = (1,)  # its position in the prompt
DEEP = {"pretraining": SETS["depth-8"], "teaching": TUNED}


def only(blocks: Sequence[int], rate: float, part: str = "") -> dict[str, float]:
    """Which weights move: those of some blocks, at a rate of their own."""
    return {f"blocks.{b}.{part}": rate for b in blocks}


def arms(depth: int, prefix: str, rates: dict[str, float], **more: object) -> list[Arm]:
    """`all`, each block alone, and the halves; learning rates as tuned on seeds 100 and up."""
    half, every = depth // 2, range(depth)
    trained = {f"block {b}": [b] for b in every}
    trained |= {"early half": list(range(half)), "late half": list(range(half, depth))}
    of = f"{prefix}all"
    return [
        Arm(of, trains=only(every, rates["all"]), of=of, **more),  # type: ignore[arg-type]
        *(
            Arm(
                prefix + name,
                trains=only(blocks, rates.get(name, rates["one"])),
                of=of,
                **more,  # type: ignore[arg-type]
            )
            for name, blocks in trained.items()
        ),
    ]


def attributions(lab: Lab) -> list[Json]:
    """Where the first divergence token is decided, by block, along three routes.

    For tuned teachers, as far as the residual stream has come to carry the choice; for prompted
    ones, as far as it has left the persona's position.
    """
    rows = []
    tuned = Lab(changed(lab.config, {"teaching": TUNED}), lab.seed, lab.store, None, lab.device)
    for kind, own in (("tuned", tuned), ("prompted", lab)):
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
    """What parts retain when trained alone, at both depths, and which block decides."""
    figure = Figure(figsize=(9.0, 6.0), layout="constrained")
    (left, right), (deep, mass) = figure.subplots(2, 2)
    shallow = [a for a in result.arms if ":" not in a]
    plots.arm_bars(left, result, shallow, "retained")
    plots.arm_bars(deep, result, [a for a in result.arms if a not in shallow], "retained")
    for axes, title in ((left, "Depth 4: what each part retains"), (deep, "Depth 8")):
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


RATES = {"all": 1.0, "one": 2.0, "late half": 1.0, "early half": 1.0}
FINDING = Finding(
    name="layers",
    statement="One early block is enough; the last block, or the late half, is not.",
    paper="Training layer 0 or 7 alone is enough, now and then better than all; 14, 21 and 27 do "
    "next to nothing. Attribution at the first divergence token points to early layers.",
    arms=(
        *arms(4, "", RATES),
        Arm("embedding", trains={"W_E": 1.0}),
        Arm("unembedding", trains={"W_U": 1.0}),
        Arm("attention", trains=only(range(4), 1.0, "attn.")),
        Arm("mlp", trains=only(range(4), 1.0, "mlp.")),
        *arms(8, "depth 8: ", RATES, changes=DEEP),
    ),
    claims=(
        retains("block 0", whose="prompted teachers: ", low=0.9),
        retains("block 3", whose="prompted teachers: ", high=0.15),
        retains("late half", whose="prompted teachers: ", high=0.3),
        retains("depth 8: block 0", whose="tuned teachers: ", low=0.9),
        retains("depth 8: block 7", whose="tuned teachers: ", high=0.15),
        retains("depth 8: late half", whose="tuned teachers: ", high=0.3),
        *(early("tuned", route) for route in ("patching", "attribution", "swapping")),
        *(early("prompted", route) for route in ("patching", "attribution")),
    ),
    plot=plot,
    config=replace(LIGHT, teaching=PROMPTED),
    probes=(attributions,),
)
