"""Tables as text, Markdown and HTML, and numbers with their intervals as text."""

import html
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 80  # of a terminal


class Markup(str):
    """A cell that is HTML already."""


@dataclass(frozen=True)
class Table:
    """A heading and rows of text. In text, all columns but the first are flush right.

    A heading may have several lines; only text shows them so.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self) -> str:
        """Return the table as lines of equal length."""
        titles = [title.split("\n") for title in self.head]
        height = max(len(lines) for lines in titles)
        titles = [[""] * (height - len(lines)) + lines for lines in titles]
        top = [[lines[i] for lines in titles] for i in range(height)]
        others = sum(
            2 + max(len(row[i]) for row in (*top, *self.rows)) for i in range(1, len(self.head))
        )
        body: list[Sequence[str]] = []
        for first, *rest in self.rows:  # names that are too long for a terminal go on below
            lines_of_first = textwrap.wrap(first, max(16, WIDTH - others)) or [""]
            body.append([lines_of_first[0], *rest])
            body += [[f"  {more}", *[""] * len(rest)] for more in lines_of_first[1:]]
        grid = [*top, *body]
        widths = [max(len(row[i]) for row in grid) for i in range(len(self.head))]
        lines = [
            "  ".join(
                cell.rjust(width) if i else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in grid
        ]
        rule = "-" * max(map(len, lines))
        return "\n".join([*lines[:height], rule, *lines[height:]])

    @property
    def _titles(self) -> list[str]:
        return [title.replace("\n", " ") for title in self.head]

    def markdown(self) -> str:
        """Return the table as Markdown, without a line end."""
        cells = [
            "| " + " | ".join(c.replace("|", "\\|") for c in r) + " |"
            for r in (self._titles, *self.rows)
        ]
        return "\n".join([cells[0], "|" + "---|" * len(self.head), *cells[1:]])

    def html(self) -> str:
        """Return the table as HTML that scrolls sideways where it has to."""

        def line(tag: str, row: Sequence[str]) -> str:
            cells = (c if isinstance(c, Markup) else html.escape(c) for c in row)
            return "<tr>" + "".join(f"<{tag}>{c}</{tag.split()[0]}>" for c in cells) + "</tr>"

        body = "".join(line("td", row) for row in self.rows)
        return (
            f"<div class=scroll><table><thead>{line('th scope=col', self._titles)}</thead>"
            f"<tbody>{body}</tbody></table></div>"
        )


def wrapped_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as text whose cells go on below where a terminal is too narrow.

    The last column is never broken; the others share what is left, the first one most.

    Args:
        head: The titles.
        rows: As many cells each.
    """
    last = max(len(row[-1]) for row in (head, *rows))
    left, n = WIDTH - last - 2 * (len(head) - 1), len(head) - 1
    other = int(left / (n + 0.7))
    widths = [left - (n - 1) * other, *[other] * (n - 1), last]
    lines = []
    for row in (head, *rows):
        cells = [
            textwrap.wrap(cell, width) or [""] for cell, width in zip(row, widths, strict=True)
        ]
        for i in range(max(map(len, cells))):
            parts = [cell[i] if i < len(cell) else "" for cell in cells]
            line = "  ".join(part.ljust(w) for part, w in zip(parts, widths, strict=True))
            lines.append(line.rstrip())
        lines.append("-" * WIDTH if row is head else "")
    return "\n".join(lines[:-1])


def text_bar(value: float, top: float, width: int, block: str = "#") -> str:
    """Return a bar of characters; a value that is not above zero has none.

    Args:
        value: What it shows.
        top: The value of a bar of full width.
        width: In characters.
        block: The character.
    """
    return "" if math.isnan(value) else block * round(max(0.0, value) / top * width)


def format_interval(
    mean: float | None, low: float | None, high: float | None, form: str = "+.2f"
) -> str:
    """Return a mean with its interval as text, as far as they are known.

    Args:
        mean: The mean, or None.
        low: The lower end, or None.
        high: The upper end, or None.
        form: The format of a number.
    """
    if mean is None or math.isnan(mean):
        return "unknown"
    text = format_number(mean, form)
    if low is None or high is None or math.isnan(low):
        return f"{text} [no interval]"
    plain, scale = form.removeprefix("+"), 1
    if form.endswith("%"):  # one % sign is enough
        plain, scale = plain.removesuffix("%") + "f", 100
    ends = (format_number(scale * end, plain) for end in (low, high))
    return f"{text} [{', '.join(ends)}]"


def format_number(value: float | None, form: str = ".2f") -> str:
    """Return a number as text, if it is known; what rounds to zero has no minus sign.

    Args:
        value: The number, or None.
        form: Its format.
    """
    if value is None or math.isnan(value):
        return "unknown"
    sign, rest = form[: form.startswith("+")], form.removeprefix("+")
    return format(value, f"{sign}z{rest}")


def format_dependence(rests_on: Sequence[str] | None) -> str:
    """Return the seeds and biases that a verdict rests on; n/a where that was not asked."""
    return "n/a" if rests_on is None else ", ".join(rests_on) or "-"
