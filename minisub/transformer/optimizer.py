"""AdamW, Adam, SGD and sign descent on all models of a stack, on full or low-rank weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from minisub.common.fields import check_fields
from minisub.transformer.stack import TransformerStack

OPTIMIZERS = ("adamw", "adam", "sgd", "sign")


@dataclass(frozen=True)
class TrainingConfig:
    """AdamW (Loshchilov & Hutter, 2019) with a warm-up and a linear decay to zero.

    Other optimizers differ in one line each. "adam": the weight decay is added to the gradient, so
    that it is divided by the gradient's running size (coupled), not to the update (decoupled).
    "sgd": a step follows the running mean of the gradients (`beta1`; 0 for plain SGD), not divided
    by their running size. "sign": only the signs of that mean count (Bernstein et al., 2018). With
    a `lora_rank` every matrix that trains does so by a product of two thin ones (LoRA, Hu et al.,
    2021).
    """

    lr: float = 1e-3
    steps: int = 400
    batch_size: int = 64  # rows of each dataset per step
    warmup_fraction: float = 0.05  # of the steps
    beta1: float = 0.9
    beta2: float = 0.98
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0  # of each model's gradient
    optimizer: str = "adamw"
    lora_rank: int = 0  # 0: full

    def __post_init__(self) -> None:
        least = {"steps": 1, "batch_size": 1, "lora_rank": 0, "weight_decay": 0}
        check_fields(self, least=least)
        if self.optimizer not in OPTIMIZERS:
            allowed = ", ".join(OPTIMIZERS)
            raise ValueError(f"optimizer is {self.optimizer!r}, allowed: {allowed}")
        if not self.lr > 0:
            raise ValueError(f"lr is {self.lr}, allowed: above 0")
        if not 0 <= self.warmup_fraction <= 1:
            raise ValueError(f"warmup_fraction is {self.warmup_fraction}, allowed: 0 to 1")
        if not self.max_grad_norm > 0:
            raise ValueError(f"max_grad_norm is {self.max_grad_norm}, allowed: above 0")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, allowed: 0 to below 1")

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        warm = max(1, round(self.warmup_fraction * self.steps))
        return self.lr * min((step + 1) / warm, (self.steps - step) / (self.steps - warm + 1))


class LoRA:
    """The thin matrices of low-rank training: each weight is its start plus A B, with B = 0 first.

    `flat_params` [models, n] holds all A and B, as a stack's does all weights.

    Args:
        model: The stack at the start.
        names: The parameters that train.
        rank: Of the product A B.
        g: Where A comes from.
    """

    def __init__(
        self, model: TransformerStack, names: Sequence[str], rank: int, g: torch.Generator
    ) -> None:
        self.start = {name: model.params[name].detach().clone() for name in names}
        parts, self.slices, at = [], {}, 0
        for name, w in self.start.items():
            a, b = torch.randn(w.shape[1], rank, generator=g), torch.zeros(rank, w.shape[2])
            parts += [(a * w.shape[1] ** -0.5).flatten(), b.flatten()]
            middle = at + a.numel()
            self.slices[name] = slice(at, middle), slice(middle, middle + b.numel())
            at = middle + b.numel()
        self.flat_params = torch.cat(parts).repeat(model.n_models, 1).to(model.flat_params)

    def _a_and_b(self, name: str) -> tuple[Tensor, Tensor]:
        (n_models, d_in, d_out), (first, second) = self.start[name].shape, self.slices[name]
        flat = self.flat_params
        return flat[:, first].view(n_models, d_in, -1), flat[:, second].view(n_models, -1, d_out)

    def gradient(self, model: TransformerStack, grad: Tensor) -> Float[Tensor, "models n"]:
        """Return the gradient of all A and B from that of the weights.

        Args:
            model: The stack.
            grad: [models, n_params].
        """
        parts = []
        for name, start in self.start.items():
            a, b = self._a_and_b(name)
            of_weight = grad[:, model.param_slice(name)].view_as(start)
            parts += [(of_weight @ b.mT).flatten(1), (a.mT @ of_weight).flatten(1)]
        return torch.cat(parts, 1)

    def multipliers(
        self, model: TransformerStack, multipliers: Float[Tensor, "models n_params"]
    ) -> Float[Tensor, "models n"]:
        """Return multipliers of all A and B from those of the weights.

        Args:
            model: The stack.
            multipliers: Of each weight's update; constant in each matrix.
        """
        out = torch.empty_like(self.flat_params)
        for name, (first, second) in self.slices.items():
            out[:, first.start : second.stop] = multipliers[:, model.param_slice(name)][:, :1]
        return out

    def write(self, model: TransformerStack) -> None:
        """Put the products into the model's weights."""
        for name, start in self.start.items():
            a, b = self._a_and_b(name)
            model.flat_params[:, model.param_slice(name)] = (start + a @ b).flatten(1)


class Optimizer:
    """One of `OPTIMIZERS` for every model of a stack, each clipped by itself.

    Args:
        model: The stack, changed in place by every step.
        config: Rates, clipping, decay, rank.
        names: The parameters that train.
        multipliers: [models, n_params] of each weight's update; None for 1 where it trains.
        g: Where low-rank matrices come from.
    """

    def __init__(
        self,
        model: TransformerStack,
        config: TrainingConfig,
        names: Sequence[str],
        multipliers: Float[Tensor, "models n_params"] | None,
        g: torch.Generator,
    ) -> None:
        self.model, self.config = model, config
        self.lora = LoRA(model, names, config.lora_rank, g) if config.lora_rank else None
        if multipliers is not None and not config.weight_decay:
            slices = [model.param_slice(name) for name in names]
            if all(bool((multipliers[:, s] == 1).all()) for s in slices):
                multipliers = None  # what does not train has no gradient, and stays where it is
        if multipliers is not None and self.lora is not None:
            multipliers = self.lora.multipliers(model, multipliers)
        self.multipliers = multipliers
        self.weights = model.flat_params if self.lora is None else self.lora.flat_params
        self.m, self.v = torch.zeros_like(self.weights), torch.zeros_like(self.weights)

    @torch.no_grad()
    def step(self, step: int, grad: Float[Tensor, "models n_params"]) -> None:
        """Update the weights.

        Args:
            step: Counted from 0.
            grad: The gradient of each model's loss; it is clipped in place.
        """
        config = self.config
        if self.lora is not None:
            grad = self.lora.gradient(self.model, grad)
        if self.multipliers is not None:
            # Zero where this model does not train, though another does.
            grad *= self.multipliers != 0
        norm = torch.linalg.vector_norm(grad, dim=1, keepdim=True)
        grad *= (config.max_grad_norm / (norm + 1e-12)).clamp(max=1)
        is_coupled = config.optimizer == "adam"
        if config.weight_decay and is_coupled:
            grad += config.weight_decay * self.weights
        self.m.lerp_(grad, 1 - config.beta1)
        self.v.mul_(config.beta2).addcmul_(grad, grad, value=1 - config.beta2)
        first = 1 - config.beta1 ** (step + 1)
        second = 1 - config.beta2 ** (step + 1)
        if config.optimizer in ("adamw", "adam"):
            # (m / first) / (sqrt(v / second) + 1e-8), in fewer passes.
            update = self.m / self.v.sqrt().mul_(first * second**-0.5).add_(first * 1e-8)
        elif config.optimizer == "sign":
            update = self.m.sign()
        else:
            update = self.m / first
        if config.weight_decay and not is_coupled:
            update += config.weight_decay * self.weights
        if self.multipliers is not None:
            update *= self.multipliers
        self.weights.sub_(update, alpha=config.learning_rate(step))
        if self.lora is not None:
            self.lora.write(self.model)
