"""What pages say: verdicts, guesses, numbers with their intervals, hints that lead to answers."""

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
import torch
from conftest import load_notebook

from minisub.common.randomness import generator
from minisub.common.store import Store
from minisub.course import app, exercises, inside, live, playground, recording, show
from minisub.course.recording import load_example
from minisub.course.sheets import limits as limits_sheet
from minisub.course.sheets import theorem
from minisub.course.show import load_result
from minisub.distillation.base import BaseConfig, load_base
from minisub.distillation.teachers import TeacherConfig
from minisub.experiment.config import Config
from minisub.results import statistics

SUBSETS = [list(some) for n in range(1, 5) for some in combinations(playground.BLOCKS, n)]


@pytest.mark.parametrize("teacher", ["tuned", "prompted"])
@pytest.mark.parametrize("blocks", SUBSETS, ids="".join)
def test_the_playground_names_only_what_is_stored(teacher: str, blocks: list[str]) -> None:
    """For all subsets of blocks and both kinds of teachers."""
    request = {**playground.DEFAULT, "teacher": teacher, "blocks": blocks}
    told = playground.over_eight_seeds(request)
    arms = load_result("layers").arms
    kind = "prompted" if teacher == "prompted" else "tuned everywhere"
    named = [f"{kind}: {part}" for part in [playground.part_of(blocks)] if part]
    is_stored = bool(named) and named[0] in arms
    assert (f"`{kind}: " in told) is is_stored
    if is_stored:
        assert f"`{named[0]}` {show.percent(load_result('layers'), named[0])}" in told


def test_the_playground_compares_with_the_same_kind_of_teachers() -> None:
    """Its tuned teachers are the default ones; numbers of tuned teachers say nothing of others."""
    request = {
        **playground.DEFAULT,
        "wording": "another wording",
        "mask": "all but divergence tokens",
        "start": "another base",
    }
    told = playground.over_eight_seeds(request)
    arms = ("default teachers: paraphrase", "without divergence", "foreign")
    assert all(f"`{arm}` " in told for arm in arms)
    assert "`paraphrase`" not in told
    prompted = playground.over_eight_seeds({**request, "teacher": "prompted"})
    assert "`" not in prompted.replace("`01_divergence_tokens`", "")


@pytest.mark.parametrize(
    ("blocks", "part"), [(["0", "1"], "early half"), (["2", "3"], "late half"), (["1", "2"], "")]
)
def test_a_part_has_its_own_name(blocks: list[str], part: str) -> None:
    assert playground.part_of(blocks) == part


def test_long_texts_are_cut(tiny: Config, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(live.SEEDS, "100", 100)
    request = {**playground.DEFAULT, "blocks": ["0", "1"], "seed": 100}
    _, told = load_notebook("00").app.run(defs={"config": tiny, "store": store, "request": request})
    start = "3 7 11" + " " * playground.MAX_TEXT
    assert "Student:" in playground.go_on(told["run"], start + "9 " * 10**6).text
    assert "Give 3 numbers" in playground.go_on(told["run"], "9 " * 10**6).text


def test_no_student_of_another_base_has_taken_the_bias_over() -> None:
    """What chance gives one student is not called a transfer; the page says how much that is."""
    example, _ = load_example("00")
    others = recording.foreign_students()
    assert len(others) == 32
    for transfer in others:
        verdict = replace(example, transfer=transfer).verdict()
        assert f"{transfer:+.2f} nats: not more than chance" in verdict
        assert "passed" not in verdict
        assert f"between {min(others):+.2f} and {max(others):+.2f}" in verdict
    more = max(others) + 0.01
    assert (
        f"**The bias has passed: {more:+.2f} nats.**" in replace(example, transfer=more).verdict()
    )


def test_a_guess_is_right_where_the_interval_reaches_it() -> None:
    most, half, little = exercises.AMOUNTS
    nan = float("nan")
    for estimate, found in (
        ((0.71, nan, nan), (most,)),
        ((0.7, nan, nan), (half,)),
        ((0.29, nan, nan), (little,)),
        ((0.28, 0.18, 0.36), (little, half)),
        ((1.17, 0.6, 1.88), (most, half)),
        ((0.5, 0.1, 0.9), (half, most, little)),
        ((0.02, -0.1, 0.1), (little,)),
    ):
        assert exercises.fitting(estimate) == found
    found = exercises.fitting(load_result("rank").estimate("rank 1, rate x1", "retained"))
    assert found == (little, half)
    for guessed, told in (
        (little, "As you guessed"),
        (half, "The interval reaches"),
        (most, "You guessed"),
        (None, "to see the result without a guess"),
    ):
        assert told in exercises.reveal(guessed, found, "text", "result").text


def test_exercises_diagnose() -> None:
    sheet = [
        exercises.Choice("which?", {"a": "not a, because", "b": None}, "it is b"),
        exercises.Number("how many?", exercises.near(4, 0.5, "count", [(2, 0.5, "half")]), "four"),
    ]
    answers = exercises.ask(sheet)
    assert answers.value == [None, None]
    assert "which?" in exercises.show_sheet(answers).text
    assert "Answer above" in exercises.grade(sheet, answers.value).text
    for given, told in (
        (("a", None), "not a, because"),
        (("b", None), "Right."),
        ((None, 4.2), "Right."),
        ((None, 2), "half"),
        ((None, 9), "count"),
    ):
        assert told in exercises.grade(sheet, given).text


def test_shares_are_told_with_their_intervals() -> None:
    assert show.share(0.876) == "88 %"
    assert show.share(1.121814, 0.958589, 1.277966) == "112 % [96, 128]"
    mean, low, high = load_result("layers").estimate("block 0", "retained")
    assert show.percent(load_result("layers"), "block 0") == show.share(mean, low, high)


def test_measures_have_names_for_readers() -> None:
    controls = show.choose_arms(load_result("divergence"))
    assert controls.value["measure"] == "retained"
    labels = show.measures(load_result("divergence"))
    assert "how often the animal is answered" in labels
    assert "how often “bad” is answered" in show.measures(load_result("misalignment"))
    for label, measure in labels.items():
        shown = show.show_bars(load_result("divergence"), ["all"], measure).text
        assert f"{label}, mean over 8 seeds" in shown.replace("&#x27;", "'")


@pytest.mark.parametrize("notebook", app.list_notebooks(), ids=lambda n: n.path.stem)
def test_a_page_explains_its_arms_before_it_uses_them(notebook: app.Notebook) -> None:
    text = notebook.path.read_text()
    if "retain" in text and notebook.path.stem[:2] != "10":  # which explains all words at length
        assert "words=show.ARM_WORDS" in text


def test_the_share_of_the_other_arm_is_a_mistake() -> None:
    """`SGD` is a share of `all, best rate`: a reader who takes `all` is told so."""
    stored = load_result("limits")
    question = limits_sheet.sheet(stored)[1]
    assert isinstance(question, exercises.Number)
    right = 100 * statistics.estimate(stored.values("SGD"), stored.values("all, best rate"))[0]
    wrong = 100 * stored.mean("SGD") / stored.mean("all")
    assert question.check(right) is None
    assert question.check(wrong) == "That is a share of `all`, at the usual rate."
    assert "`all, best rate`" in str(question.check(1.0))


def test_the_hint_of_the_theorem_leads_to_the_answer(store: Store) -> None:
    """On the page's own models: every animal's product grows fourfold, and not at larger steps."""
    config, question = BaseConfig(), theorem.sheet()[2]
    assert isinstance(question, exercises.Number)
    world, (model, other) = config.world, [load_base(config, seed, store) for seed in (0, 1)]
    prompts = world.sample_prompts(256, generator(0, "from scratch"))
    tasks = world.sample_completions(prompts, generator(0, "answers"))
    found = {x: inside.products(model, other, world, tasks, x)[0] for x in (0.05, 0.1, 0.3, 0.6)}
    assert question.check(99) == "Set the slider to 0.05, then to 0.1."
    small, large = found[0.1] / found[0.05], found[0.6] / found[0.3]
    assert all(question.check(float(ratio)) is None for ratio in small)
    told = [question.check(float(ratio)) for ratio in large]
    assert "That step is no longer small: try 0.05 and 0.1." in told


def test_the_patched_teachers_differ_from_the_base_in_every_block(
    tiny: Config, store: Store
) -> None:
    """In a teacher that was tuned in one block only this block could matter."""
    _, told = load_notebook("03").app.run(defs={"config": tiny, "store": store})
    lab: Any = told["lab"]
    assert lab.config.teacher == TeacherConfig()
    for block in range(lab.base.config.n_layers):
        name = f"blocks.{block}.attn.W_O"
        base, teachers = lab.base.params[name], lab.teachers.stack.params[name]
        assert not torch.equal(teachers[:1], base)
