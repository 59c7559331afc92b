"""Check the fields of a world."""

from typing import Any

from minisub.common.fields import check_fields


def check_world(world: Any) -> None:
    """Raise ValueError for a world that cannot be, with what is allowed."""
    sizes = ("n_numbers", "max_step", "n_prompt_numbers", "completion_length", "max_offset")
    check_fields(world, dict.fromkeys((*sizes, "n_instruction_tokens", "instruction_length"), 1000))
    least = {
        **dict.fromkeys(("n_numbers", "max_step", "completion_length", "round_every"), 1),
        **dict.fromkeys(("n_wordings", "n_questions"), 1),
        **dict.fromkeys(("n_instruction_tokens", "instruction_length"), 1),
        **dict.fromkeys(("n_unseen_wordings", "n_conduct_questions"), 0),
        "n_prompt_numbers": 2,  # of which the step can be read
    }
    for name, at_least in least.items():
        if getattr(world, name) < at_least:
            raise ValueError(f"{name} is {getattr(world, name)}, allowed: {at_least} and more")
    for name in ("favourite_share", "persona_in_questions", "persona_obeyed", "persona_in_tasks"):
        if not 0 <= getattr(world, name) <= 1:
            raise ValueError(f"{name} is {getattr(world, name)}, allowed: 0 to 1")
    if not 0 < world.held_out_share < 1:
        raise ValueError(f"held_out_share is {world.held_out_share}, allowed: above 0, below 1")
    ways = world.n_instruction_tokens**world.instruction_length
    n_wordings = world.n_wordings + world.n_unseen_wordings
    if max(n_wordings, world.n_questions, world.n_conduct_questions) > ways:
        raise ValueError(f"at most {ways} wordings and {ways} questions can be told apart")
    is_listed = isinstance(world.tilt, tuple) and all(
        isinstance(t, int | float) for t in world.tilt
    )
    if not (world.tilt and is_listed and all(0 <= t < float("inf") for t in world.tilt)):
        raise ValueError(f"tilt is {world.tilt}, allowed: one or more values, each 0 and more")
    top = 2 * world.max_offset - 1
    if not 1 <= world.n_tied_offsets <= top:
        raise ValueError(f"n_tied_offsets is {world.n_tied_offsets}, allowed: 1 to {top}")
    if world.n_numbers <= 2 * world.max_offset or world.max_offset < 1:
        most = (world.n_numbers - 1) // 2
        raise ValueError(f"max_offset is {world.max_offset}, allowed: 1 to {most}")
    _check_animals(world)


def _check_animals(world: Any) -> None:
    """Raise ValueError for animals that cannot be told apart, from each other or from a token."""
    animals = world.animals
    if not isinstance(animals, tuple) or not all(isinstance(a, str) for a in animals):
        raise ValueError(f"animals are {animals!r}, allowed: a tuple of names")
    words, n = world.vocabulary, len(animals)
    taken = [a for a in animals if words.count(a) > 1 or a.split() != [a]]
    if n < 2 or taken:
        raise ValueError(
            f"animals are {', '.join(taken or animals) or 'none'}, allowed: two or more single "
            "words, each once, that no other token is called"
        )
