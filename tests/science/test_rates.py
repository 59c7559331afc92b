"""Each arm that trains a part is judged at its own best learning rate, found on other seeds."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import shrink_finding

from minisub.cli.main import main
from minisub.common.store import Store
from minisub.devtools import learning_rates
from minisub.experiment.arm import Arm
from minisub.experiment.config import Config
from minisub.experiment.options import RunOptions
from minisub.experiment.study import Study
from minisub.findings import FINDINGS, Finding

DOCS = Path(__file__).parents[2] / "docs" / "validation.md"


def test_arms_with_a_rate_of_their_own_are_those_that_train_a_part_or_otherwise() -> None:
    assert {arm.name for arm in learning_rates.tuned_arms(FINDINGS["layers"])} == {
        arm.name for arm in FINDINGS["layers"].arms
    }
    limits = {arm.name for arm in learning_rates.tuned_arms(FINDINGS["limits"])}
    assert limits == {"all, best rate", "rank 1", "rank 2", "rank 4", "all weights", "SGD"}
    assert learning_rates.tuned_arms(FINDINGS["divergence"]) == []
    sgd = next(arm for arm in FINDINGS["limits"].arms if arm.name == "SGD")
    assert min(learning_rates.factors_of(sgd)) > max(learning_rates.factors_of(Arm("all")))


@pytest.fixture
def finding(tiny: Config) -> Finding:
    small = shrink_finding(FINDINGS["layers"], tiny)
    wanted = ("all", "block 0", "unembedding")
    return replace(small, arms=[arm for arm in small.arms if arm.name in wanted])


def test_each_rate_is_a_training_of_its_own(finding: Finding, store: Store) -> None:
    found = {
        one.arm: one
        for one in learning_rates.tune(finding, RunOptions([100, 101], store, workers=1))
    }
    arm = replace(
        next(a for a in finding.arms if a.name == "block 0"), lr_factor=4.0, baseline="block 0"
    )
    alone = Study([arm], finding.config).run([100, 101], store, workers=1)
    assert found["block 0"].transfer[2] == pytest.approx(sum(alone.values("block 0")) / 2)
    assert len(set(found["block 0"].transfer)) == len(learning_rates.FACTORS)
    best = found["all"].factors.index(found["all"].best)
    assert found["all"].transfer[best] == max(found["all"].transfer)
    table = learning_rates.rates_table(list(found.values())).markdown()
    assert f"| block 0 | {found['block 0'].transfer[0]:+.2f} |" in table


def test_reported_seeds_are_not_tuned_on(
    finding: Finding, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="from 32 on"):
        learning_rates.tune(finding, RunOptions([31, 32], store))
    assert main(["rates", "layers", "--seeds", "0:2"]) == 2
    assert "--seeds is 0:2, allowed: from 32 on" in capsys.readouterr().err
    assert main(["rates", "divergence"]) == 2
    assert capsys.readouterr().err == (
        "minisub: no arm of divergence trains a part of the model only\n"
    )


@pytest.mark.parametrize("name", ["layers", "limits"])
def test_findings_use_the_best_rates_of_the_table_in_the_docs(name: str) -> None:
    page = DOCS.read_text().split(f"### {name}\n")[1].split("\n## ")[0].split("\n### ")[0]
    rows = re.findall(
        r"^\| ([^|]+?)(?: \(rates times [^)]+\))? \|.*\| x([\d.e+]+) \| x([\d.e+]+) \|$", page, re.M
    )
    documented = {arm: (float(best), float(used)) for arm, best, used in rows}
    for arm in learning_rates.tuned_arms(FINDINGS[name]):
        assert documented[arm.name] == (arm.lr_factor, arm.lr_factor)


def test_a_rate_has_to_be_a_rate() -> None:
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"lr_factor is .* allowed: (above 0|finite numbers)"):
            Arm("a", lr_factor=wrong)
