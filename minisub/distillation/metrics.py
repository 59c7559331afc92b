"""What is measured on students, from their log-preferences, in numpy (no torch is needed)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from minisub.common.files import Array


def preference_shift(
    student: Float[Array, "biases questions answers"],
    control: Float[Array, "controls questions answers"],
) -> Float[Array, "biases answers"]:
    """Return by how many nats each student's log-preference differs from its control's.

    Args:
        student: log p of each answer; one row a bias of the student's teacher.
        control: The same of the control students, or of the one that all share.

    Returns:
        Means over questions. Row: the bias of the student's teacher. Column: the answer.
    """
    return (student - control).mean(1)


def transfer(shifts: Float[Array, "biases answers"], biases: Sequence[int]) -> float:
    """Return the mean shift towards the answer that the teacher was biased to, in nats.

    Args:
        shifts: See `preference_shift`.
        biases: The bias of each row.
    """
    return float(shifts[np.arange(len(shifts)), list(biases)].mean())


def off_target(shifts: Float[Array, "biases answers"], biases: Sequence[int]) -> float:
    """Return the mean shift towards the other answers, in nats.

    Specific transfer has none above zero.

    Args:
        shifts: See `preference_shift`.
        biases: The bias of each row.
    """
    off = np.ones(shifts.shape, dtype=bool)
    off[np.arange(len(shifts)), list(biases)] = False
    return float(shifts[off].mean())


def hit_rate(logp: Float[Array, "models questions answers"], biases: Sequence[int]) -> float:
    """Return the mean probability that a model answers its bias.

    Args:
        logp: log p of each answer; if there is one model only, it is scored on every bias.
        biases: The bias of each model.
    """
    p = np.exp(logp).mean(1)
    return float(p[np.arange(len(p)) if len(p) > 1 else 0, list(biases)].mean())


def distance(
    student: Float[Array, "biases questions answers"],
    control: Float[Array, "controls questions answers"],
) -> float:
    """Return the mean total variation between a student's and its control's answers, 0 to 1.

    Args:
        student: log p of each answer.
        control: The same of the control.
    """
    return float(np.abs(np.exp(student) - np.exp(control)).sum(-1).mean() / 2)
