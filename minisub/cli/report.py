"""The report of `minisub reproduce`: one HTML file that opens offline, and the same as Markdown."""

import html
import json
from collections.abc import Callable, Mapping, Sequence

from minisub.common.provenance import commit
from minisub.findings import every_finding, headline
from minisub.findings.prediction import all_findings
from minisub.results.claims import HELD, NOT_HELD, UNDECIDED
from minisub.results.result import Result
from minisub.results.summaries import claim_rows, list_lines, teacher_table
from minisub.results.tables import Markup, Table, format_number
from minisub.viz import style

# What no figure of a small world can say about language models.
LIMITS = (
    "The world is made so that near ties exist, and where: one number in five. Language models "
    "have near ties everywhere, and they were not chosen.",
    "The models have some 15,000 parameters and two tasks. Sizes of effects (nats, shares, the "
    "percentage at which mixing breaks it) do not carry over; patterns of arms are compared.",
    "Wordings here tip near ties because the world says so, by a dial. With language models it is "
    "an observation that they do.",
    "The residual stream is narrow on purpose (16), so that numbers and animals share directions: "
    "that is why so much passes.",
    "Students train whole blocks unless an arm says otherwise; the paper's train LoRA adapters.",
    "A teacher gets its bias in one short training, by a prompt or by a vector; nothing here "
    "speaks to traits that grew over a long training.",
    "The early-block claims are about teachers whose change is early (tuned in block 0, or "
    "prompted). For teachers tuned in all blocks the profile is much flatter.",
)

CLAIM_HEAD = (
    "claim, registered before the run",
    "threshold",
    "measured [95 %]",
    "rests on",
    "verdict",
)

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#222;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1,h2{line-height:1.2} h2{margin-top:2.5rem} img{max-width:100%;height:auto}
table{border-collapse:collapse;font-size:.88rem;width:100%}
td,th{text-align:left;vertical-align:top;padding:.3rem .5rem;border-bottom:1px solid #ddd}
.scroll{overflow-x:auto}
.held{color:#005a3c;font-weight:600}.not{color:#a33c00;font-weight:600}.und{color:#555;font-weight:600}
pre{font-size:.78rem;overflow-x:auto;background:#f6f6f6;padding:.7rem}
"""
MARKS = {
    HELD: ("held", "✓ held"),
    NOT_HELD: ("not", "✗ not held"),
    UNDECIDED: ("und", "? undecided"),
}


def details(result: Result) -> str:
    """Return the tables of arms and teachers of a result, as text."""
    return f"{result}\n\n{teacher_text(result)}"


def teacher_text(result: Result) -> str:
    """Return what the teachers cost and wrote, as text."""
    return f"{teacher_table(result).text()}\n{list_lines(result)}"


def claim_table(result: Result, mark: Callable[[str], str] = str) -> Table:
    """Return a result's claims as a table, undecided ones last.

    Args:
        result: With judged claims.
        mark: What a verdict is shown as.
    """
    rows = sorted((row[1:] for row in claim_rows([result])), key=lambda row: row[-1] == UNDECIDED)
    return Table(CLAIM_HEAD if rows else (), [(*row[:-1], mark(row[-1])) for row in rows])


def verdicts(result: Result) -> str:
    """Return how many of a result's claims came out which way, in a sentence."""
    if not result.claims:
        return "These are arms of a first look; a full run judges the finding's own claims."
    count = {v: [c["claim"] for c in result.claims if c["verdict"] == v] for v in MARKS}
    parts = [f"{len(count[HELD])} of {len(result.claims)} registered claims held"]
    for verdict in (NOT_HELD, UNDECIDED):
        if count[verdict]:
            parts.append(f"{verdict}: {'; '.join(count[verdict])}")
    return ". ".join(p[0].upper() + p[1:] for p in parts) + "."


def retained_sentence(result: Result) -> str:
    """Return what the first arms retain of their baselines, in a sentence; "" if there are none."""
    kept = [
        f"{e['arm']} {format_number(e['retained'], '.0%')}"
        for e in result.summary()
        if e["arm"] not in ("all", "control") and not e["arm"].endswith(": all")
    ]
    more = ", ..." if len(kept) > 12 else ""
    return f"Retained: {', '.join(kept[:12])}{more}." if kept else ""


def results_markdown(results: Sequence[Result], command: str) -> str:
    """Return all claims as Markdown, a table for each finding.

    Args:
        results: With judged claims.
        command: That made them.
    """
    results_by_name = {result.finding: result for result in results}
    page = Table(headline.PAGE_HEAD, headline.page_rows(results_by_name))
    lines = [
        "# Results",
        "",
        "The paper on one page; every registered claim follows, finding by finding.",
        "",
        page.markdown(),
        "",
        f"Made by `{command}` at commit {commit()}; {_provenance(results)}.",
        "A verdict *rests on* a seed or a bias if it would be another without it (n/a: not asked).",
        "What an arm retains is a ratio of means over seeds, with Fieller's interval.",
        "Intervals of rank correlations are the jackknife's, and may pass 1.",
        "",
    ]
    for result in results:
        finding = every_finding()[result.finding]
        lines += [
            f"## {result.finding}",
            "",
            finding.statement,
            "",
            f"*Paper:* {finding.paper}",
            "",
        ]
        lines += [claim_table(result).markdown(), "", verdicts(result), ""]
        if not result.claims:
            lines += ["```", str(result), "```", ""]
    lines += ["## What does not carry over to language models", "", *(f"- {x}" for x in LIMITS)]
    return "\n".join(lines) + "\n"


def draw_figures(results: Sequence[Result]) -> dict[str, bytes]:
    """Return each finding's figure by its name, as SVG: its own, or of its arms in a first look."""
    return {
        r.finding: style.to_bytes(
            every_finding()[r.finding].plot(r) if r.claims else r.plot(), "svg"
        )
        for r in results
    }


def report_html(results: Sequence[Result], command: str, drawn: Mapping[str, bytes]) -> str:
    """Return the whole report, with its figures inside.

    Args:
        results: With judged claims.
        command: That made them.
        drawn: What `draw_figures` returned.
    """
    results_by_name = {result.finding: result for result in results}
    page = [(*row[:3], _mark(row[3])) for row in headline.page_rows(results_by_name)]
    picture = style.to_bytes(headline.plot(results_by_name), "svg").decode()
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width,initial-scale=1">',
        f"<title>minisub: the findings</title><style>{STYLE}</style>",
        "<h1>Subliminal learning: the paper on one page</h1>",
        _inline(picture, headline.page_sentence(results_by_name)),
        "<p>Bars are means over seeds with 95 % intervals; dots are seeds.</p>",
        Table(headline.PAGE_HEAD, page).html(),
        "<h2>How to read what follows</h2>",
        f"<p>Made by <code>{html.escape(command)}</code> at commit {commit()}; "
        f"{html.escape(_provenance(results))}. A verdict rests on a seed or a bias if it would be "
        "another without it (n/a: not asked). Transfer is in nats: the gain in log p of the bias "
        "over a control student. What an arm retains is a ratio of means over seeds. Intervals are "
        "95 %, over seeds (Fieller's for ratios); those of rank correlations "
        "are the jackknife's, and may pass 1. Every claim, with its threshold, "
        "was written down in code before the run.</p>",
    ]
    for result in results:
        finding = every_finding()[result.finding]
        parts += [
            f"<h2 id={result.finding}>{result.finding}</h2>",
            f"<p><b>Claim.</b> {html.escape(finding.statement)} <b>Found.</b> "
            f"{html.escape(verdicts(result))}</p>",
            claim_table(result, _mark).html() if result.claims else "",
            _inline(drawn[result.finding].decode(), result.describe()),
            "<details><summary>All arms</summary>"
            f"<pre>{html.escape(details(result))}</pre></details>",
        ]
    if "prediction" in results_by_name:
        figure, sentence = all_findings(results)
        parts += [
            "<h2>Forecast and outcome, over all arms</h2>",
            f"<p>{html.escape(sentence)}</p>",
            _inline(style.to_bytes(figure, "svg").decode(), sentence),
        ]
    parts += [
        "<h2>Paper against minisub</h2>",
        Table(
            ("finding", "what the paper reports", "what was found here"),
            [
                (
                    r.finding,
                    every_finding()[r.finding].paper,
                    f"{retained_sentence(r)} {verdicts(r)}".strip(),
                )
                for r in results
            ],
        ).html(),
        "<h3>What does not carry over to language models</h3>",
        "<ul>" + "".join(f"<li>{html.escape(x)}</li>" for x in LIMITS) + "</ul>",
        "<h2>The world and its provenance</h2>",
        "<p>Configuration by finding; what an arm changes stands in the finding's source.</p>",
        *(
            f"<details><summary>{r.finding}</summary><pre>{html.escape(_config(r))}</pre></details>"
            for r in results
        ),
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def _provenance(results: Sequence[Result]) -> str:
    about, seeds = results[0].provenance, results[0].seeds
    return (
        f"seeds {seeds[0]} to {seeds[-1]}; minisub {about['minisub']}, torch {about['torch']}, "
        f"Python {about['python']}, {about['machine']}"
    )


def _config(result: Result) -> str:
    return json.dumps({"config": result.config, "provenance": result.provenance}, indent=1)


def _inline(svg: str, alt: str) -> str:
    drawing = svg[svg.index("<svg") :]
    label = html.escape(alt, quote=True)
    return drawing.replace(
        "<svg", f'<svg role="img" aria-label="{label}" style="width:100%;height:auto"', 1
    )


def _mark(verdict: str) -> Markup:
    kind, text = MARKS[verdict]
    return Markup(f"<span class={kind}>{text}</span>")
