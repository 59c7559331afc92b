"""The compiled kernel: the same numbers as torch, and nothing lost without it."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from models import SHAPE, lessons, needs_compiler, start

from minisub.common.randomness import generator
from minisub.distillation.base import load_base
from minisub.experiment.config import Config
from minisub.transformer import kernel, stack
from minisub.transformer.config import ModelConfig
from minisub.transformer.dataset import TokenDataset
from minisub.transformer.gradient import ManualGradient
from minisub.transformer.kernel import check_tokens, compiler, kernel_for
from minisub.transformer.kernel_gradient import KernelGradient, fastest_gradient
from minisub.transformer.optimizer import TrainingConfig
from minisub.transformer.stack import TransformerStack
from minisub.transformer.training import train


@pytest.fixture
def no_kernel(fresh_kernels: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINISUB_KERNEL", "0")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the kernel is asked for logits and for lists."""
    times: Counter[str] = Counter()

    def counted(name: str) -> Callable[..., torch.Tensor]:
        function: Callable[..., torch.Tensor] = getattr(stack, name)

        def call(*args: Any) -> torch.Tensor:
            times[name] += 1
            return function(*args)

        return call

    for name in ("fast_logits", "fast_generate"):
        monkeypatch.setattr(stack, name, counted(name))
    return times


@needs_compiler
@pytest.mark.parametrize("shape", [SHAPE, ModelConfig(16, 3, 2, 32, d_vocab=29, n_ctx=11)])
def test_logits_are_torchs(shape: ModelConfig, asked: Counter[str]) -> None:
    g = generator(1, "weights")
    flat = torch.cat([TransformerStack.init(shape, g).flat_params for _ in range(2)]).double()
    model = TransformerStack(shape, flat)
    tokens = torch.randint(shape.d_vocab, (1, 300, shape.n_ctx - 1), generator=g)
    for n_last in (1, 4, shape.n_ctx - 1):
        slow = model(tokens, n_last).detach()  # with gradients, so by torch
        with torch.no_grad():
            fast = model(tokens, n_last)
        torch.testing.assert_close(fast, slow, rtol=0, atol=1e-12)
    both = torch.randint(shape.d_vocab, (2, 300, 5), generator=g)
    with torch.no_grad():
        torch.testing.assert_close(
            model(both), model(both, hook=lambda _, x: x), atol=1e-12, rtol=0
        )
    assert asked == {"fast_logits": 4}


@needs_compiler
@pytest.mark.parametrize("is_sampled", [False, True])
def test_lists_are_those_that_torch_writes(
    monkeypatch: pytest.MonkeyPatch, is_sampled: bool, asked: Counter[str]
) -> None:
    model, g = start(2), generator(1, "prompts")
    prompts = torch.randint(SHAPE.d_vocab, (1, 300, 4), generator=g)
    uniforms = torch.rand(300, 5, generator=g, dtype=torch.float64) if is_sampled else None
    fast = model.generate(prompts, 5, uniforms, temperature=0.7)
    assert asked == {"fast_generate": 1}
    monkeypatch.setattr(stack, "MIN_KERNEL_ROWS", 10**9)
    assert torch.equal(fast, model.generate(prompts, 5, uniforms, temperature=0.7))
    assert asked == {"fast_generate": 1}
    assert len(fast.unique()) > 3


@needs_compiler
def test_single_precision_is_as_close_to_the_truth_as_torchs(tiny: Config) -> None:
    """Of the default base's gradient on a batch, against double precision."""
    base = load_base(Config().base, 0)
    g = generator(1, "rows")
    world = Config().base.world
    prompts = world.sample_prompts(32, g)
    tokens = world.sample_completions(prompts, g)[None]
    weights = torch.ones(1, 32, world.completion_length)
    data = TokenDataset(tokens, weights)
    exact = TransformerStack(base.config, base.flat_params.double())
    names, rows = list(base.params), torch.arange(32)

    def gradient_of(model: TransformerStack, kind: type[ManualGradient]) -> torch.Tensor:
        grad = torch.zeros_like(model.flat_params)
        if kind is KernelGradient:
            built = kernel_for(model.config, model.flat_params)
            assert built is not None
            KernelGradient(model, data, names, built)(rows, grad)
        else:
            ManualGradient(model, data, names)(rows, grad)
        return grad.double()

    truth = gradient_of(exact, ManualGradient)
    errors = [
        float((gradient_of(base, kind) - truth).norm() / truth.norm())
        for kind in (ManualGradient, KernelGradient)
    ]
    assert errors[1] < max(2 * errors[0], 1e-6)


def test_without_a_compiler_torch_trains(no_kernel: None) -> None:
    assert compiler() is None
    assert isinstance(fastest_gradient(start(1), lessons(1), ["W_U"]), ManualGradient)
    how = TrainingConfig(steps=3, batch_size=4)
    assert train(start(1), [lessons(1)], how, generator(1, "g")).isfinite().all()


def test_a_compiler_that_fails_is_no_error(
    fresh_kernels: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MINISUB_STORE", str(tmp_path))
    monkeypatch.setattr(kernel, "compiler", lambda: [sys.executable, "-c", "raise SystemExit(1)"])
    assert kernel_for(SHAPE, start(1).flat_params) is None
    assert not list((tmp_path / "kernels").iterdir())


@needs_compiler
def test_a_token_that_is_not_in_the_vocabulary_is_refused() -> None:
    data = lessons(1)
    data.tokens[0, 0, 0] = 12
    with pytest.raises(IndexError):
        fastest_gradient(start(1), data, ["W_U"])
    with pytest.raises(IndexError, match="from 0 to 12, allowed: 0 to 11"):
        check_tokens(data.tokens, 12)
    with pytest.raises(IndexError), torch.no_grad():
        start(1)(torch.full((1, 300, 3), -1))


@needs_compiler
def test_processes_that_compile_at_once_do_not_meet(tmp_path: Path) -> None:
    code = (
        "import torch; from minisub.transformer.kernel import kernel_for;"
        "from minisub.transformer.config import ModelConfig;"
        "assert kernel_for(ModelConfig(8, 2, 2, 16, 12, 9), torch.zeros(1)) is not None"
    )
    environment = {**os.environ, "MINISUB_STORE": str(tmp_path)}
    running = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert len(list((tmp_path / "kernels").iterdir())) == 1
