"""The dimensions of one transformer, named as in TransformerLens."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from minisub.common.fields import check_fields


@dataclass(frozen=True)
class ModelConfig:
    """Dimensions of one transformer.

    A configuration of a base leaves `d_vocab` and `n_ctx` at 0: they follow from its world.
    """

    d_model: int = 16  # width of the residual stream; narrow, so that numbers and animals share it
    n_layers: int = 4  # blocks
    n_heads: int = 2  # few and wide: attention over 17 tokens costs by the head
    d_mlp: int = 64
    d_vocab: int = 0
    n_ctx: int = 0  # tokens that it can read

    def __post_init__(self) -> None:
        most = dict.fromkeys(("d_model", "n_layers", "d_mlp", "d_vocab"), 10_000)
        least = dict.fromkeys(("d_model", "n_layers", "n_heads", "d_mlp"), 1)
        check_fields(self, most, {**least, "d_vocab": 0, "n_ctx": 0})
        if self.d_model % self.n_heads:
            raise ValueError(
                f"d_model is {self.d_model}, allowed: a multiple of n_heads = {self.n_heads}"
            )

    def parameters(self) -> Iterator[tuple[str, tuple[int, int], float]]:
        """Yield (name, shape, standard deviation at the start) of every matrix, in order."""
        d, deep = self.d_model, math.sqrt(2 * self.n_layers)
        yield "W_E", (self.d_vocab, d), d**-0.5
        yield "W_pos", (self.n_ctx, d), d**-0.5
        for block in range(self.n_layers):
            yield f"blocks.{block}.attn.W_QKV", (d, 3 * d), d**-0.5
            yield f"blocks.{block}.attn.W_O", (d, d), d**-0.5 / deep
            yield f"blocks.{block}.mlp.W_in", (d, self.d_mlp), d**-0.5
            yield f"blocks.{block}.mlp.W_out", (self.d_mlp, d), self.d_mlp**-0.5 / deep
        yield "W_U", (d, self.d_vocab), d**-0.5

    @property
    def n_params(self) -> int:
        """Number of parameters of one model."""
        return sum(a * b for _, (a, b), _ in self.parameters())
