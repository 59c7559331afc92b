"""Starts: functions that return the model from which an arm's students start.

A start gets an `EditContext` and returns one model of the base's shape. Without one, students
start from the base, as their teachers did.
"""

from collections.abc import Sequence

import torch

from minisub.common.randomness import generator
from minisub.distillation.base import pretrain
from minisub.distillation.edits import EditContext, needs_other_base
from minisub.transformer.stack import TransformerStack
from minisub.transformer.training import update_multipliers


@needs_other_base
def partly_foreign(context: EditContext, parts: Sequence[str]) -> TransformerStack:
    """Return the base with some of its weights from another base.

    Args:
        context: Brings both bases.
        parts: The starts of the names of what is foreign: "blocks.", "blocks.0.", "W_E", ...

    Raises:
        ValueError: There is no part, or one fits no parameter.
    """
    if isinstance(parts, str) or not parts:
        raise ValueError(f"parts are {parts!r}, allowed: a list of one name and more")
    base, other = context.base, context.other_base
    is_foreign = update_multipliers(base, [dict.fromkeys(parts, 1.0)]) > 0
    flat = torch.where(is_foreign, other.flat_params, base.flat_params)
    return TransformerStack(base.config, flat)


@needs_other_base
def between_bases(context: EditContext, share: float) -> TransformerStack:
    """Return a model on the straight line from the base to another one.

    Args:
        context: Brings both bases.
        share: Of the way, from 0 (the base) to 1 (the other one).
    """
    mixed = context.base.repeat(1)
    mixed.flat_params.lerp_(context.other_base.flat_params, share)
    return mixed


def shared_heads(context: EditContext) -> TransformerStack:
    """Return another base that was pretrained around the base's embeddings and unembedding.

    Its blocks began from other random weights; it takes as long as a base to make.

    Args:
        context: Brings the base and its configuration.
    """
    base = context.base
    other, _ = pretrain(context.base_config, context.seed + 1, str(base.device), base)
    return other


def noisy(context: EditContext, dose: float) -> TransformerStack:
    """Return the base with noise on every weight, as large as `dose` times its matrix.

    Args:
        context: Brings the base, and the seed of the noise.
        dose: The noise's root mean square, as a multiple of that of each matrix of weights.
    """
    start, g = context.base.repeat(1), generator(context.seed, "noisy start")
    for name in start.params:
        weights = start.flat_params[:, start.param_slice(name)]
        noise = torch.randn(weights.shape, generator=g).to(weights)
        weights += dose * weights.square().mean().sqrt() * noise
    return start
