"""Results as text: arms, teachers, claims. Needs no torch."""

import math
from collections.abc import Sequence

import numpy as np

from minisub.result import Result


def grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of text; all but the first are flush right."""
    widths = [max(len(r[i]) for r in (head, *rows)) for i in range(len(head))]
    lines = [
        "  ".join(
            [r[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(r[1:], widths[1:], strict=True))]
        )
        for r in (head, *rows)
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def span(mean: float | None, low: float | None, high: float | None, form: str = "+.2f") -> str:
    """A mean with its interval, as far as they are known."""
    if mean is None or math.isnan(mean):
        return "unknown"
    text = format(mean, form)
    if low is None or high is None or math.isnan(low):
        return f"{text} [no interval]"
    return f"{text} [{low:{form}}, {high:{form}}]"


def told(rests_on: Sequence[str] | None) -> str:
    """What a verdict rests on; n/a where that was not asked."""
    return "n/a" if rests_on is None else ", ".join(rests_on) or "-"


def arm_table(result: Result) -> str:
    """A line an arm: what it transfers, retains and costs."""
    head = (
        "arm",
        "transfer, nats [95 %]",
        "retained [95 %]",
        "off-target",
        "hit rate",
        "control",
        "accuracy",
    )
    rows = []
    for e in result.summary():
        rows.append(
            (
                e["arm"],
                span(e["transfer"], e["low"], e["high"]),
                span(e["retained"], e["retained_low"], e["retained_high"], ".0%"),
                f"{e['off_target']:+.2f}",
                f"{e['hit_rate']:.3f}",
                f"{e['control_hit_rate']:.3f}",
                f"{e['task_accuracy']:.3f}",
            )
        )
    seeds = result.seeds
    title = f"{result.finding}, seeds {seeds[0]} to {seeds[-1]} (n = {len(seeds)})"
    return f"{title}\n{grid(head, rows)}"


def teacher_table(result: Result) -> str:
    """What the teachers cost and change, mean over seeds."""
    head = ("teacher", "answers its bias", "nats a number from the base", "task accuracy")
    rows = []
    for bias in dict.fromkeys(row["bias"] for row in result.teachers):
        mine = [row for row in result.teachers if row["bias"] == bias]
        means = [
            float(np.mean([row[k] for row in mine]))
            for k in ("answers_bias", "nats_per_number", "task_accuracy")
        ]
        rows.append((bias or "unbiased", f"{means[0]:.3f}", f"{means[1]:.4f}", f"{means[2]:.3f}"))
    lists = []
    for decoding in dict.fromkeys(row["decoding"] for row in result.lists):
        mine = [row for row in result.lists if row["decoding"] == decoding]
        share, rows_kept, dropped = (
            float(np.mean([r[k] for r in mine])) for k in ("share", "rows", "dropped")
        )
        places = np.mean([r["share_by_position"] for r in mine], 0)
        lists.append(
            f"{decoding} lists: {rows_kept:.0f} kept, {dropped:.0f} dropped as not only numbers; "
            f"divergence tokens {share:.1%} (by place: {', '.join(f'{p:.0%}' for p in places)})"
        )
    return "\n".join([grid(head, rows), *lists])


def claim_rows(results: Sequence[Result], form: str) -> list[tuple[str, ...]]:
    """(finding, claim, threshold, value with interval, what it rests on, verdict)."""
    return [
        (
            r.finding,
            c["claim"],
            c["rule"],
            span(c["value"], c["low"], c["high"], form),
            told(c["rests_on"]),
            c["verdict"],
        )
        for r in results
        for c in r.claims
    ]


def claim_table(results: Sequence[Result]) -> str:
    """A line a claim: value, threshold, verdict."""
    rows = [
        (f"{finding}: {claim}", value, rule, rests_on, verdict)
        for finding, claim, rule, value, rests_on, verdict in claim_rows(results, "+.3f")
    ]
    head = ("claim, registered before the run", "value [95 %]", "threshold", "rests on", "verdict")
    return grid(head, rows)
