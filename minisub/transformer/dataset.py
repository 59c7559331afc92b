"""What a stack learns from, and its loss."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from minisub.transformer.config import ModelConfig
from minisub.transformer.stack import TransformerStack


@dataclass(frozen=True)
class TokenDataset:
    """Sequences to learn from. A models axis of 1 means the same for all models.

    Attributes:
        tokens: [models, rows, length]; the last `predicted` tokens are learned.
        weights: [models, rows, predicted], of the loss at each learned token.
        soft_targets: [models, rows, predicted, d_vocab]; given, the loss is the cross-entropy to
            this distribution instead of to the token (Hinton et al., 2015).
        labels: [models, rows, predicted], what to predict where it is not what comes next in
            `tokens`.
    """

    tokens: Int[Tensor, "#models rows length"]
    weights: Float[Tensor, "#models rows predicted"]
    soft_targets: Float[Tensor, "#models rows predicted d_vocab"] | None = None
    labels: Int[Tensor, "#models rows predicted"] | None = None

    def select_models(self, models: Sequence[int]) -> "TokenDataset":
        """Return the part of some models."""
        return self.map_tensors(lambda x: x if len(x) == 1 else x[list(models)])

    def to(self, device: torch.device) -> "TokenDataset":
        """Return a copy on another device."""
        return self.map_tensors(lambda x: x.to(device))

    def batch(self, rows: Int[Tensor, "#models batch"]) -> "TokenDataset":
        """Return some rows; each model may have rows of its own."""
        return self.map_tensors(lambda x: select_rows(x, rows))

    def map_tensors(self, change: Callable[[Tensor], Tensor]) -> "TokenDataset":
        """Return a copy with every tensor changed."""
        soft = None if self.soft_targets is None else change(self.soft_targets)
        labels = None if self.labels is None else change(self.labels)
        return TokenDataset(change(self.tokens), change(self.weights), soft, labels)

    @property
    def targets(self) -> Int[Tensor, "#models rows predicted"]:
        """The tokens to learn."""
        following = self.tokens[..., -self.weights.shape[-1] :]
        return following if self.labels is None else self.labels

    def check(self, config: ModelConfig, n_models: int) -> None:
        """Raise a ValueError where it does not fit some models.

        Args:
            config: The shape of the models.
            n_models: How many there are.
        """
        n_rows, length = self.tokens.shape[1], self.tokens.shape[2] - 1
        n_predicted = self.weights.shape[-1]
        if not 1 <= n_predicted <= length <= config.n_ctx:
            raise ValueError(
                f"{length} tokens are read and {n_predicted} predicted, allowed: at most "
                f"{config.n_ctx} are read, and as many predicted"
            )
        wanted = {
            "tokens": (self.tokens, (n_rows, length + 1)),
            "weights": (self.weights, (n_rows, n_predicted)),
            "labels": (self.labels, (n_rows, n_predicted)),
            "soft_targets": (self.soft_targets, (n_rows, n_predicted, config.d_vocab)),
        }
        for name, (given, shape) in wanted.items():
            if given is not None and (len(given) not in (1, n_models) or given.shape[1:] != shape):
                raise ValueError(
                    f"{name} are {list(given.shape)}, allowed: 1 or {n_models} times {list(shape)}"
                )

    def loss(
        self, model: TransformerStack, rows: Int[Tensor, " batch"]
    ) -> Float[Tensor, " models"]:
        """Return each model's weighted cross-entropy, in nats.

        It is the sum of weight times nats, divided by the rows times the predicted tokens: the mean
        where all weights are 1.

        Args:
            model: The stack.
            rows: Which rows, the same for all models.
        """
        batch = self.batch(rows[None])
        logits = model(batch.tokens[:, :, :-1], n_last=batch.weights.shape[-1])
        if batch.soft_targets is None:
            labels = batch.targets.expand(logits.shape[:3])
            nats = F.cross_entropy(logits.flatten(0, 2), labels.flatten(), reduction="none")
            nats = nats.view(logits.shape[:3])
        else:
            nats = -(batch.soft_targets * logits.log_softmax(-1)).sum(-1)
        return (nats * batch.weights).sum((1, 2)) / batch.weights[0].numel()


def select_rows(
    x: Shaped[Tensor, "#models count ..."], rows: Int[Tensor, "#models batch"]
) -> Shaped[Tensor, "#models batch ..."]:
    """Return some rows of a tensor, each model's own.

    Args:
        x: One row a sequence.
        rows: Their places.
    """
    return x[torch.arange(len(x), device=x.device)[:, None], rows]
