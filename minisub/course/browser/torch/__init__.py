"""A stand-in for torch on numpy, for browsers, where torch cannot be had.

It has the names that minisub uses and no others, so that what it cannot do raises. There are no
gradients: minisub's students learn by a gradient that is written out (`transformer/gradient.py`).
In a page that runs in a browser this package is `torch`; elsewhere it is never on the path.
"""

import contextlib
import functools
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from . import autograd, dtypes, linalg, nn, special
from .dtypes import dtype
from .random import Generator, choices, default_generator, integers, normals, permutation
from .tensor import Tensor, alike, device, raw, wrap

__version__ = "2.6.0+minisub"
__all__ = ["Generator", "Tensor", "autograd", "device", "dtype", "linalg", "nn", "special"]
bool, uint8, int8, int16 = dtypes.bool_, dtypes.uint8, dtypes.int8, dtypes.int16
int32, int64, float16 = dtypes.int32, dtypes.int64, dtypes.float16
float32, float64 = dtypes.float32, dtypes.float64
int, long, float, double = int32, int64, float32, float64
inf = np.inf
backends = SimpleNamespace(mps=SimpleNamespace(is_available=lambda: False))
cuda = SimpleNamespace(is_available=lambda: False, device_count=lambda: 0)


class no_grad(contextlib.ContextDecorator):
    """Nothing: there are no gradients anyway."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exc: object) -> None:
        return None


def is_grad_enabled() -> Any:
    """Return False."""
    return False


def get_default_dtype() -> dtype:
    """Return float32."""
    return dtypes.DEFAULT


def set_num_threads(n: Any) -> None:
    """Do nothing: there is one thread."""


def get_num_threads() -> Any:
    """Return 1."""
    return 1


# Making tensors -----------------------------------------------------------------------------------


def _sizes(shape: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], list | tuple) else shape


def _filled(fill: Callable[..., Any], default: dtype) -> Callable[..., Tensor]:
    def make(*shape: Any, dtype: dtype | None = None, device: Any = None) -> Tensor:
        return wrap(fill(_sizes(shape), (dtype or default).np))

    return make


zeros = empty = _filled(np.zeros, float32)
ones = _filled(np.ones, float32)


def full(shape: Sequence[Any], value: Any, dtype: dtype | None = None) -> Tensor:
    """Return a tensor of one value."""
    kind = dtypes.result_type(value) if dtype is None else dtype.np
    return wrap(np.full(tuple(shape), value, kind))


def zeros_like(x: Tensor) -> Tensor:
    """Return zeros of a tensor's shape and type."""
    return wrap(np.zeros_like(x._a, order="C"))


empty_like = zeros_like


def ones_like(x: Tensor) -> Tensor:
    """Return ones of a tensor's shape and type."""
    return wrap(np.ones_like(x._a, order="C"))


def eye(n: Any, m: Any = None) -> Tensor:
    """Return a matrix with ones on its diagonal."""
    return wrap(np.eye(n, m, dtype=np.float32))


def arange(*ends: Any, dtype: dtype | None = None, device: Any = None) -> Tensor:
    """Return evenly spaced numbers."""
    kind = dtypes.result_type(*map(_plain, ends)) if dtype is None else dtype.np
    return wrap(np.arange(*map(_plain, ends), dtype=kind))


def _plain(x: Any) -> Any:
    return x.item() if isinstance(x, Tensor | np.generic) else x


def tensor(values: Any, dtype: dtype | None = None, device: Any = None) -> Tensor:
    """Return a new tensor with values from lists, numbers or arrays."""
    a = np.array(raw(values))
    is_python = not isinstance(values, Tensor | np.ndarray | np.generic)
    if dtype is None and is_python and a.dtype.kind in "if":
        dtype = float32 if a.dtype.kind == "f" else int64
    return wrap(a if dtype is None else a.astype(dtype.np))


def as_tensor(values: Any, dtype: dtype | None = None) -> Tensor:
    """Return values as a tensor; a tensor as it is, an array without a copy."""
    if isinstance(values, Tensor):
        return values if dtype is None else values.to(dtype)
    if isinstance(values, np.ndarray):
        return wrap(values if dtype is None else values.astype(dtype.np))
    return tensor(values, dtype)


def from_numpy(a: Any) -> Tensor:
    """Return a tensor over an array, without a copy."""
    return wrap(a)


# Random -------------------------------------------------------------------------------------------


def rand(*shape: Any, generator: Generator | None = None, dtype: dtype | None = None) -> Tensor:
    """Return numbers in [0, 1)."""
    sizes = _sizes(shape)
    n = functools.reduce(lambda a, b: a * b, sizes, 1)
    drawn = default_generator(generator).uniforms(n, dtype is float64)
    return wrap(drawn.reshape(sizes))


def randn(*shape: Any, generator: Generator | None = None) -> Tensor:
    """Return normal numbers."""
    sizes = _sizes(shape)
    n = functools.reduce(lambda a, b: a * b, sizes, 1)
    return wrap(normals(n, default_generator(generator)).reshape(sizes))


def randint(*given: Any, generator: Generator | None = None) -> Tensor:
    """Return whole numbers from low (or 0) to high - 1, of a shape."""
    *ends, shape = given
    low, high = ends if len(ends) == 2 else (0, *ends)
    n = functools.reduce(lambda a, b: a * b, shape, 1)
    return wrap(integers(low, high, n, default_generator(generator)).reshape(tuple(shape)))


def randperm(n: Any, generator: Generator | None = None) -> Tensor:
    """Return the numbers below n in a random order."""
    return wrap(permutation(n, default_generator(generator)))


def multinomial(probs: Tensor, n: Any, generator: Generator | None = None) -> Tensor:
    """Return draws from weights; not those that torch draws."""
    return wrap(choices(probs._a, n, default_generator(generator)))


# Putting together ---------------------------------------------------------------------------------


def cat(tensors: Sequence[Tensor], dim: Any = 0) -> Tensor:
    """Return tensors one after another."""
    parts = alike(*tensors)
    return wrap(np.concatenate(parts, dim))


def stack(tensors: Sequence[Tensor], dim: Any = 0) -> Tensor:
    """Return tensors along a new axis."""
    return wrap(np.stack(alike(*tensors), dim))


def split(x: Tensor, size: Any, dim: Any = 0) -> tuple[Tensor, ...]:
    """Return parts of a tensor."""
    return x.split(size, dim)


def where(condition: Tensor, a: Any, b: Any) -> Tensor:
    """Return entries of a where a condition holds, else of b."""
    x, y = alike(a, b)
    return wrap(np.where(condition._a, x, y))


def unique(x: Tensor, dim: Any = None, return_inverse: Any = False) -> Any:
    """Return the distinct entries, or rows, in order, and where each is found."""
    values, inverse = np.unique(x._a, axis=dim, return_inverse=True)
    where_found = wrap(inverse.reshape(-1 if dim is not None else x.shape))
    return (wrap(values), where_found) if return_inverse else wrap(values)


def bincount(x: Tensor, minlength: Any = 0) -> Tensor:
    """Return how often each whole number occurs."""
    return wrap(np.bincount(x._a.astype(np.intp), minlength=minlength).astype(np.int64))


def searchsorted(edges: Tensor, values: Tensor, right: Any = False) -> Tensor:
    """Return where values would stand in the sorted rows of `edges`."""
    below = edges._a[..., None, :] <= values._a[..., None]
    if not right:
        below = edges._a[..., None, :] < values._a[..., None]
    return wrap(below.sum(-1).astype(np.int64))


# Calculating --------------------------------------------------------------------------------------


def bmm(a: Tensor, b: Tensor) -> Tensor:
    """Return products of matrices."""
    return wrap(np.matmul(a._a, b._a))


def baddbmm(x: Tensor, a: Tensor, b: Tensor, alpha: Any = 1) -> Tensor:
    """Return x plus alpha times products of matrices."""
    product = np.matmul(a._a, b._a)
    if alpha != 1:
        product *= product.dtype.type(alpha)
    product = product + x._a
    return wrap(product)


def equal(a: Tensor, b: Tensor) -> Any:
    """Return whether two tensors are the same."""
    return a.equal(b)


def allclose(a: Tensor, b: Tensor, rtol: Any = 1e-5, atol: Any = 1e-8) -> Any:
    """Return whether two tensors are nearly the same."""
    return np.allclose(a._a, b._a, rtol, atol)


def _softmax_backward_data(d: Tensor, p: Tensor, dim: Any, kind: Any) -> Tensor:
    """Return the gradient at the input of a softmax."""
    along = d._a * p._a
    return wrap(along - p._a * along.sum(dim, keepdims=True))


def _threshold_backward(d: Tensor, x: Tensor, threshold: Any, grad_input: Tensor) -> Tensor:
    grad_input._a[...] = np.where(x._a > threshold, d._a, d._a.dtype.type(0))
    return grad_input


ops = SimpleNamespace(
    aten=SimpleNamespace(threshold_backward=SimpleNamespace(grad_input=_threshold_backward))
)
