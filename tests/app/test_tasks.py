"""Functions to write on the pages: solutions pass, and usual mistakes have their diagnoses."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from minisub.common.randomness import generator
from minisub.course import sheets, tasks
from minisub.course.exercises import Choice
from minisub.course.show import load_result
from minisub.distillation.divergence_tokens import (
    argmax_of_every_teacher,
    mark_divergence_tokens,
)
from minisub.distillation.edits import other_wording
from minisub.distillation.number_lists import generate_lists
from minisub.experiment.seed_lab import SeedLab
from minisub.transformer.config import ModelConfig
from minisub.transformer.stack import TransformerStack


def solution_mask(most_likely: Tensor, written: Tensor, writer: int) -> Tensor:
    own = most_likely[writer]
    return (most_likely != own).any(0) & (own == written)


@pytest.fixture(scope="module")
def marked(lab: SeedLab) -> tuple[Tensor, Tensor, Tensor]:
    """All teachers' most likely numbers, what teacher 2 wrote, and the library's own marks."""
    lists = mark_divergence_tokens(
        lab.teachers, generate_lists(lab.teachers, range(8), 100, lab.seed)
    )
    most_likely = argmax_of_every_teacher(lab.teachers, lists)[:8, 2]
    return most_likely, lists.completions[2], lists.is_divergence_token[2]


def test_the_solution_marks_what_the_library_marks(marked: tuple[Tensor, Tensor, Tensor]) -> None:
    most_likely, written, truth = marked
    assert torch.equal(solution_mask(most_likely, written, 2), truth)
    assert tasks.check_divergence_mask(solution_mask, most_likely, written, 2) is None


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda f, w, b: None, "Nothing is returned yet"),
        (lambda f, w, b: [1], "type list"),
        (lambda f, w, b: f[0] / 0 + nothing, "NameError"),  # noqa: F821
        (lambda f, w, b: f[b] != f[b], "compared with itself"),
        (lambda f, w, b: ~solution_mask(f, w, b), "The other way round"),
        (lambda f, w, b: torch.cat([f[:b], f[b + 1 :]]).ne(f[b]).all(0), "`any`, not `all`"),
        (lambda f, w, b: f[0] != f[b], "Only one other teacher"),
        (lambda f, w, b: solution_mask(f, w, b).roll(-1, -1), "Off by one"),
        (lambda f, w, b: solution_mask(f, w, b).roll(1, -1), "Off by one"),
        (lambda f, w, b: solution_mask(f, w, b).T, "Transposed"),
        (lambda f, w, b: solution_mask(f, w, b)[:5], "The shape is"),
        (lambda f, w, b: solution_mask(f, w, b) & (f[0] > 3), "% of the entries are right"),
    ],
)
def test_a_wrong_mask_is_diagnosed(
    wrong: Callable[..., Any], told: str, marked: tuple[Tensor, Tensor, Tensor]
) -> None:
    most_likely, written, _ = marked
    assert told in (tasks.check_divergence_mask(wrong, most_likely, written, 2) or "")


def patch(base: dict[str, Tensor], teacher: dict[str, Tensor], block: int) -> dict[str, Tensor]:
    return {n: (teacher if n.startswith(f"blocks.{block}.") else base)[n] for n in base}


def patch_by_update(base: dict[str, Tensor], teacher: dict[str, Tensor], block: int) -> Any:
    base.update({n: w for n, w in teacher.items() if n.startswith(f"blocks.{block}.")})
    return base


def add_a_name(base: dict[str, Tensor], teacher: dict[str, Tensor], block: int) -> Any:
    teacher["new"] = teacher["W_E"]
    return patch(base, teacher, block)


def patch_in_place(base: dict[str, Tensor], teacher: dict[str, Tensor], block: int) -> Any:
    for name in base:
        if name.startswith(f"blocks.{block}."):
            base[name].copy_(teacher[name])
    return base


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (patch, None),
        (lambda s, t, b: None, "Nothing is returned yet"),
        (lambda s, t, b: s, "nothing is patched"),
        (lambda s, t, b: t, "the whole teacher"),
        (lambda s, t, b: {n: (t if "blocks" in n else s)[n] for n in s}, "All blocks are taken"),
        (lambda s, t, b: patch(t, s, b), "The other way round"),
        (lambda s, t, b: patch(s, t, b + 1), "counted from 0"),
        (lambda s, t, b: patch(s, t, (b - 1) % 3), "counted from 0"),  # 3 blocks
        (lambda s, t, b: dict.fromkeys(s, 1), "A mapping of tensors"),
        (lambda s, t, b: {"W_E": s["W_E"]}, "every weight's name"),
        (patch_in_place, "The student was changed in place"),
        (patch_by_update, "The student was changed in place"),
        (add_a_name, "The teacher was changed in place"),
    ],
)
def test_a_patch_is_diagnosed(function: Callable[..., Any], told: str | None) -> None:
    shape = ModelConfig(8, 3, 2, 16, d_vocab=12, n_ctx=9)
    g = generator(1, "weights")
    models = [TransformerStack.init(shape, g) for _ in range(2)]
    base, teacher = ({n: w[0].detach().clone() for n, w in m.params.items()} for m in models)
    found = tasks.check_patched_block(function, base, teacher, 0)
    assert found is None if told is None else told in (found or "")
    for given, model in zip((base, teacher), models, strict=True):
        assert given.keys() == model.params.keys()
        assert all(torch.equal(w, model.params[name][0]) for name, w in given.items())
    # Whatever an answer did before, the next one is judged with the models as they are.
    found = tasks.check_patched_block(lambda s, t, b: dict(s), base, teacher, 0)
    assert found == "This is the student as it was: nothing is patched."


def reword(prompts: Tensor, wordings: Tensor, new: Tensor, at: int = 3) -> Tensor:
    out = prompts.clone()
    out[:, at : at + 2] = wordings[new]
    return out


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (reword, None),
        (lambda p, w, new: p, "as they were"),
        (lambda p, w, new: reword(p, w, new, 4), "the numbers are changed too"),
        (lambda p, w, new: reword(p, w, new, 2), "<user> is overwritten"),
        (lambda p, w, new: reword(p, w, 0 * new), "the same wording"),
        (lambda p, w, new: reword(p, w.flip(-1), new), "wrong order"),
    ],
)
def test_a_rewording_is_diagnosed(
    function: Callable[..., Any], told: str | None, lab: SeedLab
) -> None:
    lists = lab.marked_lists()
    reworded = other_wording(lists, lab)
    new = lab.world.wording_of(reworded.student_prompts[0])
    found = tasks.check_rewording(function, lists.teacher_prompts, lab.world.wording_tokens, new)
    assert found is None if told is None else told in (found or "")
    right = reword(lists.teacher_prompts, lab.world.wording_tokens, new)
    assert torch.equal(right, reworded.student_prompts[0])  # what the library's edit does


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda g, d: -(g * d).sum(), None),
        (lambda g, d: -float(g @ d), None),
        (lambda g, d: -np.float32(g @ d), None),
        (lambda g, d: -np.dot(g.numpy(), d.numpy()), None),
        (lambda g, d: g @ d, "The sign"),
        (lambda g, d: -(g @ d) / g.norm() / d.norm(), "That is the cosine"),
        (lambda g, d: (g @ d) / g.norm() / d.norm(), "a cosine, and the sign"),
        (lambda g, d: (g * d).abs().sum(), "Without `abs`"),
        (lambda g, d: -(g * d).mean(), "not their mean"),
        (lambda g, d: -g * d, "The shape is"),
    ],
)
def test_an_inner_product_is_diagnosed(function: Callable[..., Any], told: str | None) -> None:
    gradient, change = torch.randn(2, 200, generator=generator(1, "vectors"), dtype=torch.float64)
    found = tasks.check_alignment(function, gradient, change)
    assert found is None if told is None else told in (found or "")


ARGUMENTS = {
    "DIVERGENCE_MASK": "most_likely, written, writer",
    "PATCHED_BLOCK": "base, teacher, block",
    "REWORDING": "prompts, wordings, new",
    "ALIGNMENT": "gradient, change",
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_solution_that_a_task_shows_is_right(
    name: str, marked: tuple[Tensor, Tensor, Tensor]
) -> None:
    task, scope = getattr(tasks, name), dict[str, Any]()
    body = "\n".join(f"    {line}" for line in task.solution.splitlines())
    exec(f"def solution({ARGUMENTS[name]}):\n{body}", scope)
    g = generator(2, "arguments")
    models = [TransformerStack.init(ModelConfig(8, 3, 2, 16, d_vocab=12, n_ctx=9), g) for _ in "ab"]
    given: dict[str, tuple[Any, ...]] = {
        "DIVERGENCE_MASK": (*marked[:2], 2),
        "PATCHED_BLOCK": (
            *({n: w[0].detach().clone() for n, w in m.params.items()} for m in models),
            1,
        ),
        "REWORDING": (
            torch.randint(40, (9, 9), generator=g),
            torch.arange(50, 70).view(10, 2),
            torch.randint(10, (9,), generator=g),
        ),
        "ALIGNMENT": tuple(torch.randn(2, 30, generator=g)),
    }
    assert task.check(scope["solution"], *given[name]) is None


def test_a_task_folds_hint_and_solution_away() -> None:
    for found in ("why", None):
        task = tasks.Task(
            "## Do it", lambda function, found=found: found, "a hint", "return 1", "77"
        )
        shown = task.show(patch).text
        for part in (found or "Right", "Hint", "Solution", "startswith", "Do it", "app 77 --edit"):
            assert part in shown


SHEETS = sorted(
    p.stem for p in Path(sheets.__file__).parent.glob("*.py") if not p.stem.startswith("_")
)
STORED = {
    "divergence_tokens": "divergence",
    "leakage": "leakage",
    "early_layers": "layers",
    "fragility": "mixing",
    "misalignment": "misalignment",
    "limits": "limits",
    "prediction": "prediction",
    "disputes": "rank",
}


@pytest.mark.parametrize("name", SHEETS)
def test_an_exercise_sheet_has_one_right_answer_each(name: str) -> None:
    """Every wrong option says why, and a number that is far off gets a hint."""
    module = importlib.import_module(f"minisub.course.sheets.{name}")
    sheet = module.sheet(load_result(STORED[name])) if name in STORED else module.sheet()
    assert len(sheet) == 3
    for question in sheet:
        assert question.solution
        if isinstance(question, Choice):
            assert [question.check(o) for o in question.options].count(None) == 1
        else:
            right = [n for n in np.arange(-100, 300, 0.05) if question.check(float(n)) is None]
            assert right, question.text
            assert np.ptp(right) < 12
            assert question.check(1e6)
