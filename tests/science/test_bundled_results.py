"""The stored results are this code's: configuration, arms and claims; and a sample drawn anew."""

import json
import re
from pathlib import Path

import pytest

from minisub.cli import report
from minisub.common.store import Store
from minisub.distillation.base import BUNDLED
from minisub.experiment.study import Study
from minisub.findings import every_finding
from minisub.results.result import read_result

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", every_finding())
def test_a_stored_result_is_of_this_configuration(name: str) -> None:
    result, finding = read_result(BUNDLED / f"{name}.json"), every_finding()[name]
    again = f"run `minisub run {name} --json minisub/bundled/{name}.json`"
    assert result.config == json.loads(json.dumps(finding.config.as_dict())), again
    assert result.arms == [arm.name for arm in finding.arms], again
    assert result.seeds == list(range(8))
    assert len(result.rows) == 8 * len(finding.arms)
    baselines = {arm.name: arm.baseline for arm in finding.arms}
    assert {row["arm"]: row["of"] for row in result.rows} == baselines, again


@pytest.mark.parametrize("name", every_finding())
def test_stored_verdicts_follow_from_the_stored_rows(name: str) -> None:
    result, finding = read_result(BUNDLED / f"{name}.json"), every_finding()[name]
    for stored, claim in zip(result.claims, finding.claims, strict=True):
        judged = claim.judge(result)
        assert "rests_on" in stored
        assert judged.keys() == stored.keys()
        for name, value in judged.items():  # the claim's words, its rule, numbers, verdict
            is_number = isinstance(value, float)
            same = pytest.approx(stored[name], abs=1e-5) if is_number else stored[name]
            assert value == same, (claim.text, name)


def test_the_results_page_is_made_from_the_stored_results() -> None:
    results = [read_result(BUNDLED / f"{name}.json") for name in every_finding()]
    command = "minisub reproduce --seeds 0:8 --all"
    made = report.results_markdown(results, command).splitlines()
    stored = (DOCS / "results.md").read_text().splitlines()
    [about] = [line for line in stored if line.startswith("Made by ")]
    assert re.match(rf"Made by `{command}` at commit [0-9a-f]{{12}};", about)
    assert [x for x in made if not x.startswith("Made by ")] == [x for x in stored if x != about]


@pytest.mark.soak
@pytest.mark.parametrize("name", ["transfer", "divergence", "paraphrase"])
def test_a_sample_drawn_anew_agrees(name: str, tmp_path: Path) -> None:
    """Seed 0, two arms, from the bundled base on. Machines differ in the last digits, and training
    makes more of them; the difference between seeds is ten times the tolerance."""
    result, finding = read_result(BUNDLED / f"{name}.json"), every_finding()[name]
    arms = [
        arm
        for arm in finding.arms
        if arm.name in ("all", "divergence only", "sampled", "paraphrase")
    ]
    fresh = Study(arms, finding.config).run([0], Store(tmp_path), workers=1)
    for row in fresh.rows:
        (stored,) = (r for r in result.rows if r["arm"] == row["arm"] and r["seed"] == 0)
        assert row["transfer"] == pytest.approx(stored["transfer"], abs=0.05)
        assert row["divergence_share"] == pytest.approx(stored["divergence_share"], abs=0.005)
