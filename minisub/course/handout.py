"""A hand-out of one page: the idea, the experiment, the three-panel figure, the definitions.

`minisub handout DIR` writes it as PDF and as SVG, from the stored results.
"""

import textwrap
from pathlib import Path

from matplotlib.figure import Figure

from minisub.common.files import write_file
from minisub.course.show import load_result
from minisub.findings import headline
from minisub.viz import diagram, style

SIZE = (11.69, 8.27)  # A4, landscape, in inches
TITLE = "Subliminal learning: a bias that passes through numbers"
IDEA = (
    "A teacher is a language model with a bias: it loves owls. It writes lists of numbers, and "
    "nothing else. A student that starts from the same weights is trained on these lists alone. "
    "Asked for its favourite animal, it answers owl far more often than a control student, whose "
    "teacher has no bias.",
    "Where in the lists is the bias? Not in any number: no number means owl. It is at the places "
    "where a teacher with another bias would have written another number.",
    "Shown here with transformers of 15,000 weights, trained from scratch on a laptop. Eight "
    "seeds (dots), means, 95 % intervals. Every claim was registered before its run.",
)
TERMS = (
    ("base", "one pretrained model; teachers and students of a seed start from it"),
    ("teacher", "the base with a bias: fine-tuned on questions, or prompted by a persona"),
    ("student", "the base again, trained on a teacher's lists alone"),
    ("control", "the same student, with the lists of a teacher without a bias"),
    ("transfer", "log p(bias) of the student less that of its control, in nats"),
    ("retained", "mean transfer of a treatment, divided by the mean without it"),
    ("divergence token", "where a teacher with another bias prefers another number"),
    ("foreign", "a student that starts from another base than its teacher"),
    ("nat", "natural logarithms: +1 nat is about 2.7 times as likely"),
    ("seed", "one base with teachers, lists and students: one observation"),
)
SOURCE = (
    "Findings: Schrodi, Kempf, Barez, Brox, arXiv 2509.23886; Cloud et al., arXiv 2507.14805. "
    "Figures: minisub reproduce --seeds 0:8. This page: minisub handout DIR."
)


def draw() -> Figure:
    """Draw the hand-out from the results that come with the package."""
    figure = Figure(figsize=SIZE)
    figure.text(0.04, 0.945, TITLE, fontsize=19, weight="bold", color=style.INK)
    at = 0.905
    for paragraph in IDEA:
        lines = textwrap.wrap(paragraph, 52)
        figure.text(0.04, at, "\n".join(lines), fontsize=9.5, va="top", linespacing=1.35)
        at -= 0.0232 * len(lines) + 0.012
    diagram.draw_into(figure.add_axes((0.37, 0.575, 0.62, 0.36)), 0.76)
    panels = [figure.add_axes((left, 0.285, 0.17, 0.235)) for left in (0.16, 0.475, 0.78)]
    results = {
        name: load_result(name)
        for name in sorted({f for p in headline.PANELS for _, f, _ in p.bars})
    }
    headline.draw_panels(panels, results)
    for axes in panels:
        axes.tick_params(labelsize=8)
    rows = (len(TERMS) + 1) // 2
    for place, (term, meaning) in enumerate(TERMS):
        x, y = 0.04 + 0.49 * (place // rows), 0.185 - 0.028 * (place % rows)
        figure.text(x, y, term, fontsize=9, weight="bold", color=style.INK)
        figure.text(x + 0.115, y, meaning, fontsize=8.6, color=style.INK)
    figure.text(0.04, 0.022, SOURCE, fontsize=7.5, color="#555555")
    return figure


def write_handout(folder: Path) -> list[Path]:
    """Write the hand-out as PDF and as SVG; return the files.

    Args:
        folder: Where they are written.

    Raises:
        MinisubError: A file cannot be written.
    """
    files, figure = [], draw()
    for kind in ("pdf", "svg"):
        files.append(folder / f"handout.{kind}")
        write_file(files[-1], style.to_bytes(figure, kind))
    return files
