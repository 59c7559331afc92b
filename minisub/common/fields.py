"""Check that the fields of a dataclass hold what they say, whatever a user gives."""

import functools
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from numbers import Integral, Real
from typing import Any, get_type_hints

WORDS = {int: "whole numbers", float: "finite numbers", str: "text", bool: "True or False"}
MOST = 10_000_000  # of anything that is counted: more fits into no laptop's memory


def check_fields(thing: Any, most: Mapping[str, int] | None = None) -> None:
    """Raise ValueError where a field holds another kind of value than it says.

    Whole numbers, numbers (not infinite, not NaN), text, truth values and inner dataclasses are
    looked at; other fields are their class's own concern.

    Args:
        thing: A dataclass.
        most: The largest value of some whole numbers; `MOST` for the others.
    """
    of: Any = type(thing)
    for name, kind in _hints(of).items():
        value = getattr(thing, name)
        if kind in WORDS and not _is_a(value, kind):
            raise ValueError(f"{name} is {value!r}, allowed: {WORDS[kind]}")
        if is_dataclass(kind) and not isinstance(value, kind):  # type: ignore[arg-type]
            raise ValueError(f"{name} is {value!r}, allowed: a {kind.__name__}")  # type: ignore[union-attr]
        if kind in WORDS and type(value) not in WORDS:  # numpy's, which JSON does not know
            object.__setattr__(thing, name, kind(value))
        limit = (most or {}).get(name, MOST)
        if kind is int and value > limit:
            raise ValueError(f"{name} is {value}, allowed: at most {limit}")


def _is_a(value: Any, kind: type) -> bool:
    if isinstance(value, bool):  # which is a whole number to Python
        return kind is bool
    if kind is float:
        return isinstance(value, Real) and math.isfinite(value)
    return isinstance(value, Integral if kind is int else kind)


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}
