"""Small models with lessons for them, and whether a kernel can be compiled here."""

import pytest
import torch

from minisub.common.randomness import generator
from minisub.transformer.config import ModelConfig
from minisub.transformer.dataset import TokenDataset
from minisub.transformer.kernel import compiler
from minisub.transformer.stack import TransformerStack

SHAPE = ModelConfig(8, 2, 2, 16, d_vocab=12, n_ctx=9)
needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C compiler")


def start(members: int) -> TransformerStack:
    """Return a stack in double precision whose models differ."""
    g = generator(1, "weights")
    return TransformerStack(
        SHAPE,
        torch.cat([TransformerStack.init(SHAPE, g).flat_params for _ in range(members)]).double(),
    )


def lessons(members: int, soft: bool = False, rows: int = 20) -> TokenDataset:
    """Return random rows with a weight for each token, and distributions to learn if `soft`."""
    g = generator(2, "lessons")
    tokens = torch.randint(12, (members, rows, 10), generator=g)
    weights = torch.rand(members, rows, 4, generator=g, dtype=torch.float64) * 5
    p = torch.rand(members, rows, 4, 12, generator=g, dtype=torch.float64).softmax(-1)
    return TokenDataset(tokens, weights, p if soft else None)
