"""The one training loop: bases, teachers and students all learn here.

Models of a stack learn side by side and never touch: the loss is summed over models, gradients are
clipped for each model, and what differs between models is data: tokens, loss weights, and which
parameters train.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minisub.transformer.dataset import TokenDataset
from minisub.transformer.gradient import Gradient
from minisub.transformer.kernel_gradient import fastest_gradient
from minisub.transformer.optimizer import Optimizer, TrainingConfig
from minisub.transformer.stack import TransformerStack

StepReport = Callable[[int, Float[Tensor, " models"], TransformerStack], None]
GradientFn = Callable[[TransformerStack, TokenDataset, Collection[str]], Gradient]


def train(
    model: TransformerStack,
    datasets: Sequence[TokenDataset],
    config: TrainingConfig,
    g: torch.Generator,
    multipliers: Float[Tensor, "models n_params"] | None = None,
    on_step: StepReport | None = None,
    gradient_fn: GradientFn = fastest_gradient,
) -> Float[Tensor, "steps models"]:
    """Train a stack in place, on a batch of each dataset per step; return the losses in nats.

    All models see their rows in the same order.

    Args:
        model: The stack.
        datasets: What it learns from; their losses are added.
        config: Optimizer, rate, steps, batch size.
        g: Where the order of rows comes from.
        multipliers: Of each weight's update (see `update_multipliers`); by default all weights
            train.
        on_step: Called as on_step(step, losses, model) after every step; what it raises ends the
            training.
        gradient_fn: How the gradient is computed.
    """
    # What trains in no model needs no gradient, nor does anything below the lowest that trains.
    names = [
        name
        for name in model.params
        if multipliers is None or multipliers[:, model.param_slice(name)].any()
    ]
    # Drawn on the CPU, so that every device sees the same rows.
    orders = [batch_order(d.tokens.shape[1], config, g).to(model.device) for d in datasets]
    optimizer = Optimizer(model, config, names, multipliers, g)
    gradients = [gradient_fn(model, d.to(model.device), names) for d in datasets]
    grad = torch.zeros_like(model.flat_params)
    history = torch.zeros(config.steps, model.n_models)
    for step in range(config.steps):
        grad.zero_()
        parts = [f(rows[step], grad) for f, rows in zip(gradients, orders, strict=True)]
        history[step] = torch.stack(parts).sum(0)
        optimizer.step(step, grad)
        if on_step is not None:
            on_step(step, history[step], model)
    return history


def update_multipliers(
    model: TransformerStack, factors: Sequence[Mapping[str, float]]
) -> Float[Tensor, "models n_params"]:
    """Return a multiplier for each weight's update.

    Args:
        model: The stack.
        factors: One mapping a model. Keys are the starts of parameter names (`blocks.0.`, `W_E`);
            the longest that fits counts, and what no key fits does not train. {"": 1} trains
            everything.

    Raises:
        ValueError: A key fits no parameter.
    """
    multipliers, names = torch.zeros_like(model.flat_params), tuple(model.params)
    for key in (key for factor in factors for key in factor):
        if not any(name.startswith(key) for name in names):
            raise ValueError(f"no parameter starts with {key!r}; there are {', '.join(names)}")
    for name in names:
        for i, factor in enumerate(factors):
            fits = [key for key in factor if name.startswith(key)]
            if fits:
                multipliers[i, model.param_slice(name)] = factor[max(fits, key=len)]
    return multipliers


def batch_order(
    n_rows: int, config: TrainingConfig, g: torch.Generator
) -> Int[Tensor, "steps batch_size"]:
    """Return which rows make each batch: every row once before any comes again.

    Args:
        n_rows: Rows of the dataset.
        config: Steps and batch size.
        g: Where the order comes from.
    """
    needed = config.steps * config.batch_size
    rounds = [torch.randperm(n_rows, generator=g) for _ in range(-(-needed // n_rows))]
    order = torch.cat(rounds)[:needed].view(config.steps, config.batch_size)
    # If a batch would hold every row k times, taking each once gives the same mean loss.
    return order[:, :n_rows] if config.batch_size % n_rows == 0 else order
