"""The paper on one page: twelve claims in plain words, and one picture of three panels.

`minisub reproduce --quick` runs these arms and no others; full runs print the same page first. The
claims were tuned on seeds 100 to 107 (docs/log.md) and registered here before any other run.
"""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minisub.common.files import Json
from minisub.experiment.arm import Arm
from minisub.experiment.presets import SMALL_CONFIG
from minisub.findings import divergence, layers, misalignment, mixing, paraphrase
from minisub.findings.finding import Finding
from minisub.results import figures
from minisub.results.claims import Claim, accuracy_less, arm_values, no_transfer, retains
from minisub.results.result import Result
from minisub.results.tables import WIDTH, format_interval, format_number, text_bar, wrapped_table
from minisub.viz import charts, style

REWORDED = "default teachers: paraphrase"
Results = Mapping[str, Result]


@dataclass(frozen=True)
class Headline:
    """One of the twelve claims of the page.

    Attributes:
        text: The claim in plain words.
        paper: What the paper reports.
        finding: The finding whose rows decide it.
        claim: Its values and its threshold.
        form: The format of its value.
        unit: Behind its value.
    """

    text: str
    paper: str
    finding: str
    claim: Claim
    form: str = ".0%"
    unit: str = ""


@dataclass(frozen=True)
class Panel:
    """One panel of the picture: a question, and a bar for each of some arms.

    Attributes:
        title: The question.
        unit: What a bar shows: "nats" of transfer, or the share that is "retained".
        bars: The label, the finding and the arm of each.
    """

    title: str
    unit: str
    bars: Sequence[tuple[str, str, str]]

    @property
    def measure(self) -> str:
        """The key of the rows that a bar shows."""
        return "transfer" if self.unit == "nats" else "retained"

    def format(self, value: float) -> str:
        """Return a bar's value as text."""
        return format_number(value, "+.2f" if self.unit == "nats" else ".0%")


HEADLINES = (
    Headline(
        "A student that reads numbers alone takes over its teacher's favourite animal",
        "yes",
        "divergence",
        Claim("`all`, nats", arm_values("all"), "interval", low=0.5),
        "+.2f",
        " nats",
    ),
    Headline(
        "A student that starts from other weights than the teacher does not",
        "next to nothing (Cloud et al.)",
        "divergence",
        no_transfer("foreign"),
        "+.2f",
        " nats",
    ),
    Headline(
        "Divergence tokens alone (a fifth of the numbers) carry all of it",
        "they keep or amplify it",
        "divergence",
        retains("divergence only", low=0.9),
    ),
    Headline(
        "Without divergence tokens next to nothing is left",
        "near the control",
        "divergence",
        retains("without divergence", high=0.1),
    ),
    Headline(
        "Leaving out as many numbers at random leaves most of it",
        "(not in the paper)",
        "divergence",
        retains("without random", low=0.85),
    ),
    Headline(
        "Training the first block alone is enough (teachers tuned there)",
        "layer 0 or 7 of 28 is enough",
        "layers",
        retains("block 0", low=0.9),
    ),
    Headline(
        "Training the last block alone is not",
        "next to nothing (layer 27)",
        "layers",
        retains("block 3", high=0.2),
    ),
    Headline(
        "Nor is training the late half",
        "layers 14, 21 alone: next to nothing",
        "layers",
        retains("late half", high=0.3),
    ),
    Headline(
        "Re-wording the prompts after the lists were written weakens it",
        "usually suppressed",
        "paraphrase",
        retains(REWORDED, high=0.6),
    ),
    Headline(
        "... and the student does its number task as well as before (difference in accuracy)",
        "task performance is kept",
        "paraphrase",
        Claim(
            f"`{REWORDED}`: accuracy less that of `all`",
            accuracy_less(REWORDED, "default teachers: all"),
            low=-0.05,
            high=0.05,
        ),
        "+.3f",
    ),
    Headline(
        "A quarter of lists from an unbiased teacher halves it",
        "nearly removed",
        "mixing",
        retains("mix 25%", high=0.5),
    ),
    Headline(
        "Bad conduct passes by numbers as well",
        "yes (misaligned teacher)",
        "misalignment",
        Claim("`all`, nats", arm_values("all"), "interval", low=0.0),
        "+.2f",
        " nats",
    ),
)
PANELS = (
    Panel(
        "Which tokens carry it?",
        "nats",
        (
            ("all numbers", "divergence", "all"),
            ("divergence tokens only", "divergence", "divergence only"),
            ("without divergence tokens", "divergence", "without divergence"),
            ("without random tokens", "divergence", "without random"),
            ("control: no bias", "divergence", "control"),
            ("foreign: other start", "divergence", "foreign"),
            ("all, bad conduct", "misalignment", "all"),
        ),
    ),
    Panel(
        "Which block learns it?",
        "retained",
        (
            ("all blocks", "layers", "all"),
            ("first block alone", "layers", "block 0"),
            ("late half alone", "layers", "late half"),
            ("last block alone", "layers", "block 3"),
        ),
    ),
    Panel(
        "Which change breaks it?",
        "retained",
        (
            ("no change", "divergence", "all"),
            ("other wording", "paraphrase", REWORDED),
            ("1/4 other lists", "mixing", "mix 25%"),
            ("other start", "divergence", "foreign"),
        ),
    ),
)


def quick_findings() -> list[Finding]:
    """Return the findings of the page with its arms only, on few lists and steps."""

    def small(finding: Finding, arms: Sequence[Arm], **changes: object) -> Finding:
        config = replace(SMALL_CONFIG, **changes)  # type: ignore[arg-type]
        return replace(finding, arms=arms, claims=(), probes=(), config=config)

    def named(finding: Finding, *names: str) -> list[Arm]:
        return [arm for arm in finding.arms if arm.name in names]

    return [
        small(divergence.FINDING, divergence.ARMS),
        small(
            layers.FINDING,
            named(layers.FINDING, "all", "block 0", "block 3", "late half"),
            teacher=layers.FINDING.config.teacher,
        ),
        small(paraphrase.FINDING, named(paraphrase.FINDING, "default teachers: all", REWORDED)),
        small(mixing.FINDING, named(mixing.FINDING, "all", "mix 25%")),
        small(
            misalignment.FINDING,
            named(misalignment.FINDING, "all"),
            base=misalignment.FINDING.config.base,
            teacher=misalignment.FINDING.config.teacher,
        ),
    ]


def judged(results: Results) -> list[tuple[Headline, Json]]:
    """Return each claim of the page with its value, interval and verdict."""
    return [(line, line.claim.judge(results[line.finding])) for line in HEADLINES]


def page_rows(results: Results) -> list[tuple[str, str, str, str]]:
    """Return (claim, what the paper reports, what was measured, verdict) for each claim."""
    rows = []
    for line, found in judged(results):
        value = format_interval(found["value"], found["low"], found["high"], line.form)
        claim = f"{line.text} ({found['rule']})"
        rows.append((claim, line.paper, value + line.unit, found["verdict"]))
    return rows


PAGE_HEAD = ("claim (and its threshold)", "paper", "measured [95 %]", "verdict")


def page_text(results: Results, block: str = "#") -> str:
    """Return the page for a terminal: the table, then the picture as bars of characters.

    Args:
        results: By the name of the finding.
        block: The character that bars are made of.
    """
    return f"{wrapped_table(PAGE_HEAD, page_rows(results))}\n\n{_bars_text(results, block)}"


def _bars_text(results: Results, block: str) -> str:
    lines = []
    for panel in PANELS:
        lines.append(panel.title)
        bars = [(label, value) for label, value, _, _ in panel_bars(results, panel)]
        top = max(1.0, *(value for _, value in bars))
        width = WIDTH - 27 - 8
        for label, value in bars:
            lines.append(
                f"{label:27}{panel.format(value):>6}  {text_bar(value, top, width, block)}".rstrip()
            )
        lines.append("")
    unit = (
        "Bars: transfer in nats over the control, then shares of what the same students have "
        "without the change."
    )
    return "\n".join([*lines, textwrap.fill(unit, WIDTH)])


def panel_bars(results: Results, panel: Panel) -> Iterator[tuple[str, float, float, float]]:
    """Yield the label of each bar of a panel, its value and the ends of its interval.

    Args:
        results: By the name of the finding.
        panel: The panel.
    """
    for label, finding, arm in panel.bars:
        yield label, *results[finding].estimate(arm, panel.measure)


def page_sentence(results: Results) -> str:
    """Return the picture in a sentence, for those who cannot see it."""
    parts = []
    for panel in PANELS:
        unit = " nats" if panel.unit == "nats" else ""
        bars = ", ".join(
            f"{label} {panel.format(value)}{unit}"
            for label, value, *_ in panel_bars(results, panel)
        )
        parts.append(f"{panel.title} {bars}.")
    return " ".join(parts)


def plot(results: Results) -> Figure:
    """Draw the three panels.

    Args:
        results: By the name of the finding.
    """
    figure = style.new_figure(12.0, 3.4)
    draw_panels(figure.subplots(1, 3, width_ratios=(1.25, 1, 1)), results)
    return figure


def draw_panels(three_axes: Iterable[Axes], results: Results) -> None:
    """Draw the three panels into axes.

    Args:
        three_axes: One for each.
        results: By the name of the finding.
    """
    for axes, panel in zip(three_axes, PANELS, strict=True):
        for place, (_, finding, arm) in enumerate(panel.bars):
            figures.arm_bar(axes, place, results[finding], arm, panel.measure)
            value, *_ = results[finding].estimate(arm, panel.measure)
            charts.bar_note(axes, place, panel.format(value))
        labels = [label for label, _, _ in panel.bars]
        unit = "transfer, nats over the control" if panel.unit == "nats" else "share retained"
        charts.finish_bars(axes, labels)
        style.finish(axes, panel.title, unit)
