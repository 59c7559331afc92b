"""What a defender may change: labels, weights, what stands in the slot, what else is learned."""

import pytest
import torch

from minisub.distillation.masks import down_weighted
from minisub.distillation.number_lists import MarkedLists
from minisub.distillation.relabel import unbiased_labels
from minisub.distillation.slots import other_slot
from minisub.experiment.arm import Arm
from minisub.experiment.seed_lab import SeedLab
from minisub.experiment.students import Students


@pytest.fixture
def data(lab: SeedLab) -> MarkedLists:
    return lab.marked_lists()


@pytest.mark.parametrize("where", ["divergence", "half", "random", "surprise", "disagreement"])
def test_labels_change_where_they_may_and_are_the_unbiased_teachers(
    lab: SeedLab, data: MarkedLists, where: str
) -> None:
    new = unbiased_labels(data, lab, where)
    assert new.labels is not None
    assert torch.equal(new.completions, data.completions)  # what students read
    assert torch.equal(new.labels[-1], data.completions[-1])
    changed = new.labels[:-1] != data.completions[:-1]
    unbiased = data.teacher_argmax[lab.teachers.unbiased_index].long()
    assert torch.equal(new.labels[:-1][changed], unbiased[changed])
    allowed = {"divergence": data.is_divergence_token, "random": data.is_random_match}
    if where in allowed:
        assert not (changed & ~allowed[where]).any()
    if where == "surprise":
        assert (changed.sum((1, 2)) <= data.is_divergence_token.sum((1, 2))).all()
        both = changed & data.is_divergence_token
        assert both.sum() > 0.5 * changed.sum()  # what surprises the base is what diverges
    everywhere = unbiased_labels(data, lab, "everywhere").labels
    assert everywhere is not None
    assert not (changed & (everywhere[:-1] == data.completions[:-1])).any()


def test_divergence_tokens_weigh_less(data: MarkedLists) -> None:
    weights = down_weighted(data, 0.25)
    assert (weights[data.is_divergence_token] == 0.25).all()
    assert (weights[~data.is_divergence_token] == 1).all()


def test_students_read_another_slot_and_nothing_else(lab: SeedLab, data: MarkedLists) -> None:
    world, rest = lab.world, [0, *range(2, data.teacher_prompts.shape[1])]
    for token in ("<bos>", "own persona", "other persona"):
        new = other_slot(data, lab, token).student_prompts
        assert (new[..., rest] == data.teacher_prompts[:, rest]).all()
        slot = [int(prompts[0, 1]) for prompts in new]
        if token == "<bos>":
            assert set(slot) == {world.token("<bos>")}
        else:
            moved = int(token == "other persona")
            biases = [(b + moved) % lab.teachers.n_biased for b in data.biases]
            assert slot == [*map(world.persona_token, biases), world.token("<sys>")]


def test_students_are_asked_with_another_token(lab: SeedLab) -> None:
    students = Students(lab)
    neutral = students.preferences(lab.base)
    assert (students.preferences(lab.base, Arm("x")) == neutral).all()
    assert (students.preferences(lab.base, Arm("x", asked_with="<bos>")) != neutral).any()


def test_rehearsal_keeps_answers_near_the_bases(lab: SeedLab) -> None:
    students = Students(lab)
    start = students.preferences(lab.base)
    moved = [
        abs(students.preferences(students.train(arm, [0])[0]) - start).mean()
        for arm in (Arm("all"), Arm("rehearsal", rehearsal=1.0))
    ]
    assert moved[1] < 0.5 * moved[0]
