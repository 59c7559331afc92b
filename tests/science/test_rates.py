"""Each arm that trains a part is judged at its own best learning rate, found on other seeds."""

import math
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from conftest import shrink_finding

from minisub.cli.main import main
from minisub.common.store import Store
from minisub.devtools import learning_rates
from minisub.devtools.learning_rates import TunedArm
from minisub.experiment.arm import Arm
from minisub.experiment.config import Config
from minisub.experiment.options import RunOptions
from minisub.experiment.study import Study
from minisub.findings import DISPUTES, FINDINGS, Finding

DOCS = Path(__file__).parents[2] / "docs" / "validation.md"


def test_arms_with_a_rate_of_their_own_are_those_that_train_a_part_or_otherwise() -> None:
    assert {arm.name for arm in learning_rates.tuned_arms(FINDINGS["layers"])} == {
        arm.name for arm in FINDINGS["layers"].arms
    }
    limits = {arm.name for arm in learning_rates.tuned_arms(FINDINGS["limits"])}
    assert limits == {"all, best rate", "rank 1", "rank 2", "rank 4", "all weights", "SGD"}
    assert learning_rates.tuned_arms(FINDINGS["divergence"]) == []
    sgd = next(arm for arm in FINDINGS["limits"].arms if arm.name == "SGD")
    usual = learning_rates.factors_of(Arm("all"), FINDINGS["limits"])
    assert min(learning_rates.factors_of(sgd, FINDINGS["limits"])) > max(usual)


def test_an_arms_own_optimizer_is_another_one_too() -> None:
    """As an override is."""
    finding = DISPUTES["optimizer"]
    tuned = {
        arm.name: learning_rates.factors_of(arm, finding)
        for arm in learning_rates.tuned_arms(finding)
    }
    assert set(tuned) == {"all", "sgd", "momentum", "sign", "coupled decay"}
    for name in ("sgd", "momentum"):
        assert tuned[name] == (50.0, 100.0, 200.0, 400.0)
    assert tuned["all"] == tuned["coupled decay"] == learning_rates.FACTORS
    assert min(tuned["sign"]) < 0.3 < max(tuned["sign"])


def test_the_best_rate_is_chosen_by_what_was_asked_for() -> None:
    """And never one at which students diverged."""
    nan = math.nan
    arm = partial(
        TunedArm, "a", learning_rates.FACTORS, (0.1, 0.9, 0.3, nan), (0.5, 0.6, 0.4, nan), 2.0
    )
    assert (arm().best, arm("transfer").best, arm("loss").best) == (2.0, 2.0, 4.0)
    row = "| a | 0.5000 | 0.6000 | 0.4000 | diverged | x4 | x2 |"
    assert row in learning_rates.rates_table([arm("loss")]).markdown()
    assert (
        "| a | +0.10 | +0.90 | +0.30 | diverged | x2 | x2 |"
        in learning_rates.rates_table([arm()]).markdown()
    )
    none = TunedArm("a", learning_rates.FACTORS, (nan,) * 4, (nan,) * 4, 2.0)
    assert "| diverged | unknown | x2 |" in learning_rates.rates_table([none]).markdown()


def test_rates_by_loss_are_shown_as_losses(
    finding: Finding,
    store: Store,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(FINDINGS, "layers", finding)
    args = ["rates", "layers", "--seeds", "100:102", "--store", str(store.folder), "--workers", "1"]
    told = {}
    for by in ([], ["--by", "transfer"], ["--by", "loss"]):
        assert main([*args, *by]) == 0
        told[" ".join(by)] = capsys.readouterr().out
    lr = finding.config.student.lr
    at = f"mean over 2 seeds, at so many times the rate {lr:g}."
    assert told[""] == told["--by transfer"]
    assert told[""].startswith(f"Transfer in nats, {at}\n\n| arm |")
    assert told["--by loss"].startswith(
        f"Training loss at the end in nats a token, {at} The best rate has the lowest loss.\n\n"
    )
    options = RunOptions([100, 101], store, workers=1)
    for one in learning_rates.tune(finding, options, "loss"):
        assert one.loss[one.factors.index(one.best)] == min(one.loss)
        assert f"| {one.arm} | {one.loss[0]:.4f} |" in told["--by loss"]
    with pytest.raises(ValueError, match="by is 'luck', allowed: transfer, loss"):
        learning_rates.tune(finding, options, "luck")


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
        "minisub: no arm of divergence trains a part of the model, or by LoRA or another "
        "optimizer\n"
    )
    assert main(["rates", "layers", "--by", "luck"]) == 2
    assert "--by" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["layers", "limits"])
def test_findings_use_the_best_rates_of_the_table_in_the_docs(name: str) -> None:
    page = DOCS.read_text().split(f"### {name}\n")[1].split("\n## ")[0].split("\n### ")[0]
    rows = re.findall(
        r"^\| ([^|]+?)(?: \(rates times [^)]+\))? \|.*\| x([\d.e+]+) \| x([\d.e+]+) \|$", page, re.M
    )
    documented = {arm: (float(best), float(used)) for arm, best, used in rows}
    for arm in learning_rates.tuned_arms(FINDINGS[name]):
        assert documented[arm.name] == (arm.lr_factor, arm.lr_factor)
    for line in re.findall(r"(?m)^\| .+ \| x[\d.e+]+ \| x[\d.e+]+ \|$", page):
        first, *numbers, best, _ = line.strip("| ").split(" | ")
        scale = re.search(r"rates times ([\d.]+)", first)
        factors = [float(scale[1] if scale else 1) * f for f in learning_rates.FACTORS]
        transfer = [float(number) for number in numbers]
        assert transfer[factors.index(float(best[1:]))] == max(transfer), line


def test_a_rate_has_to_be_a_rate() -> None:
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"lr_factor is .* allowed: (above 0|finite numbers)"):
            Arm("a", lr_factor=wrong)
