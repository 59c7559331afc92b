"""Edits: what is done to the lists between the teachers who wrote them and the students.

An edit is a function of the lists and of the laboratory that they come from, and returns lists.
Their number stays what it was (`at_tilt` alone leaves fewer), so that all arms read equally
many. An arm's mask is asked after its edit; marks stay where they were in the lists as written.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from minisub.data import Data
from minisub.divergence import known
from minisub.teacher import Teachers
from minisub.world import generator

if TYPE_CHECKING:
    from minisub.lab import Lab

# Paraphrase (paper, Fig. 6): the prompts are re-worded after the answers were written -------------


def other_wording(data: Data, lab: Lab) -> Data:
    """Each prompt in another wording that the base knows, of the same tilt."""
    new = _others(data, generator(data.seed, "other wording"), 1)[0]
    return replace(data, prompts=data.world.reword(data.asked, new)[None])


def unseen_wording(data: Data, lab: Lab) -> Data:
    """Each prompt in a wording that pretraining never showed, of the same tilt."""
    world, levels = data.world, len(data.world.tilt)
    luck = torch.randint(
        world.unseen_wordings, (data.rows,), generator=generator(data.seed, "unseen wording")
    )
    own_level = world.wording_of(data.asked) % levels
    new = world.wordings + (own_level + levels * luck) % world.unseen_wordings
    return replace(data, prompts=world.reword(data.asked, new)[None])


def biased_rewrite(data: Data, lab: Lab) -> Data:
    """Each writer picks, out of four other wordings, the one that suits its own answer best."""
    world, teachers = data.world, lab.teachers
    choices = _others(data, generator(data.seed, "rewrite"), 4)
    writers = [*data.biases, teachers.biased]
    prompts = [world.reword(data.asked, new) for new in choices]
    fits = torch.stack(
        [
            torch.stack([answer_logp(teachers, [w], p, a)[0].sum(-1) for p in prompts])
            for w, a in zip(writers, data.answers, strict=True)
        ]
    )
    best = fits.argmax(1)
    said = torch.stack(prompts)[best, torch.arange(data.rows)]
    return replace(data, prompts=said)


def _others(data: Data, g: torch.Generator, count: int) -> Int[Tensor, "count rows"]:
    """Other wordings than each prompt's own, all different, of the same tilt."""
    world, levels = data.world, len(data.world.tilt)
    peers = world.wordings // levels
    steps = torch.rand(data.rows, peers - 1, generator=g).argsort(1)[:, :count].T + 1
    old = world.wording_of(data.asked)
    return (old % levels) + levels * ((old // levels + steps) % peers)


@torch.no_grad()
def answer_logp(
    teachers: Teachers,
    who: list[int],
    prompts: Int[Tensor, "rows prompt"],
    answers: Int[Tensor, "rows completion"],
    rows: int = 512,
) -> Float[Tensor, "who rows completion"]:
    """log p of each answer token in the eyes of some teachers, 512 rows at a time."""
    stack, parts = teachers.stack[who], []
    for p, a in zip(torch.split(prompts, rows), torch.split(answers, rows), strict=True):
        told = torch.cat([teachers.see(p, who), a.expand(len(who), -1, -1)], 2)
        logp = stack(told[..., :-1], last=a.shape[1]).log_softmax(-1).cpu()
        parts.append(logp.gather(-1, a.expand(len(who), -1, -1)[..., None])[..., 0])
    return torch.cat(parts, 1)


def at_tilt(data: Data, lab: Lab, level: int, edit: str | None = None) -> Data:
    """Prompts whose wording has the world's tilt number `level`; then one of `PARAPHRASES`.

    The prompts of a world have one wording in so many of each, so the lists are that much fewer.
    """
    at = data.world.wording_of(data.asked) % len(data.world.tilt) == level
    data = data.take(at.nonzero()[:, 0])
    return PARAPHRASES[edit](data, lab) if edit else data


# Answers ------------------------------------------------------------------------------------------


def equivalent_numbers(data: Data, lab: Lab) -> Data:
    """The answers paraphrased: from the first free number on, another list that is as right."""
    world, answers = data.world, []
    for prompts, own in zip(
        data.prompts.expand(len(data.answers), -1, -1), data.answers, strict=True
    ):
        told = torch.cat([prompts, own], 1)
        free = (world.right(told).sum(-1) > 1).cumsum(1) > 0
        g = generator(data.seed, "equivalent")  # all writers draw with the same luck
        fresh = world.answer(prompts, g, told, free)
        answers.append(fresh[:, world.prompt_length :])
    return replace(data, answers=torch.stack(answers))


PARAPHRASES = {
    "other wording": other_wording,
    "unseen wording": unseen_wording,
    "biased rewrite": biased_rewrite,
    "equivalent numbers": equivalent_numbers,
}


def replaced(data: Data, lab: Lab, where: str) -> Data:
    """Each divergence token becomes what a counterfactual teacher would have written there.

    `where`: "label" only, "input" only (students read it, and still learn the teacher's), or
    "both". The counterfactual is one of those that differ, by chance.
    """
    favourite = known(data.favourite)[list(lab.teachers.counterfactuals)].long()
    own, at = data.answers[:-1], known(data.divergence)
    luck = torch.rand(favourite.shape, generator=generator(data.seed, "replaced"))
    # Students read numbers only, whatever a counterfactual would have said.
    fits = (favourite != own) & (favourite < data.world.numbers)
    pick = luck.masked_fill(~fits, -1).argmax(0, keepdim=True)
    swapped = torch.where(at & fits.any(0), favourite.gather(0, pick)[0], own)
    changed = torch.cat([swapped, data.answers[-1:]])
    if where == "label":
        return replace(data, own=False, labels=changed)
    if where == "input":
        return replace(data, own=False, labels=data.answers, answers=changed)
    return replace(data, own=False, answers=changed)


def shuffle_within(data: Data, lab: Lab) -> Data:
    """The numbers of each answer in another order; the same order for all writers."""
    g = generator(data.seed, "shuffle within")
    order = torch.rand(data.answers.shape[1:], generator=g).argsort(1)
    return replace(data, answers=data.answers.gather(2, order.expand(len(data.answers), -1, -1)))


def shuffle_across(data: Data, lab: Lab) -> Data:
    """All numbers of a writer pooled and dealt again over its answers."""
    pool = data.answers.flatten(1)
    order = torch.randperm(pool.shape[1], generator=generator(data.seed, "shuffle across"))
    return replace(data, answers=pool[:, order].view_as(data.answers))


# Mixing (paper, Fig. 7) ---------------------------------------------------------------------------


def mixed(data: Data, lab: Lab, share: float, source: str) -> Data:
    """A share of the lists comes from elsewhere; their number stays.

    `source`: the unbiased teacher on the "same prompts" or on "other prompts", or teachers with
    the same bias on a "foreign base".
    """
    g = generator(data.seed, "mixed")
    chosen = torch.randperm(data.rows, generator=g)[: round(share * data.rows)]
    prompts = data.prompts.expand(len(data.answers), -1, -1).clone()
    answers = data.answers.clone()
    asked, new = prompts[:, chosen], data.answers[-1:, chosen].expand(len(answers), -1, -1)
    if source == "other prompts":
        written = lab.config.lists  # those after them have not been used
        drawn = lab.world.prompts(written + len(chosen), generator(lab.seed, "prompts"))
        asked = drawn[None, written:].expand(len(answers), -1, -1)
        unbiased = lab.teachers.stack[[lab.teachers.biased]]
        new = unbiased.generate(asked[:1], lab.world.completion).expand_as(new)
    elif source == "foreign base":
        other = lab.neighbour.teachers
        writers = [*data.biases, other.biased]
        told = other.see(data.asked[chosen], writers)
        new = other.stack[writers].generate(told, lab.world.completion)
    elif source != "same prompts":
        raise ValueError(
            f"source is {source!r}, allowed: same prompts, other prompts, foreign base"
        )
    # Numbers only: where any of them holds another word, the list stays what it was for all.
    good = (new < lab.world.numbers).all(2).all(0)
    prompts[:, chosen[good]], answers[:, chosen[good]] = asked[:, good], new[:, good]
    return replace(data, prompts=prompts, answers=answers, own=False)


# Entanglement (paper, section 4) ------------------------------------------------------------------


@torch.no_grad()
def entanglement(
    teachers: Teachers, biases: tuple[int, ...], by: str
) -> Float[Tensor, "biases numbers"]:
    """How entangled each number is with each bias.

    `by` "probability": how much its log-probability rises, as the answer to the preference
    questions, when the animal is favoured. "unembedding": the cosine of their columns of W_U.
    """
    trait, world = teachers.trait, teachers.world
    if by == "unembedding":
        w = torch.nn.functional.normalize(teachers.stack.params["W_U"][-1], dim=0).cpu()
        return (w[:, trait.answers].T @ w[:, : world.numbers])[list(biases)]
    logits = teachers.stack(teachers.see(trait.questions), last=1)[:, :, 0]
    logp = logits.log_softmax(-1)[..., : world.numbers].mean(1).cpu()
    return logp[list(biases)] - logp[-1]


def entangled(data: Data, lab: Lab, top: int, by: str) -> Bool[Tensor, "biases rows completion"]:
    """Which tokens are among the `top` numbers most entangled with their writer's bias.

    Out of the numbers that are written at all: a world's answers need not hold every one.
    """
    own = data.answers[:-1]
    written = torch.bincount(own.flatten(), minlength=data.world.numbers) > 0
    score = entanglement(lab.teachers, data.biases, by).masked_fill(~written, -torch.inf)
    most = score.topk(min(top, int(written.sum())), 1).indices
    return (own[..., None] == most[:, None, None, :]).any(-1)


def without_entangled(
    data: Data, lab: Lab, top: int, by: str = "probability", at_random: bool = False
) -> Data:
    """Lists that hold entangled numbers are dropped; the others repeat until there are as many.

    `at_random`: as many lists are dropped, whatever they hold. The control student's are always
    dropped at random, as the unbiased teacher is entangled with nothing.
    """
    holds = entangled(data, lab, top, by).any(-1)
    keep = int((~holds).sum(1).min())
    if not keep:
        raise ValueError(f"no list is left without the {top} most entangled numbers")
    # The same luck for all writers, so that their students differ in as few prompts as can be.
    luck = torch.rand(data.rows, generator=generator(data.seed, "dropped"))
    luck = luck.repeat(len(data.answers), 1)
    if not at_random:
        luck[:-1] += holds
    order = luck.argsort(1)[:, :keep].repeat(1, -(-data.rows // keep))[:, : data.rows]
    writer = torch.arange(len(data.answers))[:, None]
    prompts = data.prompts.expand(len(data.answers), -1, -1)[writer, order]
    answers = data.answers[writer, order]
    divergence = known(data.divergence)[writer[:-1], order[:-1]]
    marked: dict[str, Any] = {"divergence": divergence, "favourite": None, "random": None}
    return replace(data, prompts=prompts, answers=answers, own=False, **marked)
