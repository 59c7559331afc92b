"""Stored results on a page: figures, tables, controls that choose arms."""

import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from typing import Any

import marimo as mo
import numpy as np
import torch
from matplotlib.figure import Figure

from minisub.common.provenance import PACKAGE
from minisub.experiment.config import Config
from minisub.findings import every_finding
from minisub.findings.prediction import predicted
from minisub.results import figures
from minisub.results.result import Result, read_result
from minisub.results.tables import format_dependence
from minisub.transformer.kernel import IN_BROWSER, kernel_for
from minisub.viz import style


def load_result(name: str) -> Result:
    """Return the result of a finding that comes with the package, seeds 0 to 7."""
    return read_result(PACKAGE / "bundled" / f"{name}.json")


def mean_retained(result: Result, arm: str) -> float:
    """Return what an arm retains, a ratio of means over seeds.

    Args:
        result: A stored result.
        arm: The arm's name.
    """
    return result.estimate(arm, "retained")[0]


def correlation(result: Result, measure: str = "inner") -> float:
    """Return the rank correlation over arms of a forecast with the transfer.

    Args:
        result: Of the finding `prediction`.
        measure: "inner" or "coverage".
    """
    return float(np.mean(predicted(measure)(result)))


def show_figure(figure: Figure, alt: str, dpi: int = 150) -> mo.Html:
    """Return a figure with its finding in a sentence for those who cannot see it.

    On a narrow screen it scrolls sideways rather than shrink until it cannot be read.

    Args:
        figure: The figure.
        alt: The sentence.
        dpi: Dots per inch.
    """
    content, readable = style.to_bytes(figure, dpi=dpi), {"min-width": "36rem"}
    return mo.image(content, alt=alt, width="100%", style=readable).style({"overflow-x": "auto"})


def show_source(*functions: Callable[..., Any]) -> mo.Html:
    """Return the source of functions, so that it can be read where a page hides its code."""
    code = "\n\n".join(inspect.getsource(function).rstrip() for function in functions)
    return mo.md(f"```python\n{code}\n```")


def show_arms(finding: str, *names: str) -> mo.Html:
    """Return arms of a finding as the code that makes them, without what is as by default.

    Args:
        finding: Its name.
        *names: Of arms.
    """
    lines = []
    for arm in (a for a in every_finding()[finding].arms if a.name in names):
        given = []
        for field in fields(arm):
            value = getattr(arm, field.name)
            default = field.default
            if field.default_factory is not MISSING:
                default = field.default_factory()
            if field.name != "name" and value != default:
                text = getattr(value, "__name__", None) or repr(value)
                given.append(f", {field.name}={text}")
        lines.append(f"Arm({json.dumps(arm.name)}{''.join(given)})")
    return mo.md("```python\n" + "\n".join(lines) + "\n```")


def first_screen(see: str, takes: str, needs: str) -> str:
    """Return Markdown for the first screen of a page: what it shows, how long, what it needs.

    Args:
        see: What one will see.
        takes: How long reading and training take.
        needs: What one should know, or have read.
    """
    lines = f"""
- **You will see** {see}.
- **It takes** {takes}.
- **You need** {needs}.
"""
    return lines + f"- **This tab computes** {tab_computes()}.\n" if IN_BROWSER else lines


def tab_computes() -> str:
    """Return how this tab computes: by the kernel or, some times slower, by numpy."""
    if kernel_for(Config().base.model_config, torch.zeros(1)) is None:
        return "with numpy, as the kernel did not load: training takes some times longer here"
    return "with minisub's kernel, compiled to WebAssembly"


def show_table(rows: Sequence[dict[str, Any]], label: str = "") -> Any:
    """Return rows as a table that can be searched, if they are many.

    Args:
        rows: By column.
        label: Above it.
    """
    is_long = len(rows) > 3
    names: list[str] = ["claim", "arm", "here"]
    content: Any = list(rows)
    return mo.ui.table(
        content,
        selection=None,
        show_column_summaries=False,
        show_search=is_long,
        show_download=is_long,
        page_size=25,
        wrapped_columns=[name for name in names if rows and name in rows[0]],
        label=label,
    )


def choose_arms(result: Result) -> Any:
    """Return controls that choose arms and a measure: what `show_bars` takes."""
    measures = ["retained", "transfer", "task_accuracy", "hit_rate", "distance"]
    return mo.md("{arms} {measure}").batch(
        arms=mo.ui.multiselect(result.arms, value=result.arms[:5], label="Arms"),
        measure=mo.ui.dropdown(measures, value="retained", label="Measure"),
    )


def show_bars(result: Result, arms: Sequence[str], measure: str) -> mo.Html:
    """Return some arms of a stored result as bars, with their numbers behind a fold.

    Args:
        result: A stored result.
        arms: Names of arms.
        measure: A key of the rows.
    """
    if not arms:
        return mo.md("*Pick at least one arm.*")
    figure = style.new_figure(8.0, 0.9 + 0.32 * len(arms))
    axes = figure.subplots()
    figures.arm_bars(axes, result, arms, measure)
    if measure != "transfer":
        style.finish(axes, x=measure.replace("_", " ") + ", share")
    if measure == "distance" and "foreign" in result.arms:  # any training moves answers
        null = result.mean("foreign", "distance")
        axes.axvline(null, color=style.INK, linewidth=1, linestyle="--")
        axes.set_xlabel(f"distance from the control's answers; dashed: `foreign` ({null:.3f})")
    means = {arm: result.mean(arm, measure) for arm in arms}
    sentence = ", ".join(f"{arm} {mean:.2f}" for arm, mean in means.items())
    rows = [{"arm": arm, measure: round(mean, 3)} for arm, mean in means.items()]
    return mo.vstack(
        [
            show_figure(figure, f"{measure}, mean over {result.n_seeds}: {sentence}."),
            mo.accordion({"The numbers": show_table(rows)}),
        ]
    )


def show_result(result: Result) -> mo.Html:
    """Return a finding's figure, the command that made it, its numbers and its claims."""
    arms = [
        {
            "arm": e["arm"],
            "transfer, nats": round(e["transfer"], 2),
            "95 %": f"{e['low']:.2f} to {e['high']:.2f}",
            "retained": f"{e['retained']:.0%}",
            "task accuracy": round(e["task_accuracy"], 3),
        }
        for e in result.summary()
    ]
    claims = [
        {
            "claim": c["claim"].replace("`", ""),
            "measured": round(c["value"], 3),
            "95 %": f"{c['low']:.2f} to {c['high']:.2f}" if c["low"] is not None else "",
            "threshold": c["rule"],
            "rests on": format_dependence(c["rests_on"]),
            "verdict": c["verdict"],
        }
        for c in result.claims
    ]
    caption = (
        f"Means over {result.n_seeds}, bars with 95 % intervals and one dot per seed. "
        f"`minisub run {result.finding} --seeds 0:8`"
    )
    folds = {
        "The numbers": show_table(arms),
        "The claims, registered before the run": show_table(claims),
    }
    figure = every_finding()[result.finding].plot(result)
    return mo.vstack(
        [show_figure(figure, figures.describe(result)), mo.md(caption), mo.accordion(folds)]
    )
