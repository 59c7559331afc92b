"""A result's teachers, lists and claims, as tables and lines of text."""

import textwrap
from collections.abc import Sequence

import numpy as np

from minisub.common.files import Json
from minisub.results.result import Result
from minisub.results.tables import (
    WIDTH,
    Table,
    format_dependence,
    format_interval,
    format_number,
)


def teacher_table(result: Result) -> Table:
    """Return a row for each teacher: what its bias costs and changes, mean over seeds."""
    head = ("teacher", "answers its bias", "nats a number from the base", "task accuracy")
    rows = []
    for bias in dict.fromkeys(row["bias"] for row in result.teachers):
        own = [row for row in result.teachers if row["bias"] == bias]
        means = [
            float(np.mean([row[k] for row in own]))
            for k in ("answers_bias", "nats_per_number", "task_accuracy")
        ]
        rows.append((bias or "unbiased", f"{means[0]:.3f}", f"{means[1]:.4f}", f"{means[2]:.3f}"))
    return Table(head, rows)


def list_lines(result: Result) -> str:
    """Return a line for each decoding: how many lists, and where their divergence tokens are."""
    lines = []
    for decoding in dict.fromkeys(row["decoding"] for row in result.lists):
        own = [row for row in result.lists if row["decoding"] == decoding]
        share, kept, dropped = (
            float(np.mean([r[k] for r in own])) for k in ("share", "rows", "dropped")
        )
        places = np.mean([r["share_by_position"] for r in own], 0)
        text = (
            f"{decoding} lists: {kept:.0f} kept, {dropped:.0f} dropped as not only numbers; "
            f"divergence tokens {share:.1%} (by place: {', '.join(f'{p:.0%}' for p in places)})"
        )
        lines.append(textwrap.fill(text, WIDTH))
    return "\n".join(lines)


def claim_rows(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """Return (finding, claim, threshold, value with interval, what it rests on, verdict)."""
    return [
        (
            r.finding,
            c["claim"],
            c["rule"],
            _measured(c),
            format_dependence(c["rests_on"]),
            c["verdict"],
        )
        for r in results
        for c in r.claims
    ]


def _measured(claim: Json) -> str:
    """Return a claim's value with its interval, and the extreme seeds where each one counts."""
    text = format_interval(claim["value"], claim["low"], claim["high"], "+.3f")
    if "lowest" in claim:  # claims about every seed
        lowest, highest = (format_number(claim[name], "+.3f") for name in ("lowest", "highest"))
        text += f", seeds from {lowest} to {highest}"
    return text


def claim_text(results: Sequence[Result]) -> str:
    """Return a paragraph for each claim: verdict, value, threshold, and what it rests on."""
    lines = []
    for result in results:
        lines.append(f"{result.finding}: claims, registered before the run")
        for _, claim, rule, value, rests_on, verdict in claim_rows([result]):
            text = f"{verdict:9}  {claim}: {value} ({rule})"
            if rests_on not in ("n/a", "-"):
                text += f"; rests on {rests_on}"
            lines.append(textwrap.fill(text, WIDTH, subsequent_indent=" " * 11))
    return "\n".join(lines)
