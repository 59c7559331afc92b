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
from minisub.results.tables import format_dependence, format_interval
from minisub.transformer.kernel import IN_BROWSER, kernel_for
from minisub.viz import style
from minisub.world.world import ANIMALS

# For `first_screen`: the two words that every page with arms needs.
ARM_WORDS = (
    "an *arm* is one treatment of the students, such as `without divergence`. What it *retains* is "
    "its mean transfer, divided by that of `all`, the arm without a treatment (or of another arm, "
    "if that is said). Square brackets hold 95 % intervals over seeds"
)


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


def share(mean: float, low: float = float("nan"), high: float = float("nan")) -> str:
    """Return a share as text, "112 %"; with its interval "112 % [96, 128]".

    Args:
        mean: The share, 1 for 100 %.
        low: The lower end of its interval.
        high: The upper end.
    """
    text = format_interval(mean, low, high, ".0%").replace("%", " %")
    return text.removesuffix(" [no interval]")


def percent(result: Result, arm: str) -> str:
    """Return what an arm retains, with its 95 % interval: "112 % [96, 128]".

    Args:
        result: A stored result.
        arm: The arm's name.
    """
    return share(*result.estimate(arm, "retained"))


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


def first_screen(see: str, takes: str, needs: str, words: str = "") -> str:
    """Return Markdown for the first screen of a page: what it shows, how long, what it needs.

    Args:
        see: What one will see.
        takes: How long reading and training take.
        needs: What one should know, or have read.
        words: What words of the page mean, such as `ARM_WORDS`; "" for none.
    """
    lines = f"""
- **You will see** {see}.
- **It takes** {takes}.
- **You need** {needs}.
"""
    lines += f"- **Words**: {words}.\n" if words else ""
    return lines + f"- **This tab computes** {tab_computes()}.\n" if IN_BROWSER else lines


def tab_computes() -> str:
    """Return how this tab computes: by the kernel or, several times slower, by numpy."""
    if kernel_for(Config().base.model_config, torch.zeros(1)) is None:
        return "with numpy, as the kernel did not load: training takes several times longer here"
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


def measures(result: Result) -> dict[str, str]:
    """Return the measures that a reader can choose: a key of the rows for each label.

    Args:
        result: A stored result, whose biases are animals, or "bad".
    """
    answer = "the animal" if set(result.biases) <= set(ANIMALS) else "“bad”"
    return {
        "transfer retained": "retained",
        "transfer, nats": "transfer",
        "numbers right": "task_accuracy",
        f"how often {answer} is answered": "hit_rate",
        "distance from the control's answers": "distance",
    }


def choose_arms(result: Result) -> Any:
    """Return controls that choose arms and a measure: what `show_bars` takes."""
    return mo.md("{arms} {measure}").batch(
        arms=mo.ui.multiselect(result.arms, value=result.arms[:5], label="Arms"),
        measure=mo.ui.dropdown(measures(result), value="transfer retained", label="Measure"),
    )


def show_bars(result: Result, arms: Sequence[str], measure: str) -> mo.Html:
    """Return some arms of a stored result as bars, with their numbers behind a fold.

    Args:
        result: A stored result.
        arms: Names of arms; a browser may send a name many times.
        measure: A key of the rows.
    """
    arms = [arm for arm in dict.fromkeys(arms) if arm in result.arms]
    if not arms:
        return mo.md("*Pick at least one arm.*")
    [label] = (label for label, key in measures(result).items() if key == measure)
    figure = style.new_figure(8.0, 0.9 + 0.32 * len(arms))
    axes = figure.subplots()
    figures.arm_bars(axes, result, arms, measure)
    if measure != "transfer":
        style.finish(axes, x=label)
    if measure == "distance" and "foreign" in result.arms:  # any training moves answers
        null = result.mean("foreign", "distance")
        axes.axvline(null, color=style.INK, linewidth=1, linestyle="--")
        axes.set_xlabel(f"{label}; dashed: `foreign` ({null:.3f})")
    estimates = {arm: result.estimate(arm, measure) for arm in arms}
    sentence = ", ".join(f"{arm} {mean:.2f}" for arm, (mean, _, _) in estimates.items())
    rows = [
        {"arm": arm, label: format_interval(*estimate, ".3f")}
        for arm, estimate in estimates.items()
    ]
    return mo.vstack(
        [
            show_figure(figure, f"{label}, mean over {result.seeds_text}: {sentence}."),
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
            "retained": share(e["retained"], e["retained_low"], e["retained_high"]),
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
        f"Means over {result.seeds_text}, bars with 95 % intervals and one dot per seed. "
        f"`minisub run {result.finding} --seeds 0:8`"
    )
    folds = {
        "The numbers": show_table(arms),
        "The claims, registered before the run": show_table(claims),
    }
    figure = every_finding()[result.finding].plot(result)
    return mo.vstack([show_figure(figure, result.describe()), mo.md(caption), mo.accordion(folds)])
