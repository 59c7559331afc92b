"""The kernel for browsers, in a real one, without Python: the same numbers as here."""

import base64
import time
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from browsing import CHROMIUM

from minisub.common.randomness import generator
from minisub.course.browser import kernel
from minisub.distillation.base import BASE_SETS
from minisub.transformer import kernel as native
from minisub.transformer.config import ModelConfig
from minisub.transformer.dataset import TokenDataset
from minisub.transformer.gradient import ManualGradient
from minisub.transformer.stack import TransformerStack

in_browser = pytest.mark.skipif(
    CHROMIUM is None or find_spec("playwright") is None, reason="no chromium or no playwright here"
)
SHAPE = BASE_SETS["base"].model_config

# What Pyodide does when it loads a library: memory, a place in it, and three functions.
LOAD = """async (module) => {
    const bytes = Uint8Array.from(atob(module), c => c.charCodeAt(0));
    const memory = new WebAssembly.Memory({initial: 2048});
    let free = 1 << 20;
    const malloc = n => { const at = free; free += (Number(n) + 63) & ~63; return at; };
    const env = {
        memory, malloc, free: () => {}, log: Math.log, exp: Math.exp,
        __memory_base: new WebAssembly.Global({value: 'i32', mutable: false}, 1024),
        __table_base: new WebAssembly.Global({value: 'i32', mutable: false}, 0),
        __indirect_function_table: new WebAssembly.Table({initial: 8, element: 'anyfunc'}),
    };
    const {instance} = await WebAssembly.instantiate(bytes, {env});
    instance.exports.__wasm_apply_data_relocs?.();
    const start = free;
    window.kernel = (name, args, outs, times) => {
        free = start;
        const places = {}, put = args.map(([kind, value]) => {
            if (kind === 'int') return value;
            if (kind === 'long') return BigInt(value);
            if (kind === 'double') return value;
            if (kind === 'null') return 0;
            const data = Uint8Array.from(atob(value), c => c.charCodeAt(0));
            const at = malloc(data.length);
            new Uint8Array(memory.buffer).set(data, at);
            places[kind] = [at, data.length];
            return at;
        });
        const begin = performance.now(), room = free;
        let failed = 0;
        for (let i = 0; i < times; i++) { free = room; failed |= instance.exports[name](...put); }
        const took = (performance.now() - begin) / times;
        const read = outs.map(kind => {
            const [at, n] = places[kind];
            return btoa(Array.from(new Uint8Array(memory.buffer, at, n), b =>
                String.fromCharCode(b)).join(''));
        });
        return {failed, took, read};
    };
}"""


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    from playwright import sync_api

    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.evaluate(LOAD, base64.b64encode(native.browser_kernel(SHAPE).read_bytes()).decode())
        yield page
        browser.close()


def call(page: Any, name: str, args: list[Any], outs: list[str], times: int = 1) -> Any:
    """Call a function of the kernel; an array is given as a pair of a name and its values."""
    given = [
        [a[0], base64.b64encode(np.ascontiguousarray(a[1]).tobytes()).decode()]
        if isinstance(a[1], np.ndarray)
        else list(a)
        for a in args
    ]
    told = page.evaluate("([n, a, o, t]) => window.kernel(n, a, o, t)", [name, given, outs, times])
    assert told["failed"] == 0
    read = [np.frombuffer(base64.b64decode(r), np.float32) for r in told["read"]]
    return read, told["took"]


def example() -> tuple[TransformerStack, TokenDataset]:
    g = generator(1, "weights")
    model = TransformerStack(
        SHAPE, torch.cat([TransformerStack.init(SHAPE, g).flat_params for _ in range(2)])
    )
    tokens = torch.randint(SHAPE.d_vocab, (2, 64, SHAPE.n_ctx), generator=g)
    weights = (torch.rand(2, 64, 8, generator=g) < 0.7).float()
    return model, TokenDataset(tokens, weights)


@in_browser
def test_logits_are_torchs(page: Any) -> None:
    model, data = example()
    with torch.no_grad():
        expected = model(data.tokens[:, :, :-1], n_last=8)
    tokens = data.tokens[:, :, :-1].contiguous().numpy()
    args = [
        *(("int", 2), ("long", 64), ("int", SHAPE.n_ctx - 1), ("int", 8)),
        *(("long", SHAPE.n_params), ("params", model.flat_params.numpy()), ("tokens", tokens)),
        *(("int", 0), ("out", np.zeros(expected.shape, np.float32))),
    ]
    [out], _ = call(page, "logits", args, ["out"])
    np.testing.assert_allclose(out.reshape(expected.shape), expected.numpy(), rtol=1e-4, atol=2e-5)


def gradient_args(model: TransformerStack, data: TokenDataset) -> list[Any]:
    return [
        *(("int", 2), ("int", 64), ("long", 64), ("int", SHAPE.n_ctx - 1), ("int", 8)),
        *(("long", SHAPE.n_params), ("params", model.flat_params.numpy())),
        ("grad", np.zeros(model.flat_params.shape, np.float32)),
        ("losses", np.zeros(2, np.float32)),
        *(("tokens", data.tokens.numpy()), ("labels", data.targets.contiguous().numpy())),
        *(("weights", data.weights.numpy()), ("null", 0), ("null", 0)),
        *(("shared", np.array([0, 0, 0, 1], np.uint8)), ("rows", np.arange(64))),
        *(("trains", np.ones(len(model.params), np.uint8)), ("int", 0)),
    ]


@in_browser
def test_gradients_are_torchs(page: Any) -> None:
    model, data = example()
    grad = torch.zeros_like(model.flat_params)
    losses = ManualGradient(model, data, list(model.params))(torch.arange(64), grad)
    args = gradient_args(model, data)
    (found, nats), _ = call(page, "gradient", args, ["grad", "losses"])
    np.testing.assert_allclose(nats, losses.numpy(), rtol=1e-5)
    np.testing.assert_allclose(found.reshape(grad.shape), grad.numpy(), rtol=1e-3, atol=2e-6)


@pytest.mark.soak
@in_browser
def test_gradients_are_quick(page: Any) -> None:
    """A step of two students on a batch of 64 takes some milliseconds in one tab."""
    model, data = example()
    _, took = call(page, "gradient", gradient_args(model, data), [], times=50)
    by_torch = ManualGradient(model, data, list(model.params))
    grad = torch.zeros_like(model.flat_params)
    begin = time.perf_counter()
    for _ in range(5):
        by_torch(torch.arange(64), grad)
    here = (time.perf_counter() - begin) / 5
    print(f"a gradient of two students: {took:.2f} ms in the tab, {1000 * here:.2f} by torch here")
    assert took < 60


@pytest.mark.parametrize("shape", kernel.shapes(), ids=lambda s: str(s.d_vocab))
@pytest.mark.skipif(find_spec("ziglang") is None, reason="ziglang is not installed (extra `fast`)")
def test_the_kernel_that_comes_with_the_package_is_that_of_its_source(shape: ModelConfig) -> None:
    assert kernel.build(shape) == native.browser_kernel(shape).read_bytes()


def test_a_browser_takes_the_kernel_that_comes_with_it(
    fresh_kernels: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the course's shapes, single precision; otherwise there is none."""
    asked = []
    monkeypatch.setattr(native, "IN_BROWSER", True)
    monkeypatch.setattr(native.ctypes, "CDLL", lambda path: asked.append(path))
    native._load(SHAPE, True, ())
    native._load(SHAPE, False, ())
    native._load(ModelConfig(16, 2, 2, 32, 50, 9), True, ())
    assert asked == [str(native.browser_kernel(SHAPE))]
