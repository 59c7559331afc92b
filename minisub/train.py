"""The one training loop: bases, teachers and students all learn here.

Members of a stack learn side by side and never touch: the loss is summed over members, gradients
are clipped per member, and what differs between members is data: tokens, loss weights, learning
rate, and which parameters may move.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minisub.loss import Corpus, Gradient, by_hand
from minisub.model import Stack

Progress = Callable[[int, Float[Tensor, " members"], Stack], None]
Way = Callable[[Stack, Corpus, Collection[str]], Gradient]


@dataclass(frozen=True)
class Optimiser:
    """AdamW (Loshchilov & Hutter, 2019) with a warm-up and a linear decay to zero.

    `method` "sgd" is the same without the division by the gradient's size. With a `rank` every
    matrix that moves does so by a product of two thin ones (LoRA, Hu et al., 2021).
    """

    lr: float = 1e-3
    steps: int = 400
    batch: int = 64
    warmup: float = 0.05  # share of the steps
    beta1: float = 0.9
    beta2: float = 0.98
    decay: float = 0.0
    clip: float = 1.0  # of each member's gradient norm
    method: str = "adamw"
    rank: int = 0  # 0: full

    def __post_init__(self) -> None:
        if self.method not in ("adamw", "sgd"):
            raise ValueError(f"method is {self.method!r}, allowed: adamw, sgd")
        if self.steps < 1 or self.batch < 1 or self.rank < 0:
            counts = f"{self.steps}, {self.batch}, {self.rank}"
            raise ValueError(f"steps, batch, rank are {counts}, allowed: 1, 1, 0 and more")
        if not 0 < self.lr < float("inf"):
            raise ValueError(f"lr is {self.lr}, allowed: above 0")
        if not 0 <= self.warmup <= 1:
            raise ValueError(f"warmup is {self.warmup}, allowed: 0 to 1")

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        warm = max(1, round(self.warmup * self.steps))
        return self.lr * min((step + 1) / warm, (self.steps - step) / (self.steps - warm + 1))


def trainable(
    model: Stack, factors: Sequence[Mapping[str, float]]
) -> Float[Tensor, "members count"]:
    """A multiplier for each weight's update, from one mapping a member.

    Keys are the starts of parameter names (`blocks.0.`, `W_E`); the longest that fits counts, and
    what no key fits does not move. {"": 1} trains everything. ValueError for a key that fits none.
    """
    mask, names = torch.zeros_like(model.flat), tuple(model.params)
    for key in (key for factor in factors for key in factor):
        if not any(name.startswith(key) for name in names):
            raise ValueError(f"no parameter starts with {key!r}; there are {', '.join(names)}")
    for name in names:
        for member, factor in enumerate(factors):
            fits = [key for key in factor if name.startswith(key)]
            if fits:
                mask[member, model.where(name)] = factor[max(fits, key=len)]
    return mask


class LowRank:
    """The thin matrices of a LoRA: each weight is its start plus A B, and B starts at zero.

    `flat` [members, count] holds all A and B, as a stack's does all weights.
    """

    def __init__(self, model: Stack, names: Sequence[str], rank: int, g: torch.Generator) -> None:
        self.start = {name: model.params[name].detach().clone() for name in names}
        parts, self.pairs, at = [], {}, 0
        for name, w in self.start.items():
            a, b = torch.randn(w.shape[1], rank, generator=g), torch.zeros(rank, w.shape[2])
            parts += [(a * w.shape[1] ** -0.5).flatten(), b.flatten()]
            middle = at + a.numel()
            self.pairs[name] = slice(at, middle), slice(middle, middle + b.numel())
            at = middle + b.numel()
        self.flat = torch.cat(parts).repeat(model.members, 1).to(model.flat)

    def _thin(self, name: str) -> tuple[Tensor, Tensor]:
        (members, a, b), (first, second) = self.start[name].shape, self.pairs[name]
        return self.flat[:, first].view(members, a, -1), self.flat[:, second].view(members, -1, b)

    def gradient(self, model: Stack, grads: Tensor) -> Float[Tensor, "members count"]:
        """Of all A and B, from that of the weights."""
        parts = []
        for name, start in self.start.items():
            a, b = self._thin(name)
            grad = grads[:, model.where(name)].view_as(start)
            parts += [(grad @ b.mT).flatten(1), (a.mT @ grad).flatten(1)]
        return torch.cat(parts, 1)

    def factors(self, model: Stack, mask: Float[Tensor, "members count"]) -> Tensor:
        """`mask` over the weights as one over all A and B; it is constant in each matrix."""
        out = torch.empty_like(self.flat)
        for name, (first, second) in self.pairs.items():
            out[:, first.start : second.stop] = mask[:, model.where(name)][:, :1]
        return out

    def write(self, model: Stack) -> None:
        """Put the products into the model's weights."""
        for name, start in self.start.items():
            a, b = self._thin(name)
            model.flat[:, model.where(name)] = (start + a @ b).flatten(1)


def train(
    model: Stack,
    corpora: Sequence[Corpus],
    how: Optimiser,
    g: torch.Generator,
    mask: Float[Tensor, "members count"] | None = None,
    progress: Progress | None = None,
    way: Way = by_hand,
) -> Float[Tensor, "steps members"]:
    """Train `model` in place, a batch of each corpus a step; returns the losses in nats.

    All members see their rows in the same order. `mask` multiplies the update, weight by weight
    (see `trainable`). `progress(step, losses, model)` is called after every step; what it raises
    ends the training. `way` computes the gradient.
    """
    # What moves in no member needs no gradient, nor does anything below the lowest that moves.
    names = tuple(model.params)
    moving = [n for n in names if mask is None or mask[:, model.where(n)].any()]

    def all_ones(mask: Tensor, name: str) -> bool:
        return bool((mask[:, model.where(name)] == 1).all())

    # Drawn on the CPU, so that every device sees the same rows.
    orders = [_order(c.tokens.shape[1], how, g).to(model.device) for c in corpora]
    thin = LowRank(model, moving, how.rank, g) if how.rank else None
    weights = model.flat if thin is None else thin.flat
    if mask is not None and not how.decay and all(all_ones(mask, n) for n in moving):
        mask = None  # what does not move has no gradient, and stays where it is
    if mask is not None and thin is not None:
        mask = thin.factors(model, mask)
    m, v = torch.zeros_like(weights), torch.zeros_like(weights)
    ways = [way(model, corpus.to(model.device), moving) for corpus in corpora]
    grads = torch.zeros_like(model.flat)
    history = torch.zeros(how.steps, model.members)
    for step in range(how.steps):
        grads.zero_()
        losses = torch.stack([w(o[step], grads) for w, o in zip(ways, orders, strict=True)]).sum(0)
        with torch.no_grad():
            grad = grads if thin is None else thin.gradient(model, grads)
            if mask is not None:
                grad *= mask != 0  # what another member moves
            norm = torch.linalg.vector_norm(grad, dim=1, keepdim=True)
            grad *= (how.clip / (norm + 1e-12)).clamp(max=1)
            m.lerp_(grad, 1 - how.beta1)
            v.mul_(how.beta2).addcmul_(grad, grad, value=1 - how.beta2)
            first = 1 - how.beta1 ** (step + 1)
            second = 1 - how.beta2 ** (step + 1)
            if how.method == "adamw":  # (m / first) / (sqrt(v / second) + 1e-8), in fewer passes
                update = m / v.sqrt().mul_(first * second**-0.5).add_(first * 1e-8)
            else:
                update = m / first
            if how.decay:
                update += how.decay * weights
            if mask is not None:
                update *= mask
            weights.sub_(update, alpha=how.rate(step))
            if thin is not None:
                thin.write(model)
            history[step] = losses
        if progress is not None:
            progress(step, history[step], model)
    return history


def _order(rows: int, how: Optimiser, g: torch.Generator) -> Int[Tensor, "steps batch"]:
    """Which rows make each batch: every row once before any comes again."""
    need = how.steps * how.batch
    rounds = [torch.randperm(rows, generator=g) for _ in range(-(-need // rows))]
    order = torch.cat(rounds)[:need].view(how.steps, how.batch)
    # A batch of every row so many times has the mean loss of every row once.
    return order[:, :rows] if how.batch % rows == 0 else order
