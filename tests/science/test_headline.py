"""The paper on one page: its claims, its picture and its text."""

import re
from dataclasses import replace

import pytest

from minisub.course.show import load_result
from minisub.experiment.guards import diverged_row
from minisub.findings import headline
from minisub.results.result import Result
from minisub.viz import style


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    """The stored results of the full run, of which the same page is made."""
    names = {bar[1] for panel in headline.PANELS for bar in panel.bars}
    return {name: load_result(name) for name in names | {h.finding for h in headline.HEADLINES}}


def test_the_page_of_the_stored_results(results: dict[str, Result]) -> None:
    rows = headline.page_rows(results)
    assert len(rows) == 12
    assert all(len(row) == 4 for row in rows)
    assert sum(row[-1] == "held" for row in rows) >= 10
    assert {row[-1] for row in rows} <= {"held", "not held", "undecided"}
    of = {row[0]: row for row in rows}
    mixing = next(row for text, row in of.items() if text.startswith("A quarter of lists"))
    assert mixing[-1] == "not held"  # a null result is kept


def test_the_page_fits_a_terminal(results: dict[str, Result]) -> None:
    text = headline.page_text(results)
    assert max(map(len, text.splitlines())) <= 80
    bars = {line[:27].strip(): line.count("#") for line in text.splitlines() if "#" in line}
    assert bars["divergence tokens only"] > bars["without random tokens"] > 20
    assert bars["first block alone"] > 3 * bars.get("last block alone", 0)
    assert "without divergence tokens" not in bars or bars["without divergence tokens"] < 3
    assert "█" in headline.page_text(results, "█")


def test_the_page_of_students_that_diverged(results: dict[str, Result]) -> None:
    one = results["divergence"]
    rows = [
        {**diverged_row(3, "foreign", row["biases"], 1.0), "of": "all"}
        if (row["arm"], row["seed"]) == ("foreign", 3)
        else row
        for row in one.rows
    ]
    holed = {**results, "divergence": replace(one, rows=rows)}
    assert headline.page_rows(holed)[1][2:] == ("unknown nats", "undecided")
    for text in (headline.page_text(holed), headline.page_sentence(holed)):
        assert not re.search(r"\bnan\b", text, re.I)
    assert style.to_bytes(headline.plot(holed), "svg")


def test_the_picture_is_drawn_and_said(results: dict[str, Result]) -> None:
    figure = headline.plot(results)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        panel.title for panel in headline.PANELS
    ]
    assert style.to_bytes(figure, "svg") == style.to_bytes(headline.plot(results), "svg")
    said = headline.page_sentence(results)
    assert re.search(r"all numbers \+1\.\d\d nats", said)
    assert said.count("%") >= 8


def test_a_first_look_trains_what_the_page_shows() -> None:
    there = {finding.name: {a.name for a in finding.arms} for finding in headline.quick_findings()}
    for panel in headline.PANELS:
        for _, finding, arm in panel.bars:
            assert arm in there[finding]
    students = sum(map(len, there.values()))
    assert students <= 20
    for finding in headline.quick_findings():
        assert {arm.baseline for arm in finding.arms} <= there[finding.name]


def test_a_claim_that_fails_is_said(results: dict[str, Result]) -> None:
    """With the arms of divergence exchanged, their claims fail."""
    swap = {"divergence only": "without divergence", "without divergence": "divergence only"}
    one = results["divergence"]
    rows = [{**row, "arm": swap.get(row["arm"], row["arm"])} for row in one.rows]
    broken = {**results, "divergence": Result(one.finding, one.config, one.provenance, rows)}
    verdicts = {h.text: found["verdict"] for h, found in headline.judged(broken)}
    assert verdicts["Without divergence tokens next to nothing is left"] == "not held"
    assert (
        verdicts["Divergence tokens alone (a fifth of the numbers) carry all of it"] == "not held"
    )
