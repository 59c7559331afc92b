"""Every finding, all of it, on worlds that are learned in seconds: arms, probes, claims, plot."""

import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from conftest import smaller

from minisub import plots, report
from minisub.arm import Config, changed
from minisub.findings import FINDINGS, shuffle
from minisub.findings.prediction import everywhere
from minisub.lab import Lab
from minisub.loss import by_autograd, by_hand
from minisub.model import Stack
from minisub.result import Result
from minisub.store import Store
from minisub.study import run_all
from minisub.train import train, trainable
from minisub.world import generator


def run(name: str, tiny: Config, store: Store) -> Result:
    finding = smaller(FINDINGS[name], tiny)
    [result] = run_all([finding.study], [100, 101], store, workers=1)
    return finding.judge(result)


@pytest.mark.parametrize("name", FINDINGS)
def test_a_finding_runs_is_judged_and_drawn(name: str, tiny: Config, store: Store) -> None:
    result, finding = run(name, tiny, store), FINDINGS[name]
    assert result.arms == [arm.name for arm in finding.arms]
    assert result.seeds == [100, 101]
    assert [c["claim"] for c in result.claims] == [c.text for c in finding.claims]
    assert all(c["value"] == c["value"] for c in result.claims), "a claim about nothing"
    drawing = plots.image(finding.plot(result), "svg")
    assert drawing == plots.image(finding.plot(result), "svg")
    assert "nats" in plots.alt(result)
    assert len(result.probes) >= 2 * len(finding.probes)


@pytest.mark.parametrize("name", FINDINGS)
def test_every_arm_learns_by_hand_what_it_does_by_autograd(
    name: str, tiny: Config, store: Store
) -> None:
    """Its own lists, mask, blocks and optimiser; after 50 steps, in double precision.

    On a fresh model of the arm's true depth, as all that matters here is arithmetic.
    """
    finding = smaller(FINDINGS[name], tiny)
    labs: dict[Config, Lab] = {}
    for arm, full in zip(finding.arms, FINDINGS[name].arms, strict=True):
        config = changed(finding.config, arm.changes)
        lab = labs.setdefault(config, Lab(config, 100, store))
        lessons, _, _ = lab._lessons(arm, range(len(lab.biases)))
        lessons = lessons._each(lambda x: x.double() if x.is_floating_point() else x)
        size = changed(FINDINGS[name].config, full.changes).pretraining.size
        shape = replace(config.pretraining.shape, depth=size.depth)
        start = Stack.init(shape, generator(1, "fresh")).repeat(len(lab.biases))
        start = Stack(shape, start.flat.double())
        mask = trainable(start, [full.trains] * start.members)
        how = replace(config.student, steps=50)
        ends = []
        for way in (by_hand, by_autograd):
            model = start[range(start.members)]
            train(model, [lessons], how, generator(2, "order"), mask, way=way)
            ends.append(model.flat)
        assert (ends[0] != start.flat).any(), arm.name
        told = partial("{}: {}".format, arm.name)
        torch.testing.assert_close(*ends, rtol=0.0, atol=1e-9, msg=told)


def test_the_commit_is_minisubs_own_or_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not that of a project around the environment that minisub is installed in."""
    me = ["-c", "user.name=x", "-c", "user.email=x@x"]
    for command in (["init", "-q"], [*me, "commit", "-q", "--allow-empty", "-m", "theirs"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    monkeypatch.setattr(report, "__file__", str(tmp_path / "lib" / "minisub" / "report.py"))
    (tmp_path / "lib" / "minisub").mkdir(parents=True)
    assert report.commit() == "unknown"


def test_the_report_says_every_claim_with_its_verdict(tiny: Config, store: Store) -> None:
    results = [run(name, tiny, store) for name in ("transfer", "shuffle", "misalignment")]
    page, text = (
        report.page(results, "minisub reproduce", report.figures(results)),
        report.markdown(results, "it"),
    )
    for result in results:
        for claim in result.claims:
            assert text.count(claim["rule"])
            assert claim["verdict"] in page
        assert report.verdicts(result) in text
        assert f"<h2 id={result.finding}>" in page
    assert page.count("<svg") == len(results) + 1
    for outside in ("<script", "<link", 'src="', "url(http"):  # it opens offline
        assert outside not in page
    _, told = everywhere(results)
    arms = sum(len(r.arms) for r in results) - 3  # two control rows; `all` twice
    assert f"{arms} arms" in told


def test_quick_is_all_arms_with_a_quarter_of_the_steps() -> None:
    for finding in FINDINGS.values():
        quick = finding.quick()
        assert [a.name for a in quick.arms] == [a.name for a in finding.arms]
        assert quick.config.biases == max(1, finding.config.biases // 2)
        assert quick.config.student.steps * 4 == finding.config.student.steps


def test_biases_take_turns_over_the_seeds() -> None:
    config = Config(biases=2)
    seen = [b for seed in range(8) for b in config.taught(seed, 8)]
    assert all(seen.count(b) == 2 for b in range(8))
    assert Config(biases=8).taught(5, 8) == tuple(range(8))
    assert Config(biases=4).taught(3, 8) == (1, 3, 5, 7)
    assert Config(biases=4).taught(3, 1) == (0,)


def test_a_change_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no 'studnet' to change; there are pretraining"):
        changed(Config(), {"studnet.lr": 1})
    with pytest.raises(ValueError, match="no 'x' to change"):
        changed(Config(), {"student.lr.x": 1})


def test_the_finding_in_the_docs_is_the_whole_file() -> None:
    file = Path(shuffle.__file__)
    assert file.read_text() in (file.parents[2] / "docs" / "extending.md").read_text()
