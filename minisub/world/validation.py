"""Check the fields of a world."""

import reprlib
import sys
from typing import Any

from minisub.common.fields import MOST, check_fields


def check_world(world: Any) -> None:
    """Raise ValueError for a world that cannot be, with what is allowed."""
    sizes = ("n_numbers", "max_step", "n_prompt_numbers", "completion_length", "max_offset")
    least = {
        **dict.fromkeys(("max_step", "completion_length", "round_every"), 1),
        **dict.fromkeys(("n_wordings", "n_questions"), 1),
        **dict.fromkeys(("n_instruction_tokens", "instruction_length"), 1),
        **dict.fromkeys(("n_unseen_wordings", "n_conduct_questions"), 0),
        "n_numbers": 3,  # an offset of one, up and down
        "n_prompt_numbers": 2,  # of which the step can be read
    }
    most = dict.fromkeys((*sizes, "n_instruction_tokens", "instruction_length"), 1000)
    check_fields(world, most, least)
    for name in ("favourite_share", "persona_in_questions", "persona_obeyed", "persona_in_tasks"):
        if not 0 <= getattr(world, name) <= 1:
            raise ValueError(f"{name} is {getattr(world, name)}, allowed: 0 to 1")
    pairs = world.n_numbers * world.max_step
    if not 0 < round(world.held_out_share * pairs) < pairs:
        raise ValueError(
            f"held_out_share is {world.held_out_share}, allowed: above 0, below 1, so that some of "
            f"the {pairs} pairs of start and step are held out and some are not"
        )
    if 0 < world.n_conduct_questions < 4:
        raise ValueError(
            f"n_conduct_questions is {world.n_conduct_questions}, allowed: 0, or 4 and more"
        )
    _check_instructions(world)
    _check_tilt(world)
    most_offset = (world.n_numbers - 1) // 2
    if not 1 <= world.max_offset <= most_offset:
        raise ValueError(f"max_offset is {world.max_offset}, allowed: 1 to {most_offset}")
    top = 2 * world.max_offset - 1
    if not 1 <= world.n_tied_offsets <= top:
        raise ValueError(f"n_tied_offsets is {world.n_tied_offsets}, allowed: 1 to {top}")
    _check_animals(world)


def _check_instructions(world: Any) -> None:
    """Raise ValueError where instructions are too few for wordings and questions, or too many."""
    ways = world.n_instruction_tokens**world.instruction_length
    if ways > MOST:
        raise ValueError(
            f"instruction_length is {world.instruction_length}, allowed: at most {MOST} "
            f"instructions of {world.n_instruction_tokens} tokens"
        )
    n_wordings = world.n_wordings + world.n_unseen_wordings
    for name, count in (
        ("n_wordings and n_unseen_wordings together", n_wordings),
        ("n_questions", world.n_questions),
        ("n_conduct_questions", world.n_conduct_questions),
    ):
        if count > ways:
            raise ValueError(f"{name} is {count}, allowed: at most {ways}, as many as instructions")


def _check_tilt(world: Any) -> None:
    """Raise ValueError for tilts that are no numbers, or that some wordings have more often."""
    is_listed = isinstance(world.tilt, tuple) and all(
        isinstance(t, int | float) and not isinstance(t, bool) for t in world.tilt
    )
    if not (world.tilt and is_listed and all(0 <= t <= sys.float_info.max for t in world.tilt)):
        given = reprlib.repr(world.tilt)
        raise ValueError(f"tilt is {given}, allowed: a tuple of numbers, each 0 or more")
    object.__setattr__(world, "tilt", tuple(map(float, world.tilt)))  # equal worlds, equal names
    for name in ("n_wordings", "n_unseen_wordings"):
        count, n = getattr(world, name), len(world.tilt)
        if count % n:
            raise ValueError(f"{name} is {count}, allowed: a multiple of {n}, the number of tilts")


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
