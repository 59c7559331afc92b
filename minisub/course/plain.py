"""Pages as plain HTML, for paper and for browsers without JavaScript: text, figures, open folds."""

import html
import json
import re
from html.parser import HTMLParser
from typing import Any

VOID = ("img", "br", "hr", "input", "wbr")
CONTROLS = (
    "radio",
    "dropdown",
    "slider",
    "multiselect",
    "number",
    "text",
    "button",
    "form",
)
LABELLED = {"accordion": "data-labels", "tabs": "data-tabs"}  # containers that name their parts


def read_outputs(page: str) -> list[str]:
    """Return the outputs of an exported page as marimo's HTML, in the order of its cells.

    Args:
        page: The text of a file that `marimo export html` has written.

    Raises:
        ValueError: It holds no outputs.
    """
    start = page.find('"session": ')
    if start < 0:
        raise ValueError("this is no page that marimo has exported")
    session, _ = json.JSONDecoder().raw_decode(page[start + len('"session": ') :])
    found = []
    for cell in session["cells"]:
        for output in cell["outputs"]:
            data = output.get("data") or {}
            found += [data[kind] for kind in ("text/html", "text/markdown") if data.get(kind)]
    return found


def to_plain(outputs: list[str]) -> tuple[str, list[str]]:
    """Return outputs as HTML that needs no script, and the labels of controls that it stands for.

    Args:
        outputs: Of the cells, as marimo's HTML.
    """
    parser = _Plain()
    for output in outputs:
        parser.out.append('<div class="cell">')
        parser.feed(output)
        parser.out.append("</div>")
    parser.close()
    return "".join(parser.out), list(dict.fromkeys(filter(None, parser.controls)))


def _words(text: str) -> str:
    """Return HTML as text on one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", text)).split())


class _Plain(HTMLParser):
    """Marimo's elements become headings, lists, tables and frames; all other HTML stays."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.out: list[str] = []
        self.controls: list[str] = []
        # Of each open element: its name, what is written at its end, and the names of parts that
        # are still to come.
        self.stack: list[tuple[str, str, list[str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.stack and self.stack[-1][2]:
            self.out.append(f"<h4>{self.stack[-1][2].pop(0)}</h4>")
        if not tag.startswith("marimo-"):
            self.out.append(self.get_starttag_text() or "")
            if tag not in VOID:
                self.stack.append((tag, f"</{tag}>", []))
            return
        kind, values = tag.removeprefix("marimo-"), {k: v or "" for k, v in attrs}

        def value(name: str) -> Any:
            return json.loads(values.get(name) or "null")

        before, after = self._element(kind, value)
        self.out.append(before)
        parts = value(LABELLED[kind]) if kind in LABELLED else []
        self.stack.append((tag, after, list(parts)))

    def _element(self, kind: str, value: Any) -> tuple[str, str]:
        """Return what stands at the start and at the end of one of marimo's elements."""
        label, at = value("data-label") or "", value("data-initial-value")
        if kind == "form":
            label = value("data-submit-button-label")
        if kind in CONTROLS:
            self.controls.append(_words(label))
        match kind:
            case "radio":
                options = "".join(f"<li>○ {html.escape(o)}</li>" for o in value("data-options"))
                return f'<div class="control">{label}<ul>{options}</ul></div>', ""
            case "dropdown" | "multiselect":
                chosen = html.escape(", ".join(map(str, at or ())))
                return f'<span class="control">{label} <b>{chosen}</b> </span>', ""
            case "slider":
                return f'<span class="control">{label} <b>{html.escape(str(at))}</b> </span>', ""
            case "number" | "text":
                shown = html.escape(str(at)) if at else "________"
                return f'<div class="control">{label} {shown}</div>', ""
            case "button":
                return f'<span class="control">[ {label} ]</span>', ""
            case "form":
                return '<div class="frame">', f'<p class="control">[ {label} ]</p></div>'
            case "table":
                return f"<p>{label}</p>{_table(json.loads(value('data-data')))}", ""
            case "callout-output":
                return f'<div class="frame">{value("data-html")}</div>', ""
            case "tex":
                return "<i>", "</i>"
        return "", ""

    def handle_endtag(self, tag: str) -> None:
        while self.stack:
            name, after, _ = self.stack.pop()
            self.out.append(after)
            if name == tag:
                return

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1][0] == "marimo-tex":
            data = re.sub(r"^\|\|[(\[]|\|\|[)\]]$", "", data.strip())
        self.out.append(data)

    def handle_entityref(self, name: str) -> None:
        self.out.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.out.append(f"&#{name};")


def _table(rows: list[dict[str, Any]]) -> str:
    """Return rows as an HTML table."""
    if not rows:
        return ""
    head = "".join(f"<th>{html.escape(str(name))}</th>" for name in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(value))}</td>" for value in row.values()) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"
