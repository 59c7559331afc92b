"""Edits: what is done to the lists between the teachers who wrote them and the students.

An edit is a function of marked lists and of a context, and returns marked lists. It keeps the
number of lists (except `at_tilt`), so that all arms read equally many. An arm's mask is asked after
its edit; marks stay where they were in the lists as written.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minisub.common.randomness import generator
from minisub.distillation.base import BaseConfig
from minisub.distillation.number_lists import MarkedLists
from minisub.distillation.teachers import Teachers
from minisub.transformer.stack import TransformerStack


class EditContext(ABC):
    """What an edit may ask for besides the lists. A `SeedLab` is one."""

    seed: int  # that the lists belong to

    @property
    @abstractmethod
    def n_lists(self) -> int:
        """How many prompts the teachers were given."""

    @property
    @abstractmethod
    def base_config(self) -> BaseConfig:
        """What made the base, but for its seed."""

    @property
    @abstractmethod
    def base(self) -> TransformerStack:
        """The model that the teachers were made from."""

    @property
    @abstractmethod
    def teachers(self) -> Teachers:
        """The teachers who wrote the lists."""

    @property
    @abstractmethod
    def other_base(self) -> TransformerStack:
        """The base of the next seed."""

    @property
    @abstractmethod
    def other_base_teachers(self) -> Teachers:
        """Teachers with the same biases, made from another base."""


F = TypeVar("F", bound=Callable[..., Any])


def needs_other_base(edit: F) -> F:
    """Declare that an edit or a start asks for another base, so that it is there in time."""
    edit.needs_other_base = True  # type: ignore[attr-defined]
    return edit


def asks_for_other_base(edit: Any) -> bool:
    """Return whether an edit or a start, or the function inside a partial, was declared so."""
    inner = edit.func if isinstance(edit, functools.partial) else edit
    return getattr(inner, "needs_other_base", False)


# Paraphrase (paper, Fig. 6): the prompts are re-worded after the answers were written -------------


def other_wording(lists: MarkedLists, context: EditContext) -> MarkedLists:
    """Put each prompt into another wording that the base knows, of the same tilt.

    Args:
        lists: As written.
        context: Not used.
    """
    new = _other_wordings(lists, generator(lists.seed, "other wording"), 1)[0]
    return replace(lists, student_prompts=lists.world.reword(lists.teacher_prompts, new)[None])


def unseen_wording(lists: MarkedLists, context: EditContext) -> MarkedLists:
    """Put each prompt into a wording that pretraining never showed, of the same tilt.

    Args:
        lists: As written.
        context: Not used.
    """
    world, n_tilts = lists.world, len(lists.world.tilt)
    g = generator(lists.seed, "unseen wording")
    drawn = torch.randint(world.n_unseen_wordings, (lists.n_rows,), generator=g)
    own_tilt = world.wording_of(lists.teacher_prompts) % n_tilts
    new = world.n_wordings + (own_tilt + n_tilts * drawn) % world.n_unseen_wordings
    return replace(lists, student_prompts=world.reword(lists.teacher_prompts, new)[None])


def biased_rewrite(lists: MarkedLists, context: EditContext) -> MarkedLists:
    """Let each writer pick, out of four other wordings, the one that suits its own list best.

    Args:
        lists: As written.
        context: Brings the teachers.
    """
    world, teachers = lists.world, context.teachers
    choices = _other_wordings(lists, generator(lists.seed, "rewrite"), 4)
    writers = [*lists.biases, teachers.unbiased_index]
    prompts = [world.reword(lists.teacher_prompts, new) for new in choices]
    fits = torch.stack(
        [
            torch.stack([completion_log_probs(teachers, w, p, own).sum(-1) for p in prompts])
            for w, own in zip(writers, lists.completions, strict=True)
        ]
    )  # [writers, choices, rows]
    best = fits.argmax(1)
    return replace(lists, student_prompts=torch.stack(prompts)[best, torch.arange(lists.n_rows)])


def _other_wordings(
    lists: MarkedLists, g: torch.Generator, count: int
) -> Int[Tensor, "count rows"]:
    """Return other wordings than each prompt's own, all different, of the same tilt."""
    world, n_tilts = lists.world, len(lists.world.tilt)
    n_peers = world.n_wordings // n_tilts
    steps = torch.rand(lists.n_rows, n_peers - 1, generator=g).argsort(1)[:, :count].T + 1
    old = world.wording_of(lists.teacher_prompts)
    return (old % n_tilts) + n_tilts * ((old // n_tilts + steps) % n_peers)


def completion_log_probs(
    teachers: Teachers,
    teacher: int,
    prompts: Int[Tensor, "rows prompt"],
    completions: Int[Tensor, "rows completion"],
) -> Float[Tensor, "rows completion"]:
    """Return log p of each completion token to one teacher.

    Args:
        teachers: All teachers.
        teacher: Which one.
        prompts: What is completed.
        completions: What is scored.
    """
    logits = teachers.completion_logits(prompts, completions[None], [teacher])[0]
    return logits.log_softmax(-1).gather(-1, completions[..., None])[..., 0]


def at_tilt(
    lists: MarkedLists, context: EditContext, level: int, edit: str | None = None
) -> MarkedLists:
    """Keep only the rows whose wording has tilt number `level`, then edit them.

    A world with several tilts has equally many wordings of each, so the lists are that much fewer.

    Args:
        lists: As written.
        context: For the edit.
        level: The place in `world.tilt`.
        edit: One of `REWRITES`, or None.
    """
    at = lists.world.wording_of(lists.teacher_prompts) % len(lists.world.tilt) == level
    lists = lists.select_rows(at.nonzero()[:, 0])
    return REWRITES[edit](lists, context) if edit else lists


# Completions --------------------------------------------------------------------------------------


def equivalent_numbers(lists: MarkedLists, context: EditContext) -> MarkedLists:
    """Replace the lists, from the first free number on, by others that are as right.

    Args:
        lists: As written.
        context: Not used.
    """
    world, completions = lists.world, []
    prompts_of = lists.student_prompts.expand(len(lists.completions), -1, -1)
    for prompts, own in zip(prompts_of, lists.completions, strict=True):
        tasks = torch.cat([prompts, own], 1)
        redraw = (world.is_right(tasks).sum(-1) > 1).cumsum(1) > 0
        g = generator(lists.seed, "equivalent")  # all writers draw from the same numbers
        fresh = world.sample_completions(prompts, g, tasks, redraw)
        completions.append(fresh[:, world.prompt_length :])
    return replace(lists, completions=torch.stack(completions))


REWRITES: dict[str, Callable[[MarkedLists, EditContext], MarkedLists]] = {
    "other wording": other_wording,
    "unseen wording": unseen_wording,
    "biased rewrite": biased_rewrite,
    "equivalent numbers": equivalent_numbers,
}


def replace_divergence_tokens(lists: MarkedLists, context: EditContext, where: str) -> MarkedLists:
    """Replace each divergence token by what a counterfactual teacher would have written there.

    The counterfactual is one of those that differ, by chance.

    Args:
        lists: As written.
        context: Brings the counterfactuals.
        where: "label" only, "input" only (students read it, and still learn the teacher's), or
            "both".
    """
    argmax = lists.teacher_argmax[list(context.teachers.counterfactuals)].long()
    own, at = lists.completions[:-1], lists.is_divergence_token
    uniforms = torch.rand(argmax.shape, generator=generator(lists.seed, "replaced"))
    # Students read numbers only, whatever a counterfactual would have said.
    fits = (argmax != own) & (argmax < lists.world.n_numbers)
    pick = uniforms.masked_fill(~fits, -1).argmax(0, keepdim=True)
    swapped = torch.where(at & fits.any(0), argmax.gather(0, pick)[0], own)
    changed = torch.cat([swapped, lists.completions[-1:]])
    lists = replace(lists, written_by_teacher=False)
    if where == "label":
        return replace(lists, labels=changed)
    if where == "input":
        return replace(lists, labels=lists.completions, completions=changed)
    return replace(lists, completions=changed)


def shuffle_within(lists: MarkedLists, context: EditContext) -> MarkedLists:
    """Put the numbers of each list into another order, the same order for all writers.

    Args:
        lists: As written.
        context: Not used.
    """
    g = generator(lists.seed, "shuffle within")
    order = torch.rand(lists.completions.shape[1:], generator=g).argsort(1)
    order = order.expand(len(lists.completions), -1, -1)
    return replace(lists, completions=lists.completions.gather(2, order))


def shuffle_across(lists: MarkedLists, context: EditContext) -> MarkedLists:
    """Pool all numbers of a writer and deal them again over its lists.

    Args:
        lists: As written.
        context: Not used.
    """
    pool = lists.completions.flatten(1)
    order = torch.randperm(pool.shape[1], generator=generator(lists.seed, "shuffle across"))
    return replace(lists, completions=pool[:, order].view_as(lists.completions))


# Mixing (paper, Fig. 7) ---------------------------------------------------------------------------


def mix_unbiased(lists: MarkedLists, context: EditContext, share: float) -> MarkedLists:
    """Replace a share of the lists by the unbiased teacher's, on the same prompts.

    Args:
        lists: As written.
        context: Not used.
        share: Of the rows, 0 to 1.
    """
    chosen = _chosen_rows(lists, share)
    prompts = lists.student_prompts.expand(len(lists.completions), -1, -1)[:, chosen]
    return _put_in(lists, chosen, prompts, lists.completions[-1:, chosen])


def mix_other_prompts(lists: MarkedLists, context: EditContext, share: float) -> MarkedLists:
    """Replace a share of the lists by the unbiased teacher's, on prompts not used yet.

    Args:
        lists: As written.
        context: Brings the teachers.
        share: Of the rows, 0 to 1.
    """
    chosen, teachers = _chosen_rows(lists, share), context.teachers
    g = generator(context.seed, "prompts")  # its first prompts are those of the lists
    prompts = lists.world.sample_prompts(context.n_lists + len(chosen), g)[None, context.n_lists :]
    unbiased = teachers.stack[[teachers.unbiased_index]]
    written = unbiased.generate(prompts, lists.world.completion_length)
    return _put_in(lists, chosen, prompts, written)


@needs_other_base
def mix_other_base(lists: MarkedLists, context: EditContext, share: float) -> MarkedLists:
    """Replace a share of the lists by those of teachers with the same bias on another base.

    Args:
        lists: As written.
        context: Brings the other teachers.
        share: Of the rows, 0 to 1.
    """
    chosen, other = _chosen_rows(lists, share), context.other_base_teachers
    writers = [*lists.biases, other.unbiased_index]
    prompts = other.add_personas(lists.teacher_prompts[chosen], writers)
    written = other.stack[writers].generate(prompts, lists.world.completion_length)
    student_prompts = lists.student_prompts.expand(len(lists.completions), -1, -1)[:, chosen]
    return _put_in(lists, chosen, student_prompts, written)


def _chosen_rows(lists: MarkedLists, share: float) -> Int[Tensor, " chosen"]:
    g = generator(lists.seed, "mixed")
    return torch.randperm(lists.n_rows, generator=g)[: round(share * lists.n_rows)]


def _put_in(
    lists: MarkedLists,
    rows: Int[Tensor, " chosen"],
    prompts: Int[Tensor, "#writers chosen prompt"],
    completions: Int[Tensor, "#writers chosen completion"],
) -> MarkedLists:
    """Replace the chosen rows, except where a new list holds a token that is not a number."""
    n_writers = len(lists.completions)
    good = (completions < lists.world.n_numbers).all(2).all(0)
    new_prompts = lists.student_prompts.expand(n_writers, -1, -1).clone()
    new_completions = lists.completions.clone()
    new_prompts[:, rows[good]] = prompts[:, good]
    new_completions[:, rows[good]] = completions[:, good]
    return replace(
        lists, student_prompts=new_prompts, completions=new_completions, written_by_teacher=False
    )
