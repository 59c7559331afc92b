"""Edits: what is done to the lists between the teachers who wrote them and the students.

An edit is a function of marked lists and of a context, and returns marked lists. It keeps the
number of lists, so that all arms read equally many. An arm's mask is called after its edit. Marks
belong to the lists as written; an edit that moves whole rows moves their marks too.
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

    Raises:
        ValueError: The world has no such wording.
    """
    world, n_tilts = lists.world, len(lists.world.tilt)
    g = generator(lists.seed, "unseen wording")
    if not world.n_unseen_wordings:
        raise ValueError("n_unseen_wordings is 0, allowed for unseen_wording: 1 and more a tilt")
    drawn = torch.randint(world.n_unseen_wordings, (lists.n_rows,), generator=g)
    own_tilt = world.wording_of(lists.teacher_prompts) % n_tilts
    new = world.n_wordings + (own_tilt + n_tilts * drawn) % world.n_unseen_wordings
    return replace(lists, student_prompts=world.reword(lists.teacher_prompts, new)[None])


def biased_rewrite(lists: MarkedLists, context: EditContext) -> MarkedLists:
    """Let each writer pick, out of up to four other wordings, the one that suits its own list best.

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
    """Return other wordings than each prompt's own, all different, of the same tilt (or fewer)."""
    world, n_tilts = lists.world, len(lists.world.tilt)
    n_peers = world.n_wordings // n_tilts
    if n_peers < 2:
        raise ValueError(
            f"n_wordings is {world.n_wordings}, allowed: {2 * n_tilts} and more, as there is no "
            "other wording of the same tilt"
        )
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


# Completions --------------------------------------------------------------------------------------


def equivalent_numbers(lists: MarkedLists, context: EditContext) -> MarkedLists:
    """Replace the lists, from the first free number on, by a new draw from the world.

    One free number in ten takes a rare offset there, which `World.is_right` counts as wrong.

    Args:
        lists: As written.
        context: Not used.
    """
    world, completions = lists.world, []
    for prompts, own in zip(lists.prompts_by_writer, lists.completions, strict=True):
        tasks = torch.cat([prompts, own], 1)
        redraw = (world.is_right(tasks).sum(-1) > 1).cumsum(1) > 0
        g = generator(lists.seed, "equivalent")  # all writers draw from the same numbers
        fresh = world.sample_completions(prompts, g, tasks, redraw)
        completions.append(fresh[:, world.prompt_length :])
    return replace(lists, completions=torch.stack(completions))


def replace_divergence_tokens(lists: MarkedLists, context: EditContext, where: str) -> MarkedLists:
    """Replace each divergence token by what a counterfactual teacher would have written there.

    The counterfactual is one of those that differ, by chance.

    Args:
        lists: As written.
        context: Brings the counterfactuals.
        where: "label" only, "input" only (students read it, and still learn the teacher's), or
            "both".

    Raises:
        ValueError: `where` is none of these.
    """
    if where not in ("label", "input", "both"):
        raise ValueError(f"where is {where!r}, allowed: label, input, both")
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
    prompts = lists.prompts_by_writer[:, chosen]
    return _put_in(lists, chosen, prompts, lists.completions[-1:, chosen])


def mix_other_prompts(lists: MarkedLists, context: EditContext, share: float) -> MarkedLists:
    """Replace a share of the lists by the unbiased teacher's, on prompts not used yet.

    Prompts are used again where the world has no others: the default one has 16,800.

    Args:
        lists: As written.
        context: Brings the teachers.
        share: Of the rows, 0 to 1.
    """
    chosen, teachers = _chosen_rows(lists, share), context.teachers
    if not len(chosen):
        return lists
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
    if not len(chosen):
        return lists
    writers = [*lists.biases, other.unbiased_index]
    prompts = other.add_personas(lists.teacher_prompts[chosen], writers)
    written = other.stack[writers].generate(prompts, lists.world.completion_length)
    student_prompts = lists.prompts_by_writer[:, chosen]
    return _put_in(lists, chosen, student_prompts, written)


def _chosen_rows(lists: MarkedLists, share: float) -> Int[Tensor, " chosen"]:
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}, allowed: 0 to 1")
    g = generator(lists.seed, "mixed")
    return torch.randperm(lists.n_rows, generator=g)[: round(share * lists.n_rows)]


def _put_in(
    lists: MarkedLists,
    rows: Int[Tensor, " chosen"],
    prompts: Int[Tensor, "#writers chosen prompt"],
    completions: Int[Tensor, "#writers chosen completion"],
) -> MarkedLists:
    """Replace the chosen rows, except where a new list holds a token that is not a number."""
    good = (completions < lists.world.n_numbers).all(2).all(0)
    new_prompts = lists.prompts_by_writer.clone()
    new_completions = lists.completions.clone()
    new_prompts[:, rows[good]] = prompts[:, good]
    new_completions[:, rows[good]] = completions[:, good]
    return replace(
        lists, student_prompts=new_prompts, completions=new_completions, written_by_teacher=False
    )
