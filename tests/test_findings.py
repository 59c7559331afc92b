"""Every finding, all of it, on worlds that are learned in seconds: arms, probes, claims, plot."""

import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from minisub import plots, report
from minisub.arm import Arm, Config, changed
from minisub.base import SETS, Pretraining
from minisub.findings import FINDINGS, Finding, shuffle
from minisub.findings.prediction import everywhere
from minisub.result import Result
from minisub.store import Store
from minisub.study import run_all


def shrunk(how: Pretraining, tiny: Config) -> Pretraining:
    """The tiny world with what sets another world, or size, apart from the default one."""
    world, size, default = how.world, how.size, SETS["base"]
    changes: dict[str, object] = {}
    if world != default.world:
        changes |= {"world.sensitivity": world.sensitivity, "world.conduct": min(8, world.conduct)}
    if size.depth != default.size.depth:
        changes["size.depth"] = size.depth // 2
    if size.width != default.size.width:
        changes["size.width"] = 12
    return changed(tiny.pretraining, changes)


def smaller(finding: Finding, tiny: Config) -> Finding:
    def arm(arm: Arm) -> Arm:
        changes = {
            name: shrunk(value, tiny) if name == "pretraining" else value
            for name, value in arm.changes.items()
            if name != "student.steps"
        }
        if "lists" in changes:
            changes["lists"] = min(changes["lists"], tiny.lists) if finding.name != "limits" else 96
        deep = changes.get("pretraining", tiny.pretraining).size.depth
        trains = {k: v for k, v in arm.trains.items() if block(k) < deep} or {"blocks.1.": 1.0}
        edit = arm.edit
        if isinstance(edit, partial) and "top" in edit.keywords:  # out of 12 numbers, not of 40
            edit = partial(edit.func, **{**edit.keywords, "top": min(2, edit.keywords["top"])})
        return replace(arm, changes=changes, trains=trains, edit=edit)

    config = replace(
        tiny,
        pretraining=shrunk(finding.config.pretraining, tiny),
        teaching=replace(tiny.teaching, kind=finding.config.teaching.kind),
        student=replace(tiny.student, steps=6, batch=16),
        biases=2,
    )
    return replace(finding, config=config, arms=[arm(a) for a in finding.arms])


def block(key: str) -> int:
    """The block that a parameter's name is about; -1 for none."""
    parts = key.split(".")
    return int(parts[1]) if len(parts) > 1 and parts[1] else -1


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
