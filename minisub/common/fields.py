"""Check that the fields of a dataclass hold what they say, whatever a user gives."""

import functools
import math
import reprlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from numbers import Integral, Real
from typing import Any, get_type_hints

WORDS = {int: "whole numbers", float: "finite numbers", str: "text", bool: "True or False"}
MOST = 10_000_000  # the largest count allowed: more would not fit into a laptop's memory


def check_fields(
    thing: Any, most: Mapping[str, int] | None = None, least: Mapping[str, float] | None = None
) -> None:
    """Raise ValueError if a field's value is not of the annotated type, or too small or large.

    Whole numbers, numbers (not infinite, not NaN), text, truth values and inner dataclasses are
    looked at; other fields are their class's own concern. Numbers become Python's own of the
    annotated type, so that equal fields have one name in the store.

    Args:
        thing: A dataclass.
        most: The largest value of some whole numbers; `MOST` for the others.
        least: The smallest value of some numbers.
    """
    of: Any = type(thing)
    for name, kind in _hints(of).items():
        value = getattr(thing, name)
        if kind in WORDS and not _is_a(value, kind):
            raise ValueError(f"{name} is {reprlib.repr(value)}, allowed: {WORDS[kind]}")
        if is_dataclass(kind) and not isinstance(value, kind):  # type: ignore[arg-type]
            raise ValueError(f"{name} is {value!r}, allowed: a {kind.__name__}")  # type: ignore[union-attr]
        limit = (most or {}).get(name, MOST)
        if kind is int and value > limit:
            raise ValueError(f"{name} is {value}, allowed: at most {limit}")
        bottom = (least or {}).get(name)
        if bottom is not None and value < bottom:
            raise ValueError(f"{name} is {value}, allowed: {bottom:g} and more")
        if kind in WORDS and type(value) is not kind:  # a 1 for 1.0; numpy's numbers
            object.__setattr__(thing, name, kind(value))


def _is_a(value: Any, kind: type) -> bool:
    if isinstance(value, bool):  # which is a whole number to Python
        return kind is bool
    if kind is float and isinstance(value, Real):
        try:
            return math.isfinite(value)
        except OverflowError:  # a whole number of 400 digits
            return False
    return isinstance(value, Integral if kind is int else kind)


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}
