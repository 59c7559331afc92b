"""What passes to a student can be predicted before it is trained (Cloud et al., Theorem 1)."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from minisub.distillation import masks
from minisub.distillation.edits import (
    mix_other_base,
    mix_unbiased,
    other_wording,
    replace_divergence_tokens,
    shuffle_within,
)
from minisub.experiment.arm import Arm
from minisub.experiment.presets import LIGHT_CONFIG
from minisub.findings.finding import Finding
from minisub.findings.layers import EARLY, EVERYWHERE_RATES, LATE, only
from minisub.results import statistics
from minisub.results.claims import Claim
from minisub.results.result import Result
from minisub.results.tables import format_interval, format_number
from minisub.viz import charts, style


def predicted(measure: str) -> Callable[[Result], list[float]]:
    """Return the rank correlation of a forecast with the transfer, over arms.

    One value per seed, by the jackknife.
    """

    def values(result: Result) -> list[float]:
        def statistic(seeds: Sequence[int]) -> float:
            x, y = (
                [result.mean(arm, m, seeds) for arm in result.arms] for m in (measure, "transfer")
            )
            return statistics.rank_correlation(x, y)

        return statistics.jackknife(statistic, len(result.seeds))

    return values


def plot(result: Result) -> Figure:
    """Draw what the first step foretells against what passed."""
    figure = style.new_figure(9.0, 3.8)
    words = {
        "inner": "teacher's displacement times first step, nats",
        "coverage": "cosine of the two, where the student trains",
    }
    for axes, (measure, label) in zip(figure.subplots(1, 2), words.items(), strict=True):
        if measure == "inner":
            axes.set_xscale("symlog", linthresh=0.01)
        charts.named_points(
            axes, [(arm, result.mean(arm, measure), result.mean(arm)) for arm in result.arms]
        )
        rank = float(np.mean(predicted(measure)(result)))
        title = f"Rank correlation {format_number(rank)} ({result.seeds_text})"
        style.finish(axes, title, label, "transfer, nats")
    return figure


def all_findings(results: Sequence[Result]) -> tuple[Figure, str]:
    """Draw forecast against outcome for every arm of every finding; return it with its sentence."""
    points: dict[str, list[tuple[str, Result]]] = {}
    met = set()
    for result in results:
        for arm in result.arms:
            is_known = all(np.isfinite(result.values(arm, "inner")))
            same = (*result.values(arm, "inner"), *result.values(arm, "transfer"))
            if is_known and arm != "control" and same not in met:  # findings share some arms
                met.add(same)
                points.setdefault(result.finding, []).append((arm, result))
    every = [p for many in points.values() for p in many]

    def statistic(seeds: Sequence[int]) -> float:
        x, y = ([r.mean(arm, m, seeds) for arm, r in every] for m in ("inner", "transfer"))
        return statistics.rank_correlation(x, y)

    values = statistics.jackknife(statistic, len(results[0].seeds))
    correlation = format_interval(*statistics.estimate(values), ".2f")
    sentence = (
        f"{len(every)} arms: the inner product of the teacher's displacement and the student's "
        f"first step ranks them by transfer with a correlation of {correlation} "
        f"(Spearman; jackknife over {results[0].seeds_text}). Prompted "
        "teachers have no displacement and are not among them."
    )
    figure = style.new_figure(7.0, 4.0)
    axes = figure.subplots()
    for i, (name, many) in enumerate(points.items()):
        x, y = ([r.mean(arm, m) for arm, r in many] for m in ("inner", "transfer"))
        marker, colour = style.MARKERS[i % len(style.MARKERS)], style.SERIES[i % 8]
        axes.plot(x, y, marker, color=colour, label=name, alpha=0.8)
    axes.set_xscale("symlog", linthresh=1e-4)
    style.finish(axes, "", "teacher's displacement times first step, nats", "transfer, nats", True)
    return figure, sentence


FINDING = Finding(
    name="prediction",
    statement="Before training, the first step along the teacher's change ranks the arms by what "
    "will pass.",
    paper="Cloud et al.: one small step on the teacher's outputs cannot raise the student's loss "
    "on the teacher's objective. A follow-up (2606.22019) proposes coverage, the cosine.",
    arms=(
        Arm("all"),
        Arm("sampled", decoding="sampled"),
        Arm("soft", decoding="soft"),
        Arm("foreign", other_base=True),
        Arm("divergence only", mask=masks.divergence_only),
        Arm("without divergence", mask=masks.without_divergence),
        Arm("random only", mask=masks.random_only),
        Arm("without random", mask=masks.without_random),
        *(
            Arm(name, trainable=only(blocks), lr_factor=EVERYWHERE_RATES[name])
            for name, blocks in (
                ("block 0", [0]),
                ("block 3", [3]),
                ("early half", EARLY),
                ("late half", LATE),
            )
        ),
        Arm("paraphrase", edit=other_wording),
        Arm("shuffle within", edit=shuffle_within),
        Arm("replaced label", edit=partial(replace_divergence_tokens, where="label")),
        Arm("mix 25%", edit=partial(mix_unbiased, share=0.25)),
        Arm("mix 75%", edit=partial(mix_unbiased, share=0.75)),
        Arm("mix 50%, foreign base", edit=partial(mix_other_base, share=0.5)),
    ),
    claims=(
        Claim("forecast by the inner product: rank correlation", predicted("inner"), low=0.7),
        Claim("forecast by coverage: rank correlation", predicted("coverage"), low=0.5),
    ),
    plot=plot,
    config=LIGHT_CONFIG,
)
