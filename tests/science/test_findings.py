"""Every finding, all of it, on worlds that are learned in seconds: arms, probes, claims, plot."""

import html
import re
import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from conftest import shrink_finding

from minisub.cli import report
from minisub.common import provenance
from minisub.common.randomness import generator
from minisub.common.store import Store
from minisub.distillation.base import BUNDLED
from minisub.experiment.config import Config, with_overrides
from minisub.experiment.guards import diverged_row
from minisub.experiment.options import RunOptions
from minisub.experiment.seed_lab import SeedLab
from minisub.experiment.students import Students
from minisub.experiment.study import run_all
from minisub.findings import DISPUTES, every_finding, shuffle
from minisub.findings.prediction import all_findings
from minisub.results.claims import HELD, NOT_HELD, UNDECIDED
from minisub.results.result import Result, read_result
from minisub.results.retained import add_retained
from minisub.results.summaries import claim_text
from minisub.transformer.gradient import ManualGradient, autograd_gradient
from minisub.transformer.stack import TransformerStack
from minisub.transformer.training import train, update_multipliers
from minisub.viz import style


def run(name: str, tiny: Config, store: Store) -> Result:
    finding = shrink_finding(every_finding()[name], tiny)
    [result] = run_all([finding.study], RunOptions([100, 101], store, workers=1))
    return finding.judge(result)


@pytest.mark.parametrize("name", every_finding())
def test_a_finding_runs_is_judged_and_drawn(name: str, tiny: Config, store: Store) -> None:
    result, finding = run(name, tiny, store), every_finding()[name]
    assert result.arms == [arm.name for arm in finding.arms]
    assert result.seeds == [100, 101]
    assert [c["claim"] for c in result.claims] == [c.text for c in finding.claims]
    assert all(c["value"] == c["value"] for c in result.claims), "a claim about nothing"
    drawing = style.to_bytes(finding.plot(result), "svg")
    assert drawing == style.to_bytes(finding.plot(result), "svg")
    assert "nats" in result.describe()
    assert len(result.probes) >= 2 * len(finding.probes)


@pytest.mark.integration
@pytest.mark.parametrize("name", every_finding())
def test_every_arm_learns_by_hand_what_it_does_by_autograd(
    name: str, tiny: Config, store: Store
) -> None:
    """Its own lists, mask, blocks and optimizer; after 50 steps, in double precision.

    On a fresh model of the arm's true depth, as all that matters here is arithmetic.
    """
    finding = shrink_finding(every_finding()[name], tiny)
    labs: dict[Config, SeedLab] = {}
    for arm, full in zip(finding.arms, every_finding()[name].arms, strict=True):
        config = with_overrides(finding.config, arm.overrides)
        lab = labs.setdefault(config, SeedLab(config, 100, store))
        dataset = Students(lab).training_data(arm, range(len(lab.biases))).dataset
        dataset = dataset.map_tensors(lambda x: x.double() if x.is_floating_point() else x)
        size = with_overrides(every_finding()[name].config, full.overrides).base.model
        shape = replace(config.base.model_config, n_layers=size.n_layers)
        start = TransformerStack.init(shape, generator(1, "fresh")).repeat(len(lab.biases))
        start = TransformerStack(shape, start.flat_params.double())
        mask = update_multipliers(start, [full.trainable] * start.n_models)
        how = replace(config.student, steps=50)
        ends = []
        for way in (ManualGradient, autograd_gradient):
            model = start[range(start.n_models)]
            train(model, [dataset], how, generator(2, "order"), mask, gradient_fn=way)
            ends.append(model.flat_params)
        assert (ends[0] != start.flat_params).any(), arm.name
        told = partial("{}: {}".format, arm.name)
        torch.testing.assert_close(*ends, rtol=0.0, atol=1e-9, msg=told)


def test_the_commit_is_minisubs_own_or_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not that of a project around the environment that minisub is installed in."""
    me = ["-c", "user.name=x", "-c", "user.email=x@x"]
    for command in (["init", "-q"], [*me, "commit", "-q", "--allow-empty", "-m", "theirs"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "lib" / "minisub")
    (tmp_path / "lib" / "minisub").mkdir(parents=True)
    assert provenance.commit() == "unknown"


def test_the_report_says_every_claim_with_its_verdict(tiny: Config, store: Store) -> None:
    names = ("divergence", "layers", "paraphrase", "mixing", "misalignment", "prediction")
    results = [run(name, tiny, store) for name in names]
    page, text = (
        report.report_html(results, "minisub reproduce", report.draw_figures(results)),
        report.results_markdown(results, "it"),
    )
    for result in results:
        own = text.split(f"## {result.finding}\n")[1].split("\n## ")[0].splitlines()
        rows = page.split(f"<h2 id={result.finding}>")[1].split("<h2")[0].split("</tr>")
        for claim in result.claims:
            name, rule, verdict = (claim[key] for key in ("claim", "rule", "verdict"))
            [line] = [line for line in own if line.startswith(f"| {name} | {rule} |")]
            assert line.endswith(f"| {verdict} |")
            cells = f"<td>{html.escape(name)}</td><td>{html.escape(rule)}</td>"
            [row] = [row for row in rows if cells in row]
            assert report.MARKS[verdict][1] in row
        assert report.verdicts(result) in text
        assert f"<h2 id={result.finding}>" in page
    assert page.count("<svg") == len(results) + 2  # the page's picture, and the forecasts
    for outside in ("<script", "<link", 'src="', "url(http"):  # it opens offline
        assert outside not in page
    bare = replace(results[0], rows=[row for row in results[0].rows if row["arm"] == "all"])
    assert report.retained_sentence(bare) == ""
    three = [run(name, tiny, store) for name in ("transfer", "shuffle", "misalignment")]
    _, told = all_findings(three)
    arms = sum(len(r.arms) for r in three) - 3  # two control rows; `all` twice
    assert f"{arms} arms" in told


def test_disputes_are_undecided_where_nothing_can_be_said(tiny: Config, store: Store) -> None:
    """Of one seed, or of students that diverged; and the figure is drawn all the same."""
    one = run("rank", tiny, store).without(seed=101)
    assert {claim.verdict(one) for claim in DISPUTES["rank"].claims} == {UNDECIDED}
    found = run("geometry", tiny, store)
    nothing = {"cosines": None, "control_cosines": None}
    diverged = replace(found, rows=[{**row, **nothing} for row in found.rows])
    assert {claim.verdict(diverged) for claim in DISPUTES["geometry"].claims} == {UNDECIDED}
    assert style.to_bytes(DISPUTES["geometry"].plot(diverged), "svg")


def diverged(result: Result, arm: str, seed: int) -> Result:
    """The same, but for one arm, whose students diverged on one seed."""
    rows = [
        {**diverged_row(seed, arm, row["biases"], 1.0), "of": row["of"]}
        if (row["arm"], row["seed"]) == (arm, seed)
        else row
        for row in result.rows
    ]
    return replace(result, rows=add_retained(rows))


@pytest.mark.integration
@pytest.mark.parametrize("name", every_finding())
def test_students_of_any_arm_may_diverge(name: str) -> None:
    """On one of three seeds: what is judged, said and drawn has no traceback, and no "nan"."""
    finding, stored = every_finding()[name], read_result(BUNDLED / f"{name}.json")
    # Probes of these train students themselves, and give nothing where they diverge.
    kept = (0, 2) if name in ("steering", "generations") else (0, 1, 2)
    probes = [row for row in stored.probes if row["seed"] in kept]
    three = replace(stored, rows=[r for r in stored.rows if r["seed"] < 3], probes=probes)
    for arm in stored.arms:
        result = finding.judge(diverged(three, arm, 1))
        assert {c["verdict"] for c in result.claims} <= {HELD, NOT_HELD, UNDECIDED}
        texts = [str(result), claim_text([result]), result.describe(), result.to_json()]
        texts += [report.retained_sentence(result), report.verdicts(result)]
        assert not re.search(r"\bnan\b", "\n".join(texts), re.I), arm
        figure = finding.plot(result)
    assert style.to_bytes(figure, "svg")
    assert style.to_bytes(result.plot(), "svg")


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize(
    ("name", "arm", "text"),
    [
        ("transfer", "sampled", "`soft` transfers most: lead over the hard arms, nats"),
        ("transfer", "all", "`soft` transfers most: lead over the hard arms, nats"),
        ("limits", "all", "`all`: the weaker bias of each seed passes, nats"),
    ],
)
def test_a_claim_on_students_that_diverged_is_undecided(
    name: str, arm: str, text: str, seed: int
) -> None:
    """These take the largest or the smallest of several values, which may not be known."""
    stored = read_result(BUNDLED / f"{name}.json")
    [claim] = (claim for claim in every_finding()[name].claims if claim.text == text)
    assert claim.verdict(diverged(stored, arm, seed)) == UNDECIDED


def test_quick_is_all_arms_with_a_quarter_of_the_steps() -> None:
    for finding in every_finding().values():
        quick = finding.quick()
        assert [a.name for a in quick.arms] == [a.name for a in finding.arms]
        assert quick.config.biases_per_seed == max(1, finding.config.biases_per_seed // 2)
        assert quick.config.student.steps * 4 == finding.config.student.steps


def test_biases_take_turns_over_the_seeds() -> None:
    config = Config(biases_per_seed=2)
    seen = [b for seed in range(8) for b in config.biases_of(seed, 8)]
    assert all(seen.count(b) == 2 for b in range(8))
    assert Config(biases_per_seed=8).biases_of(5, 8) == tuple(range(8))
    assert Config(biases_per_seed=4).biases_of(3, 8) == (1, 3, 5, 7)
    assert Config(biases_per_seed=4).biases_of(3, 1) == (0,)


def test_a_change_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no 'studnet' to change; there are base"):
        with_overrides(Config(), {"studnet.lr": 1})
    with pytest.raises(ValueError, match="no 'x' to change"):
        with_overrides(Config(), {"student.lr.x": 1})


def test_the_finding_in_the_docs_is_the_whole_file() -> None:
    file = Path(shuffle.__file__)
    assert file.read_text() in (file.parents[2] / "docs" / "extending.md").read_text()
