"""Norms."""

from typing import Any

from .tensor import Tensor


def vector_norm(x: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Return the length of vectors.

    Args:
        x: The vectors.
        dim: Along which axis they lie.
        keepdim: Whether this axis stays.
    """
    return x.norm(dim, keepdim)
