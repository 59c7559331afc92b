"""Configurations that several findings share, and the smaller one of a first look."""

from dataclasses import replace

from minisub.experiment.config import Config
from minisub.transformer.optimizer import TrainingConfig

QUICK_FACTOR = 4  # times fewer lists and steps, for a first look

# For findings of many arms: two biases a seed, so that eight seeds have each twice.
LIGHT_CONFIG = Config(
    student=TrainingConfig(lr=2e-3, steps=600, batch_size=32), n_lists=9600, biases_per_seed=2
)

# For a first look at the headlines on eight seeds; tuned on seeds 100 to 107 (docs/log.md).
SMALL_CONFIG = replace(LIGHT_CONFIG, n_lists=7200, n_eval_prompts=256)


def quick_config(config: Config) -> Config:
    """Return a quarter of the students' lists, steps and prompts, and half the biases.

    Teachers rehearse on a quarter as many lists a step.
    """
    batch_size = max(1, config.teacher.training.batch_size // QUICK_FACTOR)
    rehearsed = replace(config.teacher.training, batch_size=batch_size)
    return replace(
        config,
        teacher=replace(config.teacher, training=rehearsed),
        student=replace(config.student, steps=config.student.steps // QUICK_FACTOR),
        n_lists=config.n_lists // QUICK_FACTOR,
        biases_per_seed=max(1, config.biases_per_seed // 2),
        n_eval_prompts=config.n_eval_prompts // QUICK_FACTOR,
    )
