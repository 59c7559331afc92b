"""Edits do what they say to the lists, and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from minisub.distillation import edits, entanglement
from minisub.distillation.divergence_tokens import find_divergence_tokens
from minisub.distillation.masks import (
    against_unbiased,
    favourites_only,
    favourites_without_divergence,
    fewer_counterfactuals,
    first_half,
    first_number,
    first_one,
    later_numbers,
    not_favourites,
    random_half,
    second_half,
)
from minisub.distillation.number_lists import MarkedLists
from minisub.distillation.relabel import unbiased_labels
from minisub.experiment.arm import Arm
from minisub.experiment.config import with_overrides
from minisub.experiment.seed_lab import SeedLab
from minisub.experiment.students import Students
from minisub.transformer.stack import TransformerStack
from minisub.world.world import ANIMALS, World

MIXES = [edits.mix_unbiased, edits.mix_other_prompts, edits.mix_other_base]
PARAPHRASES = [edits.other_wording, edits.unseen_wording, edits.biased_rewrite]


@pytest.fixture
def data(lab: SeedLab) -> MarkedLists:
    return lab.marked_lists()


@pytest.mark.parametrize("edit", PARAPHRASES, ids=lambda f: f.__name__)
def test_a_paraphrase_changes_the_wording_of_every_prompt_and_nothing_else(
    lab: SeedLab, data: MarkedLists, edit: Callable[[MarkedLists, SeedLab], MarkedLists]
) -> None:
    world, new = lab.world, edit(data, lab)
    assert torch.equal(new.completions, data.completions)
    words = slice(3, 3 + world.instruction_length)
    for prompts in new.student_prompts:
        other = torch.ones(prompts.shape[1], dtype=torch.bool)
        other[words] = False
        assert torch.equal(prompts[:, other], data.teacher_prompts[:, other])
        assert (world.wording_of(prompts) != world.wording_of(data.teacher_prompts)).all()
        unseen = world.wording_of(prompts) >= world.n_wordings
        assert unseen.all() if edit is edits.unseen_wording else not unseen.any()
    assert torch.equal(edit(data, lab).student_prompts, new.student_prompts)


def test_the_biased_rewrite_suits_each_writer_better_than_chance(
    lab: SeedLab, data: MarkedLists
) -> None:
    few = data.select_rows(torch.arange(64))
    chosen, any_other = edits.biased_rewrite(few, lab), edits.other_wording(few, lab)
    fits = [
        edits.completion_log_probs(lab.teachers, b, prompts, few.completions[b]).mean()
        for b in (0, 5)
        for prompts in (chosen.student_prompts[b], any_other.student_prompts[0])
    ]
    assert fits[0] > fits[1]
    assert fits[2] > fits[3]


@pytest.mark.parametrize("edit", [edits.other_wording, edits.unseen_wording])
def test_a_new_wording_has_the_same_tilt(lab: SeedLab, edit: Callable[..., MarkedLists]) -> None:
    world = World(n_wordings=6, n_unseen_wordings=3, tilt=(0.0, 1.0, 2.0))
    prompts = world.sample_prompts(90, torch.Generator().manual_seed(1))
    nothing = torch.zeros(0, 90, 8, dtype=torch.bool)
    lists = MarkedLists(
        world=world,
        seed=1,
        biases=(),
        teacher_prompts=prompts,
        student_prompts=prompts[None],
        completions=torch.zeros(1, 90, 8, dtype=torch.long),
        teacher_argmax=torch.zeros(9, 0, 90, 8, dtype=torch.int16),
        is_divergence_token=nothing,
        is_random_match=nothing,
    )
    old = world.wording_of(prompts)
    new = world.wording_of(edit(lists, lab).student_prompts[0])
    assert (new % 3 == old % 3).all()
    assert (new != old).all()


def test_edits_say_what_is_allowed(lab: SeedLab, data: MarkedLists) -> None:
    few = replace(data, world=replace(data.world, n_wordings=1, n_unseen_wordings=0))
    for wrong, said in (
        (partial(edits.mix_unbiased, share=25.0), "share is 25.0, allowed: 0 to 1"),
        (partial(edits.mix_other_prompts, share=-0.1), "share is -0.1, allowed: 0 to 1"),
        (partial(edits.replace_divergence_tokens, where="labels"), "where is 'labels', allowed"),
        (partial(unbiased_labels, where="here"), "where is 'here', allowed: divergence"),
        (partial(entanglement.without_entangled, top=2, by="word"), "by is 'word', allowed"),
    ):
        with pytest.raises(ValueError, match=said):
            wrong(data, lab)
    for edit, said in (
        (edits.unseen_wording, "n_unseen_wordings is 0"),
        (edits.other_wording, "n_wordings is 1, allowed: 2 and more"),
    ):
        with pytest.raises(ValueError, match=said):
            edit(few, lab)
    for mix in (edits.mix_other_prompts, edits.mix_other_base):
        assert mix(data, lab, share=0.0) is data


def test_equivalent_numbers_are_right_and_carry_nothing_of_the_teacher(
    lab: SeedLab, data: MarkedLists
) -> None:
    world = lab.world
    first = lab.marked_lists().select_rows(torch.arange(200))
    right = torch.cat([first.teacher_prompts, first.completions[-1]], 1)
    right = world.sample_completions(
        first.teacher_prompts, torch.Generator().manual_seed(2), right, right[:, -4:] < 0
    )
    exact = replace(first, completions=right[:, -4:].expand(9, -1, -1))
    new = edits.equivalent_numbers(exact, lab)
    told = torch.cat([new.teacher_prompts, new.completions[0]], 1)
    p = world.next_number_probs(told).gather(-1, new.completions[0][..., None])[..., 0]
    assert (p > 0).float().mean() > 0.99
    free = world.is_right(torch.cat([exact.teacher_prompts, exact.completions[0]], 1)).sum(-1) > 1
    before = free.cumsum(1) == 0
    assert torch.equal(new.completions[0][before], exact.completions[0][before])
    assert not torch.equal(new.completions, exact.completions)


@pytest.mark.parametrize("where", ["label", "input", "both"])
def test_replaced_tokens_are_another_teachers_choice_at_divergence_tokens_only(
    lab: SeedLab, data: MarkedLists, where: str
) -> None:
    new = edits.replace_divergence_tokens(data, lab, where)
    at, own = data.is_divergence_token, data.completions[:-1]
    read = new.completions[:-1]
    said = read if new.labels is None else new.labels[:-1]
    for tokens, changes in ((read, where != "label"), (said, where != "input")):
        assert ((tokens != own) == (at if changes else torch.zeros_like(at))).all()
    moved = read if where != "label" else said
    by_another = (data.teacher_argmax[:8] == moved).any(0)
    assert by_another[at].all()
    assert torch.equal(new.completions[-1], data.completions[-1])


def test_shuffles_keep_what_they_say_they_keep(lab: SeedLab, data: MarkedLists) -> None:
    within, across = edits.shuffle_within(data, lab), edits.shuffle_across(data, lab)
    assert torch.equal(within.completions.sort(-1).values, data.completions.sort(-1).values)
    assert not torch.equal(within.completions, data.completions)
    pooled = [x.flatten(1).sort(-1).values for x in (across.completions, data.completions)]
    assert torch.equal(*pooled)
    assert not torch.equal(across.completions.sort(-1).values, data.completions.sort(-1).values)


@pytest.mark.parametrize("mix", MIXES, ids=lambda f: f.__name__)
def test_a_mix_replaces_the_share_that_it_says(
    lab: SeedLab, data: MarkedLists, mix: Callable[..., MarkedLists]
) -> None:
    new = mix(data, lab, 0.25)
    assert new.completions.shape == data.completions.shape
    same = (new.completions == data.completions).all(-1) & (
        new.student_prompts == data.student_prompts
    ).all(-1)
    assert (~same).float().mean() <= round(0.25 * data.n_rows) / data.n_rows + 1e-6
    assert same[:-1].float().mean() < 0.99
    if mix is edits.mix_unbiased:
        other = ~same
        unbiased = data.completions[-1:].expand_as(data.completions)
        assert torch.equal(new.completions[other], unbiased[other])
    assert torch.equal(mix(data, lab, 0.25).completions, new.completions)


@pytest.mark.parametrize("by", ["probability", "unembedding"])
def test_no_entangled_number_is_left(lab: SeedLab, data: MarkedLists, by: str) -> None:
    new = entanglement.without_entangled(data, lab, 2, by)
    assert new.n_rows == data.n_rows
    at = entanglement.is_entangled(data, lab, 2, by)
    most = [data.completions[i][hit].unique() for i, hit in enumerate(at)]
    for answers, numbers in zip(new.completions, most, strict=False):
        assert len(numbers) == 2
        assert not torch.isin(answers, numbers).any()
    # The rows that are dropped at random are as many, and hold what they hold.
    random = entanglement.without_entangled(data, lab, 2, by, at_random=True)
    keep = int((~at.any(-1)).sum(1).min())
    assert 0 < keep < data.n_rows
    for kept in (new, random):
        assert torch.equal(kept.completions[:, keep:], kept.completions[:, : data.n_rows - keep])
    assert torch.isin(random.completions[0], most[0]).any()


def test_numbers_that_nobody_writes_are_no_entangled_ones(
    lab: SeedLab, data: MarkedLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though their probability may rise most: dropping their lists would drop none."""
    missing = sorted(set(range(lab.world.n_numbers)) - set(data.completions[:-1].unique().tolist()))
    if not missing:  # make one
        rare = int(data.completions[:-1].flatten().bincount().argmin())
        data = data.select_rows(~(data.completions == rare).any(-1).any(0))
        missing = [rare]
    rises = torch.zeros(len(data.biases), lab.world.n_numbers)
    rises[:, missing] = 9.0
    monkeypatch.setattr(entanglement, "entanglement", lambda *_: rises)
    at = entanglement.is_entangled(data, lab, 2, "probability")
    assert all(len(data.completions[i][hit].unique()) == 2 for i, hit in enumerate(at))


@pytest.mark.parametrize("mix", MIXES[1:], ids=lambda f: f.__name__)
def test_words_from_elsewhere_do_not_pass_the_filter(
    lab: SeedLab,
    data: MarkedLists,
    mix: Callable[..., MarkedLists],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A list that holds another word stays what it was, for every writer."""
    plain, owl = TransformerStack.generate, lab.world.animal_tokens.start

    def chatty(*args: Any, **more: Any) -> Tensor:
        answers = plain(*args, **more)
        answers[0, ::2, 0] = owl
        return answers

    monkeypatch.setattr(TransformerStack, "generate", chatty)
    new = mix(data, lab, 0.5)
    assert (new.completions < lab.world.n_numbers).all()
    assert not torch.equal(new.completions, data.completions)


def test_words_of_counterfactuals_are_not_put_in(lab: SeedLab, data: MarkedLists) -> None:
    owl = lab.world.animal_tokens.start
    chatty = replace(data, teacher_argmax=torch.full_like(data.teacher_argmax, owl))
    assert torch.equal(
        edits.replace_divergence_tokens(chatty, lab, "both").completions, data.completions
    )


@pytest.mark.parametrize(
    "edit",
    [
        partial(edits.mix_unbiased, share=0.5),
        partial(entanglement.without_entangled, top=1),
        partial(edits.replace_divergence_tokens, where="label"),
    ],
    ids=lambda e: e.func.__name__,
)
def test_a_soft_arm_refuses_lists_from_elsewhere(lab: SeedLab, edit: Any) -> None:
    with pytest.raises(ValueError, match="'mine' is soft, and its edit takes lists or labels"):
        Students(lab).row(Arm("mine", decoding="soft", edit=edit))


def test_masks_are_parts_of_the_divergence_tokens(data: MarkedLists) -> None:
    at = data.is_divergence_token
    for a, b in ((first_half, second_half), (first_number, later_numbers)):
        assert not (a(data) & b(data)).any()
        assert torch.equal(a(data) | b(data), at)
    assert (first_one(data).sum(-1) == at.any(-1)).all()
    half = random_half(data)
    assert (half <= at).all()
    assert half.sum() / at.sum() == pytest.approx(0.5, abs=0.1)
    fewer = [fewer_counterfactuals(data, k).sum() for k in (1, 3, 7)]
    assert fewer[0] < fewer[1] < fewer[2] == at.sum()
    favourite = data.teacher_argmax
    assert torch.equal(
        against_unbiased(data),
        find_divergence_tokens(data.completions[:-1], favourite, data.biases, [8]),
    )


def test_edits_are_arms_like_any_other(lab: SeedLab) -> None:
    quick = SeedLab(
        with_overrides(lab.config, {"student.steps": 3, "biases_per_seed": 2}), lab.seed, lab.store
    )
    arm = Arm("mix", edit=partial(edits.mix_unbiased, share=0.5))
    spec = arm.spec()
    assert spec is not None
    assert spec["edit"] == "minisub.distillation.edits.mix_unbiased([['share', 0.5]])"
    row = Students(quick).row(arm)
    assert sorted(row["biases"]) == sorted(ANIMALS[bias] for bias in quick.biases)
    assert len(row["biases"]) == 2
    assert row["signal"] < Students(quick).row(Arm("all"))["signal"]


def test_sampled_tokens_are_divergence_tokens_other_favourites_or_no_favourites(
    lab: SeedLab,
) -> None:
    """Three parts of every sampled list; greedy lists have no third one."""
    sampled, greedy = lab.marked_lists(sampled=True), lab.marked_lists()
    parts = (sampled.is_divergence_token, favourites_without_divergence(sampled))
    rest = not_favourites(sampled)
    total = sum(part.int() for part in (*parts, rest))
    assert (total == 1).all()
    assert torch.equal(favourites_only(sampled), parts[0] | parts[1])
    assert all(part.any() for part in (*parts, rest))
    assert favourites_only(greedy).all()
    own = torch.stack([sampled.teacher_argmax[b, i] for i, b in enumerate(sampled.biases)])
    assert torch.equal(rest, own != sampled.completions[:-1])
