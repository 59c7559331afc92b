"""Compile `kernel.c` for one shape of models, and load it.

The kernel is a faster way to the same numbers and never needed: without a C compiler (or with
MINISUB_KERNEL=0) torch computes them. It is compiled when it is first used, which takes about three
seconds, and kept in the folder `kernels` of the default store. C does not look at the sizes of what
it is given, so they are checked here.
"""

import ctypes
import functools
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minisub.common.files import MinisubError, digest
from minisub.common.provenance import PACKAGE
from minisub.common.store import Store
from minisub.transformer.config import ModelConfig

SOURCE = Path(__file__).with_suffix(".c")
IN_BROWSER = sys.platform == "emscripten"  # where nothing can be compiled
FLAGS = (
    "-O3",
    "-march=native",
    "-mtune=generic",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-shared",
    "-fPIC",
)
MAX_SECONDS = 120  # of compiling


def compiler() -> list[str] | None:
    """Return the command of a C compiler: $CC, cc, or that of the package ziglang; else None.

    None as well on Windows, and with MINISUB_KERNEL=0.
    """
    if os.environ.get("MINISUB_KERNEL") == "0" or sys.platform == "win32":
        return None
    for chosen in (os.environ.get("CC", "").split(), ["cc"]):
        if chosen and shutil.which(chosen[0]):
            return chosen
    return [sys.executable, "-m", "ziglang", "cc"] if find_spec("ziglang") else None


def vector_lanes(config: ModelConfig) -> int:
    """Return how many values the kernel takes at a time; 0 where the shape does not allow it."""
    sizes = (config.d_model, config.d_mlp, config.d_model // config.n_heads)
    return next((n for n in (8, 4) if all(size % n == 0 for size in sizes)), 0)


def kernel_for(model_config: ModelConfig, like: Tensor) -> ctypes.CDLL | None:
    """Return the compiled kernel for a shape of models, or None where there is none.

    Args:
        model_config: The shape.
        like: A tensor of the models' type and device.
    """
    if like.device.type != "cpu" or like.dtype not in (torch.float32, torch.float64):
        return None
    return _load(model_config, like.dtype == torch.float32, tuple(compiler() or ()))


@functools.cache
def _load(config: ModelConfig, is_float: bool, command: Sequence[str]) -> ctypes.CDLL | None:
    if IN_BROWSER:
        path = browser_kernel(config)
        return ctypes.CDLL(str(path)) if is_float and path.exists() else None
    lanes = vector_lanes(config)
    if not command or not lanes:
        return None
    options = shape_options(config, is_float, lanes)
    key = digest([SOURCE.read_text("utf8"), list(command), *FLAGS, options, _processor()])
    try:
        path = Store.default().folder / "kernels" / f"{key}.so"
        if not path.exists():
            _compile([*command, *FLAGS, *options], path)
        return ctypes.CDLL(str(path))
    except (OSError, subprocess.SubprocessError, MinisubError):  # the same numbers without it
        return None


def shape_options(config: ModelConfig, is_float: bool, lanes: int) -> list[str]:
    """Return the compiler's options for a shape of models.

    Args:
        config: The shape.
        is_float: Whether numbers are of 32 bits.
        lanes: Values that are taken at a time.
    """
    shape = {
        "REAL": "float" if is_float else "double",
        "LANES": lanes,
        "D_MODEL": config.d_model,
        "HEADS": config.n_heads,
        "D_MLP": config.d_mlp,
        "VOCAB": config.d_vocab,
        "LAYERS": config.n_layers,
        "N_CTX": config.n_ctx,
    }
    return [f"-D{name}={value}" for name, value in shape.items()] + ["-DIS_FLOAT"] * is_float


def browser_kernel(config: ModelConfig) -> Path:
    """Return where the kernel for a browser is, if it comes with the package.

    Args:
        config: The shape of its models.
    """
    sizes = (config.d_model, config.n_layers, config.n_heads, config.d_mlp, config.d_vocab)
    name = "-".join(map(str, (*sizes, config.n_ctx)))
    return PACKAGE / "bundled" / f"kernel-{name}.wasm"


def _compile(command: Sequence[str], path: Path) -> None:
    """Compile into a file, which is there as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        made = Path(folder) / "kernel.so"
        subprocess.run(
            [*command, str(SOURCE), "-o", str(made), "-lm"],
            check=True,
            timeout=MAX_SECONDS,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        made.replace(path)


def _processor() -> str:
    """Return what a kernel that was compiled for this processor may use."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf8").splitlines()
    except OSError:
        lines = [platform.processor()]
    wanted = ("model name", "flags", "Features")
    return platform.machine() + "".join(dict.fromkeys(x for x in lines if x.startswith(wanted)))


def address(x: Tensor | None) -> Any:
    """Return where a tensor's values are, for the kernel; NULL for None.

    Raises:
        ValueError: They do not lie one after another.
    """
    if x is not None and not x.is_contiguous():
        raise ValueError("the kernel reads tensors whose values lie one after another")
    return ctypes.c_void_p(None if x is None else x.data_ptr())


def fast_logits(
    kernel: ctypes.CDLL, config: ModelConfig, flat_params: Tensor, tokens: Tensor, n_last: int
) -> Tensor:
    """Return the logits [models, rows, n_last, d_vocab] of a stack.

    Args:
        kernel: See `kernel_for`.
        config: The shape of its models.
        flat_params: All weights, [models, n_params].
        tokens: Token ids, [models or 1, rows, length].
        n_last: How many positions at the end are read out.

    Raises:
        ValueError: Sizes do not fit together.
        IndexError: A token is not in the vocabulary.
    """
    n_rows, length = tokens.shape[1:]
    tokens, flat = tokens.long().contiguous(), flat_params.contiguous()
    check_sizes(config, len(flat), len(tokens), length, n_last)
    check_tokens(tokens, config.d_vocab)
    out = flat.new_empty(len(flat), n_rows, n_last, config.d_vocab)
    failed = kernel.logits(
        *(len(flat), ctypes.c_int64(n_rows), length, n_last, ctypes.c_int64(flat.shape[1])),
        *(address(flat), address(tokens), int(len(tokens) == 1), address(out)),
    )
    if failed:
        raise MemoryError
    return out


def fast_generate(
    kernel: ctypes.CDLL,
    config: ModelConfig,
    flat_params: Tensor,
    prompts: Tensor,
    n_tokens: int,
    uniforms: Tensor | None,
    temperature: float,
) -> Tensor:
    """Return the next tokens of each prompt, [models, rows, n_tokens].

    Args:
        kernel: See `kernel_for`.
        config: The shape of its models.
        flat_params: All weights, [models, n_params].
        prompts: Token ids, [models or 1, rows, length].
        n_tokens: How many tokens to write.
        uniforms: A number in [0, 1) for each token, [rows, n_tokens]; None for the most likely.
        temperature: Divides the logits before sampling.

    Raises:
        ValueError: Sizes do not fit together.
        IndexError: A token is not in the vocabulary.
    """
    n_rows, length = prompts.shape[1:]
    prompts, flat = prompts.long().contiguous(), flat_params.contiguous()
    check_sizes(config, len(flat), len(prompts), length + n_tokens - 1, 1)
    check_tokens(prompts, config.d_vocab)
    drawn = None if uniforms is None else uniforms.to(flat).contiguous()
    if drawn is not None and drawn.shape != (n_rows, n_tokens):
        raise ValueError(f"uniforms are {list(drawn.shape)}, allowed: {[n_rows, n_tokens]}")
    out = prompts.new_empty(len(flat), n_rows, n_tokens)
    failed = kernel.generate(
        *(len(flat), ctypes.c_int64(n_rows), length, n_tokens, ctypes.c_int64(flat.shape[1])),
        *(address(flat), address(prompts), int(len(prompts) == 1), address(drawn)),
        *(ctypes.c_double(temperature), address(out)),
    )
    if failed:
        raise MemoryError
    return out


def check_sizes(config: ModelConfig, n_models: int, n_given: int, length: int, n_last: int) -> None:
    """Raise a ValueError for sizes with which the kernel would read what is not there.

    Args:
        config: The shape of the models.
        n_models: How many there are.
        n_given: For how many there are tokens; one set may serve all.
        length: Of a sequence, in tokens.
        n_last: How many positions at the end are read out.
    """
    if n_given not in (1, n_models):
        raise ValueError(f"there are tokens for {n_given} models, allowed: 1 or {n_models}")
    if length > config.n_ctx:
        raise ValueError(f"a sequence has {length} tokens, allowed: at most {config.n_ctx}")
    if not 1 <= n_last <= length:
        raise ValueError(f"n_last is {n_last}, allowed: 1 to {length}, the length of a sequence")


def check_tokens(tokens: Tensor, d_vocab: int) -> None:
    """Raise an IndexError for a token that is not in the vocabulary, as torch would.

    Args:
        tokens: Token ids.
        d_vocab: How many there are.
    """
    if tokens.numel() and not 0 <= int(tokens.min()) <= int(tokens.max()) < d_vocab:
        raise IndexError(
            f"tokens from {tokens.min()} to {tokens.max()}, allowed: 0 to {d_vocab - 1}"
        )
