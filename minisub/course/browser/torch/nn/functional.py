"""Functions of networks."""

from collections.abc import Sequence

import numpy as np

from ..tensor import Tensor, wrap


def relu(x: Tensor, inplace: bool = False) -> Tensor:
    """Return x where it is positive, else 0."""
    if inplace:
        np.maximum(x._a, 0, out=x._a)
        return x
    return x.relu()


def embedding(ids: Tensor, weight: Tensor) -> Tensor:
    """Return rows of a matrix."""
    return wrap(weight._a[ids._a])


def one_hot(ids: Tensor, n: int) -> Tensor:
    """Return 1 at each id, else 0."""
    return wrap((ids._a[..., None] == np.arange(n)).astype(np.int64))


def pad(x: Tensor, widths: Sequence[int]) -> Tensor:
    """Return a tensor with zeros around it; the last axis comes first in `widths`."""
    pairs = [(0, 0)] * (x.ndim - len(widths) // 2)
    pairs += [(widths[i], widths[i + 1]) for i in range(len(widths) - 2, -1, -2)]
    return wrap(np.pad(x._a, pairs))


def layer_norm(x: Tensor, shape: Sequence[int], eps: float = 1e-5) -> Tensor:
    """Return x with mean 0 and variance 1 along the last axis."""
    centred = x._a - x._a.mean(-1, keepdims=True)
    return wrap(centred / np.sqrt((centred * centred).mean(-1, keepdims=True) + eps))


def cross_entropy(logits: Tensor, labels: Tensor, reduction: str = "mean") -> Tensor:
    """Return how surprised logits [n, classes] are by labels [n]."""
    nats = -logits.log_softmax(-1)._a[np.arange(len(labels)), labels._a]
    return wrap(nats if reduction == "none" else nats.mean())


def normalize(x: Tensor, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """Return vectors of length 1."""
    return wrap(x._a / x.norm(dim, keepdim=True)._a.clip(min=eps))
