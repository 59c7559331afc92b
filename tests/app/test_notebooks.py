"""The notebooks: clean, runnable, and right about values that they compute on a tiny world."""

import html
import json
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import marimo as mo
import matplotlib.text
import numpy as np
import pytest
from conftest import load_notebook as load

from minisub.common.files import MinisubError
from minisub.common.provenance import PACKAGE
from minisub.common.store import Store
from minisub.course import (
    app,
    background,
    disputes,
    examples,
    export,
    handout,
    judging,
    live,
    plain,
    playground,
    show,
)
from minisub.course.limits import check_limits
from minisub.course.recording import Recording, load_example
from minisub.course.show import load_result
from minisub.experiment.config import Config, with_overrides
from minisub.findings import DISPUTES, every_finding
from minisub.results.claims import retains
from minisub.world.world import ANIMALS

NOTEBOOKS = app.list_notebooks()
FINDING_OF = {
    "02": "leakage",
    "03": "layers",
    "04": "paraphrase",
    "05": "misalignment",
    "06": "limits",
    "07": "prediction",
    "13": "rank",
}


@pytest.fixture(autouse=True)
def _offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeds of the tests' tiny world are offered as well."""
    for seed in range(100, 104):
        monkeypatch.setitem(live.SEEDS, str(seed), seed)


def run(number: str, **defs: Any) -> dict[str, Any]:
    _, told = load(number).app.run(defs=defs)
    return dict(told)


def test_every_notebook_says_what_it_is() -> None:
    assert [n.path.stem[:2] for n in NOTEBOOKS] == [f"{i:02d}" for i in range(14)]
    assert all(n.title != n.path.stem and n.description for n in NOTEBOOKS)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda n: n.path.stem)
def test_a_page_can_be_opened_by_itself(notebook: app.Notebook) -> None:
    """Its header (PEP 723) asks for minisub, from this checkout, and for the same Pythons."""
    project = PACKAGE.parent
    told = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    block = re.search(r"(?ms)^# /// script\n(.*?)^# ///$", notebook.path.read_text())
    assert block is not None
    header = tomllib.loads(re.sub(r"(?m)^# ?", "", block[1]))
    assert header["requires-python"] == told["requires-python"]
    assert header["dependencies"] == [told["name"]]
    source = header["tool"]["uv"]["sources"][told["name"]]["path"]
    assert (notebook.path.parent / source).resolve() == project


@pytest.mark.integration
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda n: n.path.stem)
def test_marimo_has_no_complaint_and_it_runs_as_a_script(notebook: app.Notebook) -> None:
    check = [sys.executable, "-m", "marimo", "check", "--strict", str(notebook.path)]
    for command in (check, [sys.executable, str(notebook.path)]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_divergence_notebook_on_a_tiny_world(tiny: Config, store: Store) -> None:
    """The lists are lit at divergence tokens only, and a live student takes the bias over."""
    request = {"bias": "fox", "arm": "divergence only", "seed": 100}
    told = run("01", config=tiny, seed=100, store=store, request=request)
    lists, page, choices = told["lists"], told["page"], told["choices"]
    own = choices[told["bias"]]
    differs = (choices != own).any(0)
    assert (page.is_divergence_token[told["bias"]] == differs).all()
    assert 0 < lists.is_divergence_token.float().mean() < 0.6
    trained = told["run"]
    fox = ANIMALS.index("fox")
    recording = trained.recording
    assert np.allclose(recording.probs.sum(-1), 1)
    assert recording.transfer > 0.05
    assert recording.probs[-1, 0].argmax() == fox


@pytest.mark.parametrize("number", ["02", "03", "04", "05", "06", "07", "13"])
def test_a_live_student_takes_the_bias_over(number: str, tiny: Config, store: Store) -> None:
    """`all` passes the bias, and the first picture is the base's: no difference yet."""
    bias, config = "owl", tiny
    if number == "05":
        changes = {"base.world.n_conduct_questions": 8, "teacher.kind": "misaligned"}
        bias, config = "bad", with_overrides(tiny, changes)
    request = {"bias": bias, "arm": "all", "seed": 100}
    told = run(number, config=config, store=store, request=request)
    trained = told["run"]
    assert trained.lab.biases == (0,)
    recording = trained.recording
    assert np.array_equal(recording.probs[0, 0], recording.probs[0, 1])
    assert recording.transfer > 0.05
    student, control = recording.cosines[-1].T[np.isfinite(recording.cosines[-1, 0])].T
    assert student.mean() > control.mean()  # it moved the teacher's way, and the control did not
    stored = told["stored"]
    assert stored.finding == FINDING_OF[number]
    assert set(stored.arms) == {arm.name for arm in every_finding()[FINDING_OF[number]].arms}


@pytest.mark.parametrize("number", ["01", *FINDING_OF])
def test_visitors_may_train_every_arm_that_a_page_offers(number: str) -> None:
    finding = every_finding()[FINDING_OF.get(number, "divergence")]
    for arm in finding.arms:
        check_limits(with_overrides(finding.config, arm.overrides))  # or ValueError


def test_the_playground_masks_the_bias_away(tiny: Config, store: Store) -> None:
    """The same teacher: its bias passes, and not where divergence tokens are masked."""
    request = {**playground.DEFAULT, "blocks": ["0", "1"], "seed": 102, "bias": "owl"}
    free, masked = (
        run("00", config=tiny, store=store, request={**request, "mask": mask})["run"]
        for mask in ("all tokens", "all but divergence tokens")
    )
    assert free.recording.transfer > 0.05
    assert (
        masked.recording.transfer < free.recording.transfer / 3
    )  # one student: the difference is what is sure


def test_every_preset_is_an_arm() -> None:
    arms = {
        name: playground.experiment({**playground.DEFAULT, **preset}, Config())
        for name, preset in playground.PRESETS.items()
    }
    assert arms["another base's weights"][0].other_base
    assert list(arms["one early block"][0].trainable) == ["blocks.0."]
    assert arms["one early block"][1].teacher.kind == "prompted"
    assert arms["paraphrase it away"][1].base.world.round_every == 5
    assert arms["the surprise"][1] == Config()


def test_a_hypothesis_is_judged_against_all(tiny: Config, store: Store) -> None:
    request = {
        "which": "The bias is in divergence tokens after the first of each list.",
        "first": 0,
        "count": 2,
    }
    told = run("08", config=tiny, store=store, request=request)
    result, comparison = told["result"], told["comparison"]
    a, b = (np.array(result.values(arm)) for arm in ("mine", "all"))
    assert comparison.difference == pytest.approx(float(np.mean(a - b)))
    assert comparison.low < comparison.difference < comparison.high


def test_the_theorem_in_front_of_the_reader(tiny: Config, store: Store) -> None:
    """Same start: never against the teacher. A stranger: smaller or of any sign."""
    told = run("12", config=tiny.base, seed=100, store=store)
    assert told["own"].min() > 0
    assert np.abs(told["other"]).max() < told["own"].max() or told["other"].min() < 0


@pytest.mark.integration
@pytest.mark.parametrize("page", ["00", "03"])
def test_a_stored_example_comes_out_again(page: str, tmp_path: Path) -> None:
    """Within what rounding does to one student on another machine."""
    stored, about = load_example(page)
    made = examples.make_example(page, Store(tmp_path))
    again = Recording.from_json(made["recording"])
    assert (again.arm, again.seed, again.steps) == (stored.arm, stored.seed, stored.steps)
    assert again.transfer == pytest.approx(stored.transfer, abs=0.15)
    np.testing.assert_allclose(again.cosines, stored.cosines, atol=0.05)
    assert about.get("lists") == made.get("lists")


@pytest.mark.parametrize("page", examples.PAGES)
def test_every_page_has_an_example_that_can_be_drawn(page: str) -> None:
    recording, about = load_example(page)
    assert about["finding"] in every_finding()
    assert recording.plot(3).axes[0].get_title(loc="left").startswith(f"Step {recording.steps[3]}")
    assert f"{recording.transfer:+.2f} nats" in recording.verdict()
    assert Recording.from_json(recording.to_json()).describe() == recording.describe()


def test_a_page_without_an_example_is_named() -> None:
    with pytest.raises(MinisubError, match="page 99 has no stored example"):
        load_example("99")


def test_the_background_page_learns_its_examples() -> None:
    assert background.owl_probability(0.0) == pytest.approx(1 / 8)
    odds = [p / (1 - p) for p in map(background.owl_probability, (1.0, 2.0))]
    assert odds[1] / odds[0] == pytest.approx(np.e)
    assert np.allclose(background.learned_probabilities(0), 1 / 8)
    assert np.allclose(background.learned_probabilities(40), background.EXAMPLES, atol=0.02)


def test_the_disputes_page_sets_one_cell_beside_the_stored_ones() -> None:
    stored, (recording, _) = load_result("rank"), load_example("13")
    figure = disputes.with_cell(stored, recording)
    texts = {t.get_text() for t in figure.findobj(matplotlib.text.Text)}
    assert f"yours {recording.transfer:+.2f}" in texts
    row = next(r for r in stored.rows if (r["arm"], r["seed"]) == (recording.arm, recording.seed))
    own = dict(zip(row["biases"], row["by_bias"], strict=True))[recording.name]
    assert f"{own:+.2f}." in disputes.beside_stored(stored, recording)
    assert recording.transfer == pytest.approx(own, abs=0.15)
    stranger = replace(recording, bias=(recording.bias + 1) % 8)
    assert "have other teachers" in disputes.beside_stored(stored, stranger)
    elsewhere = replace(recording, seed=99)
    assert "No student of this seed is stored." in disputes.beside_stored(stored, elsewhere)
    assert [row["dispute"] for row in disputes.overview()] == list(DISPUTES)


def test_the_judging_page_shows_what_it_says() -> None:
    """One weak student spoils the mean of ratios; stopping early finds what eight seeds do not."""
    found = judging.ratios_by_bias(load_result("layers"), "tuned everywhere: block 0")
    assert found[:, 2].mean() > 2
    assert found[:, 0].mean() / found[:, 1].mean() < 1
    leakage = load_result("leakage")
    arms = ("without entangled", "without as many at random")
    gap = np.subtract(*(leakage.values(arm) for arm in arms)).tolist()
    excludes = [not low <= 0 <= high for _, _, low, high in judging.growing_intervals(gap)]
    assert excludes[1], "three seeds"
    assert not excludes[-1], "eight seeds"
    verdicts = [
        retains("divergence only", low=t).judge(load_result("divergence"))["verdict"]
        for t in (0.9, 1.5)
    ]
    assert verdicts == ["held", "not held"]


def test_an_unknown_notebook_is_refused() -> None:
    with pytest.raises(MinisubError, match="allowed: 00, 01"):
        app.pick_notebook("77")


EXPORTED = (
    '<html><body class="x"><div id="root"></div><script>{"session": {"cells": [{"outputs": []}, '
    '{"outputs": [{"data": {"text/html": "HTML"}}]}]}}</script></body></html>'
)


def exported(shown: Any) -> str:
    return EXPORTED.replace("HTML", json.dumps(shown.text)[1:-1])


def test_a_plain_page_has_all_that_a_reader_needs() -> None:
    """Folds are open, tables are tables, controls show where they stand and are named."""
    form = (
        mo.md("{animal} {strength}")
        .batch(
            animal=mo.ui.dropdown(["owl", "fox"], value="fox", label="likes the"),
            strength=mo.ui.slider(1, 9, value=4, label="strength"),
        )
        .form(submit_button_label="Train")
    )
    table = show.show_table([{"arm": "a <b>", "x": 1}])
    shown = mo.vstack(
        [
            mo.md("**A page** with 3 < 4"),
            mo.accordion({"One": mo.md("first"), "Two": mo.vstack([mo.md("second"), table])}),
            mo.ui.radio(["yes", "no"], label="Is it?"),
            mo.ui.number(value=None, label="How many?"),
            mo.ui.tabs({"Left": mo.md("here"), "Right": mo.md("there")}),
            mo.callout(mo.md("Right."), kind="success"),
            form,
        ]
    )
    text, controls = plain.to_plain(plain.read_outputs(exported(shown)))
    assert "marimo-" not in text
    words = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())
    for part in (
        *("A page with 3 < 4", "One first Two second", "arm x a <b> 1"),
        *("Is it? ○ yes ○ no", "How many? ________", "Left here Right there", "Right."),
        *("likes the fox", "strength 4", "[ Train ]"),
    ):
        assert part in words, words
    assert sorted(controls) == sorted(["Is it?", "How many?", "likes the", "strength", "Train"])
    page = export.with_plain(exported(shown), exported(shown), "03")
    assert page.index('id="plain"') < page.index('id="root"')
    assert "<code>minisub app 03</code>" in page.replace("app\n03", "app 03")
    with pytest.raises(ValueError, match="no page that marimo"):
        plain.read_outputs("<html></html>")


def test_the_handout_is_one_page_and_says_what_is_known(tmp_path: Path) -> None:
    """The same file each time, with the numbers of the stored results."""
    files = handout.write_handout(tmp_path)
    assert [f.name for f in files] == ["handout.pdf", "handout.svg"]
    first = [f.read_bytes() for f in files]
    assert first[0].startswith(b"%PDF")
    assert first[0].count(b"/Type /Page\n") + first[0].count(b"/Type /Page ") == 1
    assert [f.read_bytes() for f in handout.write_handout(tmp_path)] == first
    texts = [t.get_text() for t in handout.draw().findobj(matplotlib.text.Text)]
    all_tokens = load_result("divergence").estimate("all", "transfer")[0]
    assert f"{all_tokens:+.2f}" in texts
    for term, _ in handout.TERMS:
        assert term in texts


def test_export_fails_with_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "00_broken.py"
    broken.write_text(
        "import marimo\napp = marimo.App()\n\n\n@app.cell\ndef _():\n    1 / 0\n    return\n"
    )
    monkeypatch.setattr(app, "FOLDERS", (tmp_path,))
    with pytest.raises(MinisubError, match="cannot export 00_broken"):
        export.export_course(tmp_path / "out")
