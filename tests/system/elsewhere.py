"""A device that this machine has not: its tensors live on the CPU, and refuse to meet the CPU's.

A GPU's rules without a GPU. What runs here computes true numbers, so whole studies can. The rules
hold in the thread that asks for them only; in another, a tensor of the device has no numbers.
"""

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

from minisub.experiment import options

NAME = "meta"  # the one device of torch's that no build lacks
MOVES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
PICKS = (  # a GPU's tensor may be indexed by the CPU's
    torch.ops.aten.index.Tensor,
    torch.ops.aten.index_put.default,
    torch.ops.aten.index_put_.default,
)


class Elsewhere(Tensor):
    """A tensor that says it is on the device; `here` is the one on the CPU that it stands for."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> "Elsewhere":
        if here.dtype == torch.float64:  # which mps has not
            raise RuntimeError("no double precision there")
        out = Tensor._make_wrapper_subclass(
            cls,
            here.shape,
            strides=here.stride(),
            storage_offset=here.storage_offset(),
            dtype=here.dtype,
            device=torch.device(NAME),
        )
        out.here = here
        return out

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: Any) -> Any:
    given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    away = [isinstance(x, Elsewhere) for x in given]
    if any(x.is_meta and not isinstance(x, Elsewhere) for x in given):
        raise RuntimeError(f"{func} of a tensor without numbers")
    if any(away) and func not in MOVES:
        indices = {id(x) for x in tree_leaves(args[1])} if func in PICKS and away[0] else set()
        # A number on the CPU may take part where others are, but not hold what comes of it.
        numbers = func in PICKS or torch.Tag.pointwise in func.tags
        written = given[0] if func._schema.is_mutable else None
        for x, there in zip(given, away, strict=True):
            single = numbers and x.ndim == 0 and x is not written
            if not (there or single or id(x) in indices):
                raise RuntimeError(f"{func} of tensors on two devices")
    goes, asked = any(away) if func not in MOVES else away[0], kwargs.get("device")
    inner = {n: v for n, v in kwargs.items() if n != "device"}
    if asked is not None:
        goes, inner["device"] = torch.device(asked).type == NAME, torch.device("cpu")
    if goes and any(isinstance(x, torch.Generator) for x in tree_leaves((args, kwargs))):
        raise RuntimeError(f"{func} with a generator of the CPU's on two devices")

    def near(x: Any) -> Any:
        return x.here if isinstance(x, Elsewhere) else x

    out = func(*tree_map(near, args), **tree_map(near, inner))
    if goes:
        out = tree_map(lambda x: Elsewhere(x) if isinstance(x, Tensor) else x, out)
    return return_and_correct_aliasing(func, args, kwargs, out) if any(away) else out


class _Operations(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Lists(TorchFunctionMode):
    """Lists as indices, and tensors as lists, which torch has on any device but this one."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (Tensor.__getitem__, Tensor.__setitem__):
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            index = tuple(torch.tensor(i) if isinstance(i, list) else i for i in index)
            args = (args[0], index, *args[2:])
        if func is Tensor.tolist and isinstance(args[0], Elsewhere):
            return args[0].here.tolist()
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def elsewhere() -> Iterator[str]:
    """Gives the device's name, which holds inside."""
    with _Operations(), _Lists(), mock.patch.object(options, "check_device"):  # no machine has it
        yield NAME
