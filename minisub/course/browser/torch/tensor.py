"""The tensor: a numpy array with torch's names and torch's rules, as far as minisub uses them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from . import dtypes
from .dtypes import Array, dtype


class device:
    """Where tensors are: on the CPU.

    Args:
        type: Only "cpu".
    """

    index = None

    def __init__(self, type: Any = "cpu") -> None:
        self.type = str(type)
        if self.type != "cpu":
            raise RuntimeError(f"device is {self.type!r}, allowed in the browser: 'cpu'")

    def __repr__(self) -> str:
        return self.type

    def __eq__(self, other: object) -> bool:
        return str(other) == self.type

    def __hash__(self) -> int:
        return hash(self.type)


class Top(NamedTuple):
    """Largest or smallest values along an axis, and where they are."""

    values: Tensor
    indices: Tensor


def raw(x: Any) -> Any:
    """Return the array of a tensor; other things as they are, within lists and tuples too."""
    if isinstance(x, Tensor):
        return x._a
    if isinstance(x, tuple):
        return tuple(raw(y) for y in x)
    if isinstance(x, list):
        return [raw(y) for y in x]
    return x


def wrap(a: Any) -> Tensor:
    """Return a tensor over an array, without a copy."""
    out = Tensor.__new__(Tensor)
    out._a = np.asarray(a)
    dtypes.of_array(out._a)
    out.requires_grad = False
    return out


def alike(*operands: Any) -> list[Any]:
    """Return operands as arrays of the type that their calculation has."""
    arrays = [np.asarray(x) if isinstance(x, np.generic) else x for x in map(raw, operands)]
    kind = dtypes.result_type(*arrays)
    return [np.asarray(a).astype(kind, copy=False) for a in arrays]


def _axes(dim: Any) -> Any:
    return tuple(dim) if isinstance(dim, list | tuple) else dim


# Within the class these names are methods.
Int: TypeAlias = int
Float: TypeAlias = float
Bool: TypeAlias = bool


class Tensor:
    """A numpy array with torch's names. A name that it has not raises AttributeError."""

    _a: Array
    requires_grad: Bool
    __hash__ = object.__hash__

    # What it is -------------------------------------------------------------------------------

    shape = property(lambda self: self._a.shape)
    ndim = property(lambda self: self._a.ndim)
    dtype = property(lambda self: dtypes.of_array(self._a))
    device = property(lambda self: device())
    is_cuda = False
    grad = None

    @property
    def T(self) -> Tensor:
        return wrap(self._a.T)

    @property
    def mT(self) -> Tensor:
        return wrap(self._a.swapaxes(-1, -2))

    def __len__(self) -> Int:
        return len(self._a)

    def __repr__(self) -> str:
        return f"tensor({self._a})"

    def __iter__(self) -> Iterator[Tensor]:
        return (wrap(a) for a in self._a)

    def __bool__(self) -> Bool:
        return bool(self._a)

    def __int__(self) -> Int:
        return int(self._a)

    def __float__(self) -> Float:
        return float(self._a)

    def __index__(self) -> Int:
        return self._a.__index__()

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        return self._a if dtype is None else self._a.astype(dtype)

    def numel(self) -> Int:
        return self._a.size

    def item(self) -> Any:
        return self._a.item()

    def tolist(self) -> Any:
        return self._a.tolist()

    def numpy(self) -> Array:
        return self._a

    def data_ptr(self) -> Int:
        return int(self._a.ctypes.data)

    def is_contiguous(self) -> Bool:
        return self._a.flags.c_contiguous

    def contiguous(self) -> Tensor:
        return wrap(np.ascontiguousarray(self._a).reshape(self._a.shape))

    def detach(self) -> Tensor:
        return wrap(self._a)

    def cpu(self) -> Tensor:
        return self

    def clone(self) -> Tensor:
        return wrap(self._a.copy())

    def requires_grad_(self, requires_grad: Bool = True) -> Tensor:
        self.requires_grad = requires_grad
        return self

    # Types ------------------------------------------------------------------------------------

    def to(self, *wanted: Any, **named: Any) -> Tensor:
        kind: Any = self.dtype
        for x in (*wanted, *named.values()):
            if isinstance(x, dtype):
                kind = x
            elif isinstance(x, Tensor):
                kind = x.dtype
            elif not isinstance(x, bool):
                device(x)
        return self if kind is self.dtype else wrap(self._a.astype(kind.np))

    def long(self) -> Tensor:
        return self.to(dtypes.int64)

    def int(self) -> Tensor:
        return self.to(dtypes.int32)

    def half(self) -> Tensor:
        return self.to(dtypes.float16)

    def float(self) -> Tensor:
        return self.to(dtypes.float32)

    def double(self) -> Tensor:
        return self.to(dtypes.float64)

    def bool(self) -> Tensor:
        return self.to(dtypes.bool_)

    def new_zeros(self, *shape: Any) -> Tensor:
        return wrap(np.zeros(_shape(shape), self._a.dtype))

    def new_empty(self, *shape: Any) -> Tensor:
        return self.new_zeros(*shape)

    def new_full(self, shape: Sequence[Int], value: Any) -> Tensor:
        return wrap(np.full(tuple(shape), value, self._a.dtype))

    # Shapes -----------------------------------------------------------------------------------

    def reshape(self, *shape: Any) -> Tensor:
        return wrap(self._a.reshape(_shape(shape)))

    def view(self, *shape: Any) -> Tensor:
        out = self._a.reshape(_shape(shape))
        if out.size and not np.shares_memory(out, self._a):
            raise RuntimeError(f"no view of {self.shape} has the shape {_shape(shape)}")
        return wrap(out)

    def view_as(self, other: Tensor) -> Tensor:
        return self.view(*other.shape)

    def flatten(self, start: Int = 0, end: Int = -1) -> Tensor:
        shape = self._a.shape
        end %= max(1, len(shape))
        return wrap(self._a.reshape(*shape[:start], -1, *shape[end + 1 :]) if shape else self._a)

    def transpose(self, a: Int, b: Int) -> Tensor:
        return wrap(self._a.swapaxes(a, b))

    def expand(self, *shape: Any) -> Tensor:
        wanted = list(_shape(shape))
        new = len(wanted) - self._a.ndim
        for i, n in enumerate(self._a.shape):
            if wanted[new + i] == -1:
                wanted[new + i] = n
        out = np.broadcast_to(self._a, wanted)
        return wrap(out)

    def expand_as(self, other: Tensor) -> Tensor:
        return self.expand(*other.shape)

    def repeat(self, *times: Any) -> Tensor:
        return wrap(np.tile(self._a, _shape(times)))

    def repeat_interleave(self, times: Any, dim: Int | None = None) -> Tensor:
        return wrap(np.repeat(self._a, raw(times), dim))

    def roll(self, shifts: Any, dims: Any = None) -> Tensor:
        return wrap(np.roll(self._a, shifts, dims))

    def flip(self, *dims: Any) -> Tensor:
        return wrap(np.flip(self._a, _shape(dims)).copy())

    def unbind(self, dim: Int = 0) -> tuple[Tensor, ...]:
        return tuple(wrap(a) for a in np.moveaxis(self._a, dim, 0))

    def split(self, size: Any, dim: Int = 0) -> tuple[Tensor, ...]:
        n = self._a.shape[dim]
        ends = range(size, n, size) if isinstance(size, int) else np.cumsum(size)[:-1]
        return tuple(wrap(a) for a in np.split(self._a, list(ends), dim))

    def chunk(self, n: Int, dim: Int = 0) -> tuple[Tensor, ...]:
        return self.split(-(-self._a.shape[dim] // n), dim)

    def tensor_split(self, n: Int, dim: Int = 0) -> tuple[Tensor, ...]:
        return tuple(wrap(a) for a in np.array_split(self._a, n, dim))

    def triu(self, diagonal: Int = 0) -> Tensor:
        n, m = self._a.shape[-2:]
        below = np.tri(n, m, diagonal - 1, dtype=np.bool_)
        return wrap(np.where(below, self._a.dtype.type(0), self._a))

    # Entries ----------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Tensor:
        return wrap(self._a[raw(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self._a[raw(index)] = raw(value)

    def gather(self, dim: Int, index: Tensor) -> Tensor:
        return wrap(np.take_along_axis(self._a, index._a, dim))

    def scatter(self, dim: Int, index: Tensor, value: Any) -> Tensor:
        return self.clone().scatter_(dim, index, value)

    def scatter_(self, dim: Int, index: Tensor, value: Any) -> Tensor:
        np.put_along_axis(self._a, index._a, raw(value), dim)
        return self

    def scatter_add_(self, dim: Int, index: Tensor, source: Tensor) -> Tensor:
        places: list[Any] = list(np.indices(index._a.shape, sparse=True))
        places[dim] = index._a
        np.add.at(self._a, tuple(places), source._a[tuple(slice(n) for n in index.shape)])
        return self

    def masked_fill(self, mask: Tensor, value: Any) -> Tensor:
        return wrap(np.where(mask._a, self._a.dtype.type(raw(value)), self._a))

    def nonzero(self) -> Tensor:
        return wrap(np.argwhere(self._a))

    def copy_(self, other: Tensor) -> Tensor:
        self._a[...] = other._a
        return self

    def zero_(self) -> Tensor:
        self._a[...] = 0
        return self

    # Reductions -------------------------------------------------------------------------------

    def _reduce(self, function: Any, dim: Any, keepdim: Bool, kind: Any = None) -> Tensor:
        extra = {} if kind is None else {"dtype": kind}
        return wrap(function(self._a, axis=_axes(dim), keepdims=keepdim, **extra))

    def sum(self, dim: Any = None, keepdim: Any = False) -> Tensor:
        kind = self._a.dtype if self._a.dtype.kind == "f" else np.dtype(np.int64)
        return self._reduce(np.sum, dim, keepdim, kind)

    def mean(self, dim: Any = None, keepdim: Any = False) -> Tensor:
        if self._a.dtype.kind != "f":
            raise RuntimeError(f"no mean of {self.dtype}")
        return self._reduce(np.mean, dim, keepdim)

    def std(self, dim: Any = None, keepdim: Any = False) -> Tensor:
        found = np.std(self._a.astype(np.float64), axis=_axes(dim), ddof=1, keepdims=keepdim)
        return wrap(np.asarray(found, self._a.dtype))

    def norm(self, dim: Any = None, keepdim: Any = False) -> Tensor:
        return wrap(np.sqrt(np.sum(self._a * self._a, axis=_axes(dim), keepdims=keepdim)))

    def any(self, dim: Any = None, keepdim: Any = False) -> Tensor:
        return self._reduce(np.any, dim, keepdim)

    def all(self, dim: Any = None, keepdim: Any = False) -> Tensor:
        return self._reduce(np.all, dim, keepdim)

    def argmax(self, dim: Int | None = None, keepdim: Any = False) -> Tensor:
        return wrap(np.asarray(np.argmax(self._a, dim, keepdims=bool(keepdim))).astype(np.int64))

    def max(self) -> Tensor:
        return wrap(self._a.max())

    def min(self) -> Tensor:
        return wrap(self._a.min())

    def cumsum(self, dim: Int) -> Tensor:
        kind = self._a.dtype if self._a.dtype.kind == "f" else np.dtype(np.int64)
        return wrap(self._a.cumsum(dim, dtype=kind))

    def argsort(self, dim: Int = -1, descending: Any = False, stable: Any = False) -> Tensor:
        a = self._a
        if descending:
            a = (
                ~a
                if a.dtype.kind == "b"
                else -a.astype(np.float64 if a.dtype.kind == "u" else a.dtype)
            )
        return wrap(a.argsort(dim, kind="stable").astype(np.int64))

    def topk(self, k: Int, dim: Int = -1) -> Top:
        first = self.argsort(dim, descending=True)
        order = wrap(first._a.take(range(k), dim))
        return Top(self.gather(dim, order), order)

    def softmax(self, dim: Int) -> Tensor:
        e = np.exp(self._a - self._a.max(dim, keepdims=True))
        e /= e.sum(dim, keepdims=True)
        return wrap(e)

    def log_softmax(self, dim: Int) -> Tensor:
        shifted = self._a - self._a.max(dim, keepdims=True)
        return wrap(shifted - np.log(np.exp(shifted).sum(dim, keepdims=True)))

    # Arithmetic -------------------------------------------------------------------------------

    def _real(self) -> Array:
        return self._a if self._a.dtype.kind == "f" else self._a.astype(dtypes.DEFAULT.np)

    def exp(self) -> Tensor:
        return wrap(np.exp(self._real()))

    def log(self) -> Tensor:
        with np.errstate(divide="ignore", invalid="ignore"):
            return wrap(np.log(self._real()))

    def sqrt(self) -> Tensor:
        return wrap(np.sqrt(self._real()))

    def rsqrt(self) -> Tensor:
        return wrap(1 / np.sqrt(self._real()))

    def square(self) -> Tensor:
        return wrap(self._a * self._a)

    def abs(self) -> Tensor:
        return wrap(np.abs(self._a))

    def sign(self) -> Tensor:
        return wrap(np.sign(self._a))

    def relu(self) -> Tensor:
        return wrap(np.maximum(self._a, self._a.dtype.type(0)))

    def isfinite(self) -> Tensor:
        return wrap(np.isfinite(self._a))

    def isnan(self) -> Tensor:
        return wrap(np.isnan(self._a))

    def clamp(self, min: Any = None, max: Any = None) -> Tensor:
        return wrap(np.clip(self._a, raw(min), raw(max)))

    def clamp_min(self, least: Any) -> Tensor:
        return self.clamp(min=least)

    def round(self) -> Tensor:
        return wrap(np.round(self._a))

    def exp_(self) -> Tensor:
        np.exp(self._a, out=self._a)
        return self

    def add_(self, other: Any, alpha: Any = 1) -> Tensor:
        self._a += raw(other) if alpha == 1 else raw(other) * self._a.dtype.type(alpha)
        return self

    def sub_(self, other: Any, alpha: Any = 1) -> Tensor:
        self._a -= raw(other) if alpha == 1 else raw(other) * self._a.dtype.type(alpha)
        return self

    def mul_(self, other: Any) -> Tensor:
        self._a *= raw(other)
        return self

    def addcmul_(self, a: Tensor, b: Tensor, value: Any = 1) -> Tensor:
        self._a += self._a.dtype.type(value) * (a._a * b._a)
        return self

    def lerp_(self, end: Tensor, weight: Any) -> Tensor:
        self._a += self._a.dtype.type(weight) * (end._a - self._a)
        return self

    def equal(self, other: Tensor) -> Any:
        return self.shape == other.shape and bool((self._a == other._a).all())

    def __abs__(self) -> Tensor:
        return self.abs()

    def __neg__(self) -> Tensor:
        return wrap(-self._a)

    def __invert__(self) -> Tensor:
        return wrap(~self._a)

    def __matmul__(self, other: Tensor) -> Tensor:
        return wrap(self._a @ other._a)

    def __pow__(self, power: Any) -> Tensor:
        a, b = alike(self, power)
        return wrap(a**b)

    def __rpow__(self, base: Any) -> Tensor:
        b, a = alike(base, self)
        return wrap(b**a)


def _shape(given: tuple[Any, ...]) -> tuple[int, ...]:
    first = given[0] if len(given) == 1 else given
    return tuple(int(n) for n in (first if isinstance(first, list | tuple) else (first,)))


def _arithmetic(function: Any, is_division: bool = False) -> Any:
    def forward(self: Tensor, other: Any) -> Any:
        if not isinstance(other, Tensor | np.ndarray | np.generic | bool | int | float):
            return NotImplemented
        a, b = alike(self, other)
        if is_division and a.dtype.kind != "f":
            a, b = a.astype(dtypes.DEFAULT.np), b.astype(dtypes.DEFAULT.np)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return wrap(function(a, b))

    return forward


def _in_place(name: str) -> Any:
    def change(self: Tensor, other: Any) -> Tensor:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            getattr(self._a, name)(raw(other))
        return self

    return change


for _name, _function in (
    *(("add", np.add), ("sub", np.subtract), ("mul", np.multiply), ("truediv", np.true_divide)),
    *(("floordiv", np.floor_divide), ("mod", np.mod)),
    *(("and", np.bitwise_and), ("or", np.bitwise_or), ("xor", np.bitwise_xor)),
):
    _divides = _name == "truediv"
    setattr(Tensor, f"__{_name}__", _arithmetic(_function, _divides))
    _swapped = (lambda f: lambda a, b: f(b, a))(_function)
    setattr(Tensor, f"__r{_name}__", _arithmetic(_swapped, _divides))
    setattr(Tensor, f"__i{_name}__", _in_place(f"__i{_name}__"))
for _name, _compares in (
    *(("eq", np.equal), ("ne", np.not_equal), ("lt", np.less), ("le", np.less_equal)),
    *(("gt", np.greater), ("ge", np.greater_equal)),
):
    setattr(Tensor, f"__{_name}__", _arithmetic(_compares))
