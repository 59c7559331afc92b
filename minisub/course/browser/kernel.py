"""The kernel for browsers: `kernel.c` compiled to WebAssembly, which Pyodide loads as a library.

`python -m minisub.course.browser.kernel` compiles it for the shapes of the course (extra `fast`).
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from minisub.common.files import write_file
from minisub.distillation.base import BASE_SETS
from minisub.transformer.config import ModelConfig
from minisub.transformer.kernel import SOURCE, browser_kernel, shape_options

LANES = 4  # of 32 bits: one vector of WebAssembly
ZIG = (sys.executable, "-m", "ziglang")
COMPILE = ("cc", "-target", "wasm32-wasi", "-fPIC", "-msimd128", "-O3", "-fno-math-errno")
# A side module: it has the main program's memory, and takes malloc, free and log from it.
LINK = (
    *("wasm-ld", "-shared", "--experimental-pic", "--no-entry", "--import-memory", "--strip-all"),
    *("--unresolved-symbols=import-dynamic", "--export=gradient", "--export=logits"),
    "--export=generate",
)


def build(config: ModelConfig) -> bytes:
    """Compile the kernel for one shape of models.

    Args:
        config: The shape.

    Raises:
        CalledProcessError: The package ziglang is not installed, or does not compile it.
    """
    options = shape_options(config, True, LANES)
    with tempfile.TemporaryDirectory() as folder:
        made, linked = Path(folder) / "kernel.o", Path(folder) / "kernel.wasm"
        compile_it = [*ZIG, *COMPILE, *options, "-c", str(SOURCE), "-o", str(made)]
        for command in (compile_it, [*ZIG, *LINK, "-o", str(linked), str(made)]):
            subprocess.run(command, check=True, capture_output=True)
        return linked.read_bytes()


def shapes() -> list[ModelConfig]:
    """Return the shapes of the course's models."""
    return list(dict.fromkeys(config.model_config for config in BASE_SETS.values()))


if __name__ == "__main__":
    for shape in shapes():
        write_file(browser_kernel(shape), build(shape))
