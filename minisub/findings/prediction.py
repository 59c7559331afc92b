"""What a student will take over can be told before it is trained (Cloud et al., Theorem 1)."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from minisub import divergence as masks
from minisub import plots, stats
from minisub.arm import LIGHT, Arm
from minisub.edits import mixed, other_wording, replaced, shuffle_within
from minisub.findings.finding import Finding
from minisub.findings.layers import EARLY, EVERYWHERE_RATES, LATE, only
from minisub.result import Claim, Result


def predicted(measure: str) -> Callable[[Result], list[float]]:
    """Rank correlation of a forecast with the transfer, over arms; jackknife over seeds."""

    def values(result: Result) -> list[float]:
        def statistic(at: Sequence[int]) -> float:
            x, y = (
                [float(np.mean(np.array(result.values(a, m))[list(at)])) for a in result.arms]
                for m in (measure, "transfer")
            )
            return stats.rank_correlation(x, y)

        return stats.jackknife(statistic, len(result.seeds))

    return values


def plot(result: Result) -> Figure:
    """What the first step foretells against what was retained."""
    figure = Figure(figsize=(9.0, 3.8), layout="constrained")
    words = {
        "inner": "teacher's displacement times first step, nats",
        "coverage": "cosine of the two, where the student trains",
    }
    for axes, (measure, label) in zip(figure.subplots(1, 2), words.items(), strict=True):
        if measure == "inner":
            axes.set_xscale("symlog", linthresh=0.01)
        means = [
            (
                arm,
                float(np.mean(result.values(arm, measure))),
                float(np.mean(result.values(arm, "transfer"))),
            )
            for arm in result.arms
        ]
        plots.scatter(axes, means)
        rank = float(np.mean(predicted(measure)(result)))
        axes.set_title(
            f"Rank correlation {rank:.2f} ({plots.seeds(result)})", loc="left", fontsize=10
        )
        axes.set_xlabel(label, fontsize=9)
        axes.set_ylabel("transfer, nats", fontsize=9)
        plots.tidy(axes)
    return figure


def everywhere(results: Sequence[Result]) -> tuple[Figure, str]:
    """Forecast against outcome for every arm of every finding, and the figure's sentence."""
    points: dict[str, list[tuple[str, Result]]] = {}
    met = set()
    for result in results:
        for arm in result.arms:
            known = all(np.isfinite(result.values(arm, "inner")))
            same = (*result.values(arm, "inner"), *result.values(arm, "transfer"))
            if known and arm != "control" and same not in met:  # findings share some arms
                met.add(same)
                points.setdefault(result.finding, []).append((arm, result))
    every = [p for many in points.values() for p in many]

    def at(seeds: Sequence[int], measure: str) -> list[float]:
        return [float(np.mean(np.array(r.values(a, measure))[list(seeds)])) for a, r in every]

    seeds = range(len(results[0].seeds))
    values = stats.jackknife(
        lambda s: stats.rank_correlation(at(s, "inner"), at(s, "transfer")), len(seeds)
    )
    low, high = stats.interval(values)
    told = (
        f"{len(every)} arms: the inner product of the teacher's displacement and the student's "
        f"first step ranks them by transfer with a correlation of {np.mean(values):.2f} "
        f"[{low:.2f}, {high:.2f}] (Spearman; jackknife over {len(seeds)} seeds). Prompted teachers "
        "have no displacement and are not among them."
    )
    figure = Figure(figsize=(7.0, 4.0), layout="constrained")
    axes = figure.subplots()
    for i, (name, many) in enumerate(points.items()):
        x, y = ([float(np.mean(r.values(a, m))) for a, r in many] for m in ("inner", "transfer"))
        axes.plot(x, y, "os^Dvph*X"[i % 9], color=plots.SERIES[i % 8], label=name, alpha=0.8)
    axes.set_xscale("symlog", linthresh=1e-4)
    axes.set_xlabel("teacher's displacement times first step, nats", fontsize=9)
    axes.set_ylabel("transfer, nats", fontsize=9)
    axes.legend(frameon=False, fontsize=8)
    plots.tidy(axes)
    return figure, told


FINDING = Finding(
    name="prediction",
    statement="Before training, the first step along the teacher's change tells what will pass.",
    paper="Cloud et al.: one small step on the teacher's outputs cannot raise the student's loss "
    "on the teacher's objective. A follow-up (2606.22019) proposes coverage, the cosine.",
    arms=(
        Arm("all"),
        Arm("sampled", decoding="sampled"),
        Arm("soft", decoding="soft"),
        Arm("foreign", foreign=True),
        Arm("divergence only", mask=masks.divergence_only),
        Arm("without divergence", mask=masks.without_divergence),
        Arm("random only", mask=masks.random_only),
        Arm("without random", mask=masks.without_random),
        *(
            Arm(name, trains=only(blocks), rate=EVERYWHERE_RATES[name])
            for name, blocks in (
                ("block 0", [0]),
                ("block 3", [3]),
                ("early half", EARLY),
                ("late half", LATE),
            )
        ),
        Arm("paraphrase", edit=other_wording),
        Arm("shuffle within", edit=shuffle_within),
        Arm("replaced label", edit=partial(replaced, where="label")),
        Arm("mix 25%", edit=partial(mixed, share=0.25, source="same prompts")),
        Arm("mix 75%", edit=partial(mixed, share=0.75, source="same prompts")),
        Arm("mix 50%, foreign base", edit=partial(mixed, share=0.5, source="foreign base")),
    ),
    claims=(
        Claim("forecast by the inner product: rank correlation", predicted("inner"), low=0.7),
        Claim("forecast by coverage: rank correlation", predicted("coverage"), low=0.5),
    ),
    plot=plot,
    config=LIGHT,
)
