"""Special functions."""

import numpy as np

from .tensor import Tensor, wrap


def entr(p: Tensor) -> Tensor:
    """Return -p log p, and 0 at 0."""
    a = p._a
    return wrap(np.where(a > 0, -a * np.log(np.where(a > 0, a, 1)), a.dtype.type(0)))
