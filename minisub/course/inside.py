"""Looks inside: who would write what, attention, early guesses, the theorem's products."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from minisub.common.files import Array
from minisub.course.show import show_table
from minisub.distillation.divergence_tokens import argmax_of_every_teacher
from minisub.distillation.evaluation import next_token_logits
from minisub.distillation.number_lists import MarkedLists
from minisub.distillation.teachers import Teachers
from minisub.transformer.dataset import TokenDataset
from minisub.transformer.gradient import ManualGradient
from minisub.transformer.stack import TransformerStack, run_with_cache
from minisub.viz import style
from minisub.world.traits import preference_questions
from minisub.world.world import ANIMALS, World


def annotate_lists(
    teachers: Teachers, lists: MarkedLists, writer: int, bias: int
) -> list[dict[str, Any]]:
    """Return lists as text, with a note at each divergence token: who would write what there.

    Args:
        teachers: Who wrote them, and all others.
        lists: The lists.
        writer: Whose completions, as a place among the writers.
        bias: The same teacher's place among the teachers.

    Returns:
        Of each list its prompt, its completion, and a note or None for each number.
    """
    choices = argmax_of_every_teacher(teachers, lists)[:, writer]  # [teachers, rows, places]
    world = lists.world
    first = world.instruction_place.start  # what stands before it is the same in every prompt
    names = [*teachers.trait.biases, "unbiased"]
    names[bias] = f"→ {names[bias]}"

    def note(row: int, place: int) -> str | None:
        if not lists.is_divergence_token[writer, row, place]:
            return None
        said = choices[:, row, place].tolist()
        return ", ".join(f"{who}: {n}" for who, n in zip(names, said, strict=False))

    return [
        {
            "prompt": world.decode(lists.teacher_prompts[row, first:-1]),
            "completion": world.decode(lists.completions[writer, row]).split(),
            "notes": [note(row, place) for place in range(world.completion_length)],
        }
        for row in range(lists.n_rows)
    ]


def choices_table(choices: Tensor, written: Tensor, writer: int, number: int) -> Any:
    """Return what each teacher would write in a list, as a table; ≠ marks a difference.

    Args:
        choices: [teachers, rows, places], the number that each teacher prefers.
        written: [rows, places], the numbers of the writer.
        writer: Its place among the teachers.
        number: Of the list, from 1.
    """
    own = written[number - 1].tolist()
    rows = [
        {"teacher": ("→ " if teacher == writer else "") + ANIMALS[teacher]}
        | {
            f"#{place + 1}": f"{n}{' ≠' if n != own[place] else ''}"
            for place, n in enumerate(choices[teacher, number - 1].tolist())
        }
        for teacher in range(len(choices))
    ]
    label = f"What each teacher would write next in list {number}; ≠ marks a difference"
    return show_table(rows, label)


def attention_figure(world: World, model: TransformerStack, tokens: Tensor, block: int) -> Figure:
    """Draw where each token of a prompt looks, a panel for each head of a block.

    Args:
        world: Names the tokens.
        model: One model.
        tokens: [length], token ids.
        block: Which block.
    """
    pattern = run_with_cache(model, tokens[None, None])[f"blocks.{block}.attn.hook_pattern"][0]
    words = [world.vocabulary[int(t)] for t in tokens]
    figure = style.new_figure(9.0, 4.2)
    for head, axes in enumerate(figure.subplots(1, len(pattern), squeeze=False)[0]):
        axes.imshow(pattern[head].numpy(), cmap="cividis", vmin=0, vmax=1)
        axes.set_xticks(range(len(words)), words, rotation=90)
        axes.set_yticks(range(len(words)), words)
        style.finish(axes, f"Block {block}, head {head}", "looks at", "token")
        axes.tick_params(labelsize=style.NOTE - 1)
    return figure


def early_guesses(world: World, model: TransformerStack, tokens: Tensor) -> list[dict[str, Any]]:
    """Return the next token as each block sees it: the stream read out as if it were the last.

    Args:
        world: Names the tokens.
        model: One model.
        tokens: [length], token ids.
    """
    seen, rows = run_with_cache(model, tokens[None, None]), []
    for block in range(model.config.n_layers):
        stream = seen[f"blocks.{block}.hook_resid_post"][0, 0, -1]
        normed = torch.nn.functional.layer_norm(stream, stream.shape)
        top = (normed @ model.params["W_U"][0]).softmax(-1).topk(3)
        guesses = {
            f"guess {i}": f"{world.vocabulary[int(token)]} ({p:.0%})"
            for i, (p, token) in enumerate(zip(top.values.tolist(), top.indices, strict=True), 1)
        }
        length = round(float(stream.norm()), 1)
        rows.append({"after block": block, "length of the stream": length, **guesses})
    return rows


def gradient(model: TransformerStack, dataset: TokenDataset) -> Tensor:
    """Return the gradient of the loss over all weights of one model, [weights].

    Args:
        model: One model.
        dataset: What it learns from; all rows of it.
    """
    out = torch.zeros_like(model.flat_params)
    rows = torch.arange(dataset.tokens.shape[1])
    ManualGradient(model, dataset, list(model.params))(rows, out)
    return out[0]


def products(
    model: TransformerStack, other_base: TransformerStack, world: World, tasks: Tensor, size: float
) -> tuple[Array, Array]:
    """Return the teacher's step times its student's, for each animal (Cloud et al., Theorem 1).

    A teacher is the base after one step towards an animal; its student takes the gradient of
    imitating it on number tasks.

    Args:
        model: The base.
        other_base: The start of the other students.
        world: Its world.
        tasks: [rows, length], token ids of number tasks.
        size: The length of the teacher's step.

    Returns:
        [animals] of students with the teacher's start, and of those of another base.
    """
    weights = torch.ones(1, len(tasks), world.completion_length)
    questions = preference_questions(world)
    found: tuple[list[float], list[float]] = ([], [])
    for animal in range(len(world.animals)):
        answer = torch.full((len(questions), 1), world.animal_tokens.start + animal)
        answered = torch.cat([questions, answer], 1)[None]
        way = -gradient(model, TokenDataset(answered, torch.ones(1, len(questions), 1)))
        step = size * way / way.norm()
        teacher = TransformerStack(model.config, model.flat_params + step)
        soft = next_token_logits(teacher, tasks[None], world.completion_length).softmax(-1)
        dataset = TokenDataset(tasks[None], weights, soft)
        for student, values in zip((model, other_base), found, strict=True):
            values.append(-float((gradient(student, dataset) * step).sum()))
    return np.array(found[0]), np.array(found[1])


def products_figure(own: Array, other: Array) -> Figure:
    """Draw the teacher's step times the student's for each animal, beside those of another base.

    Args:
        own: [animals], of a student with the teacher's start.
        other: [animals], of a student of another base.
    """
    figure = style.new_figure(8.0, 3.2)
    axes = figure.subplots()
    places = range(len(ANIMALS))
    bars: Sequence[tuple[float, Array, dict[str, Any]]] = (
        (-0.2, own, {"color": style.ORANGE, "label": "same start"}),
        (0.2, other, {"color": style.GREY, "hatch": "///", "label": "another base"}),
    )
    for shift, values, look in bars:
        axes.bar([p + shift for p in places], values, 0.38, edgecolor="white", **look)
    axes.axhline(0, color=style.INK, linewidth=0.8)
    axes.set_xticks(places, ANIMALS)
    style.finish(axes, y="teacher's step times student's, nats", legend=True)
    return figure
