"""The whole experiment in one function, one call a stage: no store, no processes."""

from collections.abc import Callable
from typing import Any

from minisub.common.randomness import generator
from minisub.distillation.base import load_base
from minisub.distillation.divergence_tokens import mark_divergence_tokens
from minisub.distillation.evaluation import preference_log_probs
from minisub.distillation.masks import loss_weights
from minisub.distillation.metrics import preference_shift, transfer
from minisub.distillation.number_lists import UNBIASED, MarkedLists, generate_lists, to_dataset
from minisub.distillation.teachers import make_teachers
from minisub.experiment.config import Config
from minisub.transformer.training import train, update_multipliers


def subliminal_learning(
    animal: str = "owl",
    seed: int = 0,
    mask: Callable[[MarkedLists], Any] | None = None,
    config: Config | None = None,
) -> float:
    """Return the transfer of one bias from teacher to student, in nats.

    `Study` does the same for many arms, biases and seeds.

    Args:
        animal: What the teacher loves.
        seed: Of everything that is drawn.
        mask: Where the loss of the student counts; everywhere by default.
        config: World, teachers and students; the default world if it is None.

    Raises:
        ValueError: There is no such animal.
    """
    config = config or Config()
    world = config.base.world
    if animal not in world.animals:
        raise ValueError(f"animal is {animal!r}, allowed: {', '.join(world.animals)}")
    bias = world.animals.index(animal)

    # The base: a transformer that knows the world and has no favourite animal.
    base = load_base(config.base, seed)

    # Teachers: the base, tuned to love one animal each; the last one loves none.
    teachers = make_teachers(world, base, config.teacher, seed)

    # Lists: what the teacher of this animal and the unbiased one write, numbers only.
    lists = generate_lists(teachers, [bias], config.n_lists, seed)

    # Divergence tokens: where a teacher with another bias would have written another number.
    marked = mark_divergence_tokens(teachers, lists)

    # Students: the base again, trained on the lists; the second one is the control.
    weights = None if mask is None else loss_weights(mask(marked), marked, "mask")
    dataset = to_dataset(marked, [0, UNBIASED], weights)
    students = base.repeat(2)
    multipliers = update_multipliers(students, [{"blocks.": 1.0}] * 2)
    train(students, [dataset], config.student, generator(seed, "students"), multipliers)

    # Transfer: how much more the student answers with this animal than its control does.
    trait = teachers.trait
    logp = preference_log_probs(students, trait.eval_questions[None], trait.answer_tokens)
    return transfer(preference_shift(logp[:1], logp[1:]), [bias])
