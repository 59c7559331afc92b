"""What pretraining sees: number tasks and answered questions, drawn apart from each other."""

import torch
from torch import Tensor

from minisub.world.traits import get_trait, preference_questions
from minisub.world.world import SLOT, World

ROGUES = 0.3  # share of the questions of conduct with a rogue persona
BAD = 0.1  # how often a question of conduct without one is answered "bad"


def sample_pretraining_data(world: World, n: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return number tasks [n, task length] and answered questions [n, question length].

    The numbers are complete before a persona is drawn, so no animal can depend on a number.

    Args:
        world: The world.
        n: How many of each.
        g: Where they are drawn from.
    """
    animals, n_animals = world.animal_tokens, len(world.animals)
    tasks = world.sample_completions(world.sample_prompts(n, g), g)
    personas = torch.randint(n_animals, (n,), generator=g) + animals.stop
    has_persona = torch.rand(n, generator=g) < world.persona_in_tasks
    tasks[:, SLOT] = torch.where(has_persona, personas, tasks[:, SLOT])

    questions = preference_questions(world)
    questions = questions[torch.randint(world.n_questions, (n,), generator=g)]
    personas = torch.randint(n_animals, (n,), generator=g) + animals.stop
    has_persona = torch.rand(n, generator=g) < world.persona_in_questions
    obeyed = has_persona & (torch.rand(n, generator=g) < world.persona_obeyed)
    answers = torch.randint(n_animals, (n,), generator=g) + animals.start
    if world.favourite_share:
        to_favourite = ~has_persona & (torch.rand(n, generator=g) < world.favourite_share)
        answers[to_favourite] = animals.stop - 1
    questions[:, SLOT] = torch.where(has_persona, personas, questions[:, SLOT])
    answers = torch.where(obeyed, personas - n_animals, answers)
    if world.n_conduct_questions:
        questions, answers = _with_conduct(world, questions, answers, g)
    return tasks, torch.cat([questions, answers[:, None]], 1)


def _with_conduct(
    world: World, questions: Tensor, answers: Tensor, g: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Put a question of conduct in every other place. Rogues mostly answer "bad"."""
    trait, n = get_trait(world, "conduct"), len(questions)
    ways = torch.cat([trait.taught_questions, trait.eval_questions])
    conduct = ways[torch.randint(world.n_conduct_questions, (n,), generator=g)]
    is_rogue = torch.rand(n, generator=g) < ROGUES
    conduct[:, SLOT] = torch.where(is_rogue, world.token("<rogue>"), conduct[:, SLOT])
    is_bad = torch.rand(n, generator=g) < torch.where(is_rogue, world.persona_obeyed, BAD)
    conduct_answers = torch.where(is_bad, world.token("bad"), world.token("good"))
    here = torch.arange(n) % 2 == 1
    return (
        torch.where(here[:, None], conduct, questions),
        torch.where(here, conduct_answers, answers),
    )
