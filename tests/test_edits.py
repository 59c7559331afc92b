"""Edits do what they say to the lists, and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from minisub import edits
from minisub.arm import Arm, changed
from minisub.data import Data
from minisub.divergence import (
    against_unbiased,
    divergence_tokens,
    favourites_only,
    favourites_without_divergence,
    fewer_counterfactuals,
    first_half,
    first_number,
    first_one,
    known,
    later_numbers,
    not_favourites,
    random_half,
    second_half,
)
from minisub.lab import Lab
from minisub.model import Stack
from minisub.world import World

PARAPHRASES = [edits.other_wording, edits.unseen_wording, edits.biased_rewrite]


@pytest.fixture
def data(lab: Lab) -> Data:
    return lab.data()


@pytest.mark.parametrize("edit", PARAPHRASES, ids=lambda f: f.__name__)
def test_a_paraphrase_changes_the_wording_of_every_prompt_and_nothing_else(
    lab: Lab, data: Data, edit: Callable[[Data, Lab], Data]
) -> None:
    world, new = lab.world, edit(data, lab)
    assert torch.equal(new.answers, data.answers)
    words = slice(3, 3 + world.instruction_length)
    for prompts in new.prompts:
        other = torch.ones(prompts.shape[1], dtype=torch.bool)
        other[words] = False
        assert torch.equal(prompts[:, other], data.asked[:, other])
        assert (world.wording_of(prompts) != world.wording_of(data.asked)).all()
        unseen = world.wording_of(prompts) >= world.wordings
        assert unseen.all() if edit is edits.unseen_wording else not unseen.any()
    assert torch.equal(edit(data, lab).prompts, new.prompts)


def test_the_biased_rewrite_suits_each_writer_better_than_chance(lab: Lab, data: Data) -> None:
    few = data.take(torch.arange(64))
    chosen, any_other = edits.biased_rewrite(few, lab), edits.other_wording(few, lab)
    fits = [
        edits.answer_logp(lab.teachers, [b], prompts, few.answers[b]).mean()
        for b in (0, 5)
        for prompts in (chosen.prompts[b], any_other.prompts[0])
    ]
    assert fits[0] > fits[1]
    assert fits[2] > fits[3]


def test_one_tilt_keeps_its_wordings_only() -> None:
    world = World(wordings=6, tilt=(0.0, 1.0, 2.0))
    prompts = world.prompts(90, torch.Generator().manual_seed(1))
    lists = Data(world, 1, (), prompts, prompts[None], torch.zeros(1, 90, 8, dtype=torch.long))
    for level in range(3):
        kept = edits.at_tilt(lists, None, level, "other wording")  # type: ignore[arg-type]
        assert set((world.wording_of(kept.asked) % 3).tolist()) == {level}
        assert set((world.wording_of(kept.prompts[0]) % 3).tolist()) == {level}
        assert (world.wording_of(kept.prompts[0]) != world.wording_of(kept.asked)).all()


def test_equivalent_numbers_are_right_and_carry_nothing_of_the_teacher(
    lab: Lab, data: Data
) -> None:
    world = lab.world
    first = lab.data().take(torch.arange(200))
    right = torch.cat([first.asked, first.answers[-1]], 1)
    right = world.answer(first.asked, torch.Generator().manual_seed(2), right, right[:, -4:] < 0)
    exact = edits.replace(first, answers=right[:, -4:].expand(9, -1, -1))
    new = edits.equivalent_numbers(exact, lab)
    told = torch.cat([new.asked, new.answers[0]], 1)
    p = world.next_number(told).gather(-1, new.answers[0][..., None])[..., 0]
    assert (p > 0).float().mean() > 0.99
    free = world.right(torch.cat([exact.asked, exact.answers[0]], 1)).sum(-1) > 1
    before = free.cumsum(1) == 0
    assert torch.equal(new.answers[0][before], exact.answers[0][before])
    assert not torch.equal(new.answers, exact.answers)


@pytest.mark.parametrize("where", ["label", "input", "both"])
def test_replaced_tokens_are_another_teachers_choice_at_divergence_tokens_only(
    lab: Lab, data: Data, where: str
) -> None:
    new = edits.replaced(data, lab, where)
    at, own = known(data.divergence), data.answers[:-1]
    read = new.answers[:-1]
    said = read if new.labels is None else new.labels[:-1]
    for tokens, changes in ((read, where != "label"), (said, where != "input")):
        assert ((tokens != own) == (at if changes else torch.zeros_like(at))).all()
    moved = read if where != "label" else said
    by_another = (known(data.favourite)[:8] == moved).any(0)
    assert by_another[at].all()
    assert torch.equal(new.answers[-1], data.answers[-1])


def test_shuffles_keep_what_they_say_they_keep(lab: Lab, data: Data) -> None:
    within, across = edits.shuffle_within(data, lab), edits.shuffle_across(data, lab)
    assert torch.equal(within.answers.sort(-1).values, data.answers.sort(-1).values)
    assert not torch.equal(within.answers, data.answers)
    pooled = [x.flatten(1).sort(-1).values for x in (across.answers, data.answers)]
    assert torch.equal(*pooled)
    assert not torch.equal(across.answers.sort(-1).values, data.answers.sort(-1).values)


@pytest.mark.parametrize("source", ["same prompts", "other prompts", "foreign base"])
def test_a_mix_replaces_the_share_that_it_says(lab: Lab, data: Data, source: str) -> None:
    new = edits.mixed(data, lab, 0.25, source)
    assert new.answers.shape == data.answers.shape
    same = (new.answers == data.answers).all(-1) & (new.prompts == data.prompts).all(-1)
    assert (~same).float().mean() <= round(0.25 * data.rows) / data.rows + 1e-6
    assert same[:-1].float().mean() < 0.99
    if source == "same prompts":
        other = ~same
        unbiased = data.answers[-1:].expand_as(data.answers)
        assert torch.equal(new.answers[other], unbiased[other])
    assert torch.equal(edits.mixed(data, lab, 0.25, source).answers, new.answers)


def test_an_unknown_source_is_refused(lab: Lab, data: Data) -> None:
    with pytest.raises(ValueError, match="allowed: same prompts"):
        edits.mixed(data, lab, 0.1, "thin air")


@pytest.mark.parametrize("by", ["probability", "unembedding"])
def test_no_entangled_number_is_left(lab: Lab, data: Data, by: str) -> None:
    new = edits.without_entangled(data, lab, 2, by)
    assert new.rows == data.rows
    at = edits.entangled(data, lab, 2, by)
    most = [data.answers[i][hit].unique() for i, hit in enumerate(at)]
    for answers, numbers in zip(new.answers, most, strict=False):
        assert len(numbers) == 2
        assert not torch.isin(answers, numbers).any()
    # The rows that are dropped at random are as many, and hold what they hold.
    random = edits.without_entangled(data, lab, 2, by, at_random=True)
    keep = int((~at.any(-1)).sum(1).min())
    assert 0 < keep < data.rows
    for kept in (new, random):
        assert torch.equal(kept.answers[:, keep:], kept.answers[:, : data.rows - keep])
    assert torch.isin(random.answers[0], most[0]).any()


def test_numbers_that_nobody_writes_are_no_entangled_ones(
    lab: Lab, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though their probability may rise most: dropping their lists would drop none."""
    missing = sorted(set(range(lab.world.numbers)) - set(data.answers[:-1].unique().tolist()))
    if not missing:  # make one
        rare = int(data.answers[:-1].flatten().bincount().argmin())
        data = data.take(~(data.answers == rare).any(-1).any(0))
        missing = [rare]
    rises = torch.zeros(len(data.biases), lab.world.numbers)
    rises[:, missing] = 9.0
    monkeypatch.setattr(edits, "entanglement", lambda *_: rises)
    at = edits.entangled(data, lab, 2, "probability")
    assert all(len(data.answers[i][hit].unique()) == 2 for i, hit in enumerate(at))


@pytest.mark.parametrize("source", ["other prompts", "foreign base"])
def test_words_from_elsewhere_do_not_pass_the_filter(
    lab: Lab, data: Data, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that holds another word stays what it was, for every writer."""
    plain, owl = Stack.generate, lab.world.animals.start

    def chatty(*args: Any, **more: Any) -> Tensor:
        answers = plain(*args, **more)
        answers[0, ::2, 0] = owl
        return answers

    monkeypatch.setattr(Stack, "generate", chatty)
    new = edits.mixed(data, lab, 0.5, source)
    assert (new.answers < lab.world.numbers).all()
    assert not torch.equal(new.answers, data.answers)


def test_words_of_counterfactuals_are_not_put_in(lab: Lab, data: Data) -> None:
    owl = lab.world.animals.start
    chatty = replace(data, favourite=torch.full_like(known(data.favourite), owl))
    assert torch.equal(edits.replaced(chatty, lab, "both").answers, data.answers)


@pytest.mark.parametrize(
    "edit",
    [
        partial(edits.mixed, share=0.5, source="same prompts"),
        partial(edits.without_entangled, top=1),
        partial(edits.replaced, where="label"),
    ],
    ids=lambda e: e.func.__name__,
)
def test_a_soft_arm_refuses_lists_from_elsewhere(lab: Lab, edit: Any) -> None:
    with pytest.raises(ValueError, match="'mine' is soft, and its edit takes lists or labels"):
        lab.row(Arm("mine", decoding="soft", edit=edit))


def test_masks_are_parts_of_the_divergence_tokens(data: Data) -> None:
    at = known(data.divergence)
    for a, b in ((first_half, second_half), (first_number, later_numbers)):
        assert not (a(data) & b(data)).any()
        assert torch.equal(a(data) | b(data), at)
    assert (first_one(data).sum(-1) == at.any(-1)).all()
    half = random_half(data)
    assert (half <= at).all()
    assert half.sum() / at.sum() == pytest.approx(0.5, abs=0.1)
    fewer = [fewer_counterfactuals(data, k).sum() for k in (1, 3, 7)]
    assert fewer[0] < fewer[1] < fewer[2] == at.sum()
    favourite = known(data.favourite)
    assert torch.equal(
        against_unbiased(data), divergence_tokens(data.answers[:-1], favourite, data.biases, [8])
    )


def test_edits_are_arms_like_any_other(lab: Lab) -> None:
    quick = Lab(changed(lab.config, {"student.steps": 3, "biases": 2}), lab.seed, lab.store)
    arm = Arm("mix", edit=partial(edits.mixed, share=0.5, source="same prompts"))
    spec = arm.spec()
    assert spec is not None
    assert spec["edit"] == "minisub.edits.mixed()[('share', 0.5), ('source', 'same prompts')]"
    row = quick.row(arm)
    assert row["biases"] == ["bee", "owl"] or len(row["biases"]) == 2
    assert row["signal"] < quick.row(Arm("all"))["signal"]


def test_sampled_tokens_are_divergence_tokens_other_favourites_or_no_favourites(lab: Lab) -> None:
    """Three parts of every sampled list; greedy lists have no third one."""
    sampled, greedy = lab.data(sampled=True), lab.data()
    parts = (known(sampled.divergence), favourites_without_divergence(sampled))
    rest = not_favourites(sampled)
    total = sum(part.int() for part in (*parts, rest))
    assert (total == 1).all()
    assert torch.equal(favourites_only(sampled), parts[0] | parts[1])
    assert all(part.any() for part in (*parts, rest))
    assert favourites_only(greedy).all()
    own = torch.stack([known(sampled.favourite)[b, i] for i, b in enumerate(sampled.biases)])
    assert torch.equal(rest, own != sampled.answers[:-1])
