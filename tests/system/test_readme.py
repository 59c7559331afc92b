"""README's numbers are those of the stored results: verdicts counted, and each row of its tables.

A row may be worded anew; the numbers in it are computed here in the order in which it gives them.
"""

import functools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean

import pytest

from minisub.distillation.base import BUNDLED
from minisub.findings import DISPUTES, FINDINGS, every_finding
from minisub.results.claims import HELD, NOT_HELD, UNDECIDED
from minisub.results.result import Result, read_result

README = (Path(__file__).parents[2] / "README.md").read_text()
NUMBERS = [
    *("no", "one", "two", "three", "four", "five", "six"),
    *("seven", "eight", "nine", "ten", "eleven", "twelve"),
]
PARAGRAPHS = [" ".join(part.split()) for part in README.split("\n\n")]
Values = Callable[[Result], list[float]]


def transfer(arm: str, ends: bool = False) -> Values:
    """Transfer in nats, with its interval if `ends`."""
    return lambda r: [summary(r, arm)[k] for k in ("transfer", "low", "high")[: 3 if ends else 1]]


def retained(arm: str) -> Values:
    return lambda r: [100 * summary(r, arm)["retained"]]


def mean(arm: str, measure: str, scale: float = 100) -> Values:
    return lambda r: [scale * fmean(r.values(arm, measure))]


def first_block(measure: str) -> Values:
    return lambda r: [fmean(row[measure][0] for row in r.rows if row["arm"] == "all")]


def claim(words: str, ends: bool = False, scale: float = 100) -> Values:
    """The value of the one claim with these words, with its interval if `ends`."""

    def values(result: Result) -> list[float]:
        [found] = [c for c in result.claims if words in c["claim"]]
        return [scale * found[k] for k in ("value", "low", "high")[: 3 if ends else 1]]

    return values


def summary(result: Result, arm: str) -> dict[str, float]:
    [found] = [entry for entry in result.summary() if entry["arm"] == arm]
    return found


ROWS: dict[str, list[Values]] = {
    "transfer": [
        *(transfer("all", ends=True), mean("all", "hit_rate"), mean("all", "control_hit_rate")),
    ],
    "leakage": [retained("without entangled"), retained("without entangled, top 8")],
    "divergence": [
        mean("all", "divergence_share"),
        *(retained("divergence only"), retained("without divergence")),
    ],
    "sampled": [retained("sampled: without divergence")],
    "selection": [retained("random half")],
    "layers": [
        *(retained("block 0"), retained("block 3")),
        *(retained("tuned everywhere: block 0"), retained("tuned everywhere: block 3")),
    ],
    "paraphrase": [retained("paraphrase"), retained("default teachers: paraphrase")],
    "shuffle": [retained("shuffle within"), mean("shuffle within", "task_accuracy")],
    "mixing": [retained("mix 25%")],
    "misalignment": [transfer("all")],
    "limits": [retained("60 teacher steps, 300 lists")],
    "prediction": [claim("forecast by the inner product", scale=1)],
    "geometry": [first_block("cosines"), first_block("control_cosines")],
    "start": [retained("noise 0.1"), retained("shared heads")],
    "optimizer": [retained("sgd"), retained("momentum"), retained("sign")],
    "rank": [retained("rank 1, rate x1"), claim("`rank 1` at its best rate", ends=True)],
    "context": [retained("trained with own persona")],
    "steering": [
        claim("the control with the vector (of questions"),
        claim("students less the vector (of questions"),
    ],
    "defence": [retained("labels where surprised")],
    "hidden": [
        claim("surprise of the base, shown one list of each writer: right"),
        claim("both teachers, shown one list of each writer: right"),
        claim("surprise of the base, shown 50 lists of each writer: right"),
        claim("wrong numbers, shown 50 lists of each writer: right"),
    ],
    "generations": [
        *(claim("greedy: generation 5, as a share"), claim("sampled: generation 5, as a share")),
    ],
}


@functools.cache
def stored(name: str) -> Result:
    return read_result(BUNDLED / f"{name}.json")


def given(text: str) -> Iterator[tuple[float, float]]:
    """The numbers with a point, those before a %, and both ends of an interval: each with half of
    its last digit, by which it may be rounded."""
    for found in re.findall(
        r"[+-]?\d*\.\d+|-?\d+(?= %)|(?<=\[)-?\d+(?=,)|(?<=, )-?\d+(?=\])", text
    ):
        yield float(found), 0.5 / 10 ** len(found.partition(".")[2])


def test_the_tables_have_a_row_for_each_finding() -> None:
    assert re.findall(r"(?m)^\| `(\w+)` \|", README) == list(every_finding()) == list(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_has_the_numbers_of_the_stored_result(name: str) -> None:
    [text] = re.findall(rf"(?m)^\| `{name}` \| (.*) \|$", README)
    numbers = list(given(text))
    computed = [value for values in ROWS[name] for value in values(stored(name))]
    assert len(numbers) == len(computed) > 0, f"{text}: {computed}"
    for (number, half), value in zip(numbers, computed, strict=True):
        assert abs(number - value) <= half + 1e-3, f"{text}: {value:.3f} where {number:g} is said"


def count(text: str, words: str) -> int:
    """The number before some words, as digits or as a word; 0 where they are not there."""
    found = re.search(rf"(?i)(\d+|{'|'.join(NUMBERS)}) {words}", text)
    if found is None:
        return 0
    return int(found[1]) if found[1].isdecimal() else NUMBERS.index(found[1].lower())


@pytest.mark.parametrize("kind", ["findings", "disputes"])
def test_the_verdicts_are_counted(kind: str) -> None:
    """In the paragraph that says "twelve findings with 88 claims", in words or in digits."""
    findings = {"findings": FINDINGS, "disputes": DISPUTES}[kind]
    [text] = [part for part in PARAGRAPHS if re.search(rf"{kind} with \w+ claims", part)]
    verdicts = Counter(c["verdict"] for name in findings for c in stored(name).claims)
    assert count(text, kind) == len(findings)
    assert count(text, "claims") == verdicts.total()
    assert count(text, "holds?") == verdicts[HELD]
    assert count(text, "(?:is|are) undecided") == verdicts[UNDECIDED]
    assert count(text, "do(?:es)? not hold") == verdicts[NOT_HELD]
