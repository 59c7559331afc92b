"""Number types, and which type a calculation with several of them has, as torch decides it."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class dtype:
    """A number type.

    Args:
        name: Such as "float32".
    """

    def __init__(self, name: str) -> None:
        self.name, self.np = name, np.dtype("bool" if name == "bool" else name)

    def __repr__(self) -> str:
        return f"torch.{self.name}"


bool_, uint8, int8, int16 = (dtype(n) for n in ("bool", "uint8", "int8", "int16"))
int32, int64, float16 = (dtype(n) for n in ("int32", "int64", "float16"))
float32, float64 = dtype("float32"), dtype("float64")
BY_NUMPY = {d.np: d for d in (bool_, uint8, int8, int16, int32, int64, float16, float32, float64)}
DEFAULT = float32


def of_array(a: Array) -> dtype:
    """Return the type of an array.

    Raises:
        TypeError: torch's stand-in has no such type.
    """
    try:
        return BY_NUMPY[a.dtype]
    except KeyError:
        raise TypeError(f"no tensors of {a.dtype} in the browser") from None


def _category(kind: str) -> int:
    return {"b": 0, "u": 1, "i": 1, "f": 2}[kind]


def result_type(*operands: Any) -> np.dtype[Any]:
    """Return the type of a calculation: arrays decide, then tensors of one number, then numbers.

    Args:
        *operands: Arrays, and numbers of Python.
    """
    ranks: list[list[np.dtype[Any]]] = [[], [], []]
    for x in operands:
        if isinstance(x, np.ndarray):
            ranks[0 if x.ndim else 1].append(x.dtype)
        else:
            kind = {bool: bool_, int: int64, float: float32}[type(x)]
            ranks[2].append(kind.np)
    found: np.dtype[Any] | None = None
    for rank in ranks:
        if not rank:
            continue
        here = rank[0]
        for other in rank[1:]:
            here = _promote(here, other)
        if found is None or _category(here.kind) > _category(found.kind):
            found = here
    assert found is not None
    return found


def _promote(a: np.dtype[Any], b: np.dtype[Any]) -> np.dtype[Any]:
    if _category(a.kind) != _category(b.kind):
        return a if _category(a.kind) > _category(b.kind) else b
    return np.promote_types(a, b)
