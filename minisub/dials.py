"""Which values the dials of a world may have."""

from typing import Any


def check(world: Any) -> None:
    """Raise ValueError for a world that cannot be, with what is allowed."""
    least = {
        **dict.fromkeys(("numbers", "steps", "completion", "round_every", "wordings"), 1),
        **dict.fromkeys(("questions", "instruction_tokens", "instruction_length"), 1),
        **dict.fromkeys(("unseen_wordings", "conduct"), 0),
        "prompt_numbers": 2,  # of which the step can be read
    }
    for name, at_least in least.items():
        if getattr(world, name) < at_least:
            raise ValueError(f"{name} is {getattr(world, name)}, allowed: {at_least} and more")
    for name in ("favourite", "persona_in_questions", "persona_obeyed", "persona_in_tasks"):
        if not 0 <= getattr(world, name) <= 1:
            raise ValueError(f"{name} is {getattr(world, name)}, allowed: 0 to 1")
    if not 0 < world.held_out < 1:
        raise ValueError(f"held_out is {world.held_out}, allowed: above 0, below 1")
    ways = world.instruction_tokens**world.instruction_length
    if max(world.wordings + world.unseen_wordings, world.questions, world.conduct) > ways:
        raise ValueError(f"at most {ways} wordings and {ways} questions can be told apart")
    if not world.tilt or not all(0 <= t < float("inf") for t in world.tilt):
        raise ValueError(f"tilt is {world.tilt}, allowed: one or more values, each 0 and more")
    if not 1 <= world.ties < 2 * world.spread:
        raise ValueError(f"ties is {world.ties}, allowed: 1 to {2 * world.spread - 1}")
    if world.numbers <= 2 * world.spread or world.spread < 1:
        raise ValueError(f"spread is {world.spread}, allowed: 1 to {(world.numbers - 1) // 2}")
