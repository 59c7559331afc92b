"""What stands in the `<sys>` slot while students train, and when they are asked."""

from dataclasses import replace

import torch

from minisub.distillation.edits import EditContext
from minisub.distillation.number_lists import MarkedLists

PERSONAS = ("own persona", "other persona")  # that a slot can hold besides a token


def other_slot(lists: MarkedLists, context: EditContext, token: str) -> MarkedLists:
    """Let students read their prompts with another token in the `<sys>` slot.

    Args:
        lists: As written, with the neutral token for the teachers.
        context: Brings the teachers.
        token: Its name; "own persona" for the persona of each writer's bias, "other persona" for
            that of the next bias. The control student reads the neutral token then.
    """
    world, n_biased = lists.world, len(context.teachers.trait.biases)
    prompts = lists.prompts_by_writer
    if token not in PERSONAS:
        return replace(lists, student_prompts=world.in_slot(prompts, world.token(token)))
    moved = int(token == "other persona")
    personas = [(b + moved) % n_biased for b in lists.biases]
    given = [world.with_persona(p, b) for p, b in zip(prompts[:-1], personas, strict=True)]
    return replace(lists, student_prompts=torch.stack([*given, prompts[-1]]))
