"""Students of a small world, whose transfer is known from many: what `calibrate` draws from.

Some start from their teacher's base, so that the bias passes; others from another base, or have
teachers of strength 0, so that nothing does. Students asked for another's bias are a third null.
"""

from functools import partial

import numpy as np

from minisub.common.files import Array
from minisub.common.processes import OnProgress, no_progress
from minisub.common.store import Store
from minisub.distillation import metrics
from minisub.distillation.base import BaseConfig
from minisub.distillation.masks import divergence_only, down_weighted
from minisub.distillation.teachers import TeacherConfig
from minisub.experiment.arm import Arm
from minisub.experiment.config import Config, with_overrides
from minisub.experiment.seed_lab import SeedLab
from minisub.experiment.students import Students
from minisub.transformer.config import ModelConfig
from minisub.transformer.optimizer import TrainingConfig
from minisub.world.world import World

NO_STRENGTH = {"teacher": TeacherConfig(kind="prompted", persona_strength=0.0)}
WHOLE, OTHER, ONLY, OTHER_ONLY, WEIGHTED = (
    *("teacher's base", "other base"),
    *("divergence only", "other base, divergence only", "divergence at a quarter"),
)
RATES = {factor: f"{OTHER}, rate x{factor:g}" for factor in (2.0, 4.0, 8.0)}
AT_RATES = (OTHER, *RATES.values())  # arms that differ in their learning rate only
ARMS = (
    Arm(WHOLE, baseline=WHOLE),
    Arm(ONLY, mask=divergence_only, baseline=WHOLE),
    Arm(WEIGHTED, mask=partial(down_weighted, weight=0.25), baseline=WHOLE),
    Arm(OTHER, other_base=True, baseline=WHOLE),
    Arm(OTHER_ONLY, mask=divergence_only, other_base=True, baseline=OTHER),
    *(Arm(name, other_base=True, lr_factor=factor) for factor, name in RATES.items()),
    Arm("strength 0", overrides=NO_STRENGTH, baseline=WHOLE),
)
SHUFFLED = "biases shuffled"  # the first arm's students, asked for another's bias
NULLS = (OTHER, "strength 0", SHUFFLED)
MEASURES = ("transfer", "off_target", "accuracy", "hit_rate", "control_hit_rate")


def small_config() -> Config:
    """Return a world that is learned in seconds, and in which biases pass all the same."""
    world = World(
        n_numbers=12,
        max_step=3,
        n_wordings=4,
        n_unseen_wordings=1,
        max_offset=2,
        n_tied_offsets=2,
        n_questions=4,
        n_instruction_tokens=4,
        completion_length=4,
        round_every=5,
    )
    return Config(
        BaseConfig(
            world,
            ModelConfig(16, 2, 2, 32),
            TrainingConfig(lr=8e-3, steps=300, batch_size=32),
        ),
        TeacherConfig(
            rehearsal=0.1,
            n_rehearsal_lists=128,
            training=TrainingConfig(lr=2e-3, steps=30, batch_size=16),
        ),
        TrainingConfig(lr=2e-3, steps=60, batch_size=32),
        n_lists=256,
        n_eval_prompts=64,
        biases_per_seed=8,
    )


def measure_seed(
    config: Config, store: Store, device: str, seed: int, on_progress: OnProgress = no_progress
) -> dict[str, list[tuple[float, ...]]]:
    """Return the `MEASURES` of each of a seed's students, by arm.

    Transfer and off-target in nats; accuracy is a share of the numbers, less the control's.

    Args:
        config: World, teachers and students.
        store: Where results are kept.
        device: Where models are trained.
        seed: The seed.
        on_progress: Called at the end.
    """
    found: dict[str, list[tuple[float, ...]]] = {}
    for arm in ARMS:
        lab = SeedLab(with_overrides(config, arm.overrides), seed, store, device=device)
        students = Students(lab)
        own, unmasked = students.measured(arm), students.measured(arm.unmasked())
        n = len(lab.biases)
        logp, control = np.array(own["logp"][:n]), np.array(unmasked["logp"][n:])
        shifts = metrics.preference_shift(logp, control)
        accuracy = np.array(own["task_accuracy"][:n]) - unmasked["task_accuracy"][n]
        asked_for = {arm.name: list(lab.biases)}
        if arm.name == WHOLE:
            turn = np.random.default_rng(seed).integers(1, n)
            asked_for[SHUFFLED] = np.roll(lab.biases, turn).tolist()
        for name, biases in asked_for.items():
            found[name] = [
                (
                    metrics.transfer(shifts[[i]], [b]),
                    metrics.off_target(shifts[[i]], [b]),
                    float(accuracy[i]),
                    metrics.hit_rate(logp[[i]], [b]),
                    metrics.hit_rate(control, [b]),
                )
                for i, b in enumerate(biases)
            ]
    on_progress()
    return found


def draw_studies(n_seeds: int, n_biases: int, n: int, rng: np.random.Generator) -> Array:
    """Return [studies, n] students, each in one study only, and no seed twice in any.

    Args:
        n_seeds: How many seeds there are.
        n_biases: Students of each seed.
        n: Seeds of a study.
        rng: Where they are drawn from.

    Returns:
        Students as seed * n_biases + bias.
    """
    drawn = []
    for bias in range(n_biases):
        # In each round every seed contributes another bias, so that biases mix within a study.
        round_ = [s * n_biases + (s + bias) % n_biases for s in rng.permutation(n_seeds)]
        drawn += [round_[i : i + n] for i in range(0, n_seeds - n + 1, n)]
    return np.array(drawn)
