"""The stand-ins that browsers get for torch and scipy, and minisub's own tests on them."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import minisub
from minisub.course.app import Notebook, list_notebooks
from minisub.course.browser import scipy as stand_in_scipy
from minisub.course.browser import torch as stand_in
from minisub.course.browser.scipy import stats as stand_in_stats

ROOT = Path(minisub.__file__).parent.parent
HERE = Path(__file__).parent
Op = Callable[[ModuleType, Any, Any], Any]


def both(op: Op, a: Any, b: Any) -> None:
    """Ask torch and the stand-in, and compare values, shapes and types."""
    expected = op(torch, torch.from_numpy(a.copy()), torch.from_numpy(b.copy()))
    found = op(stand_in, stand_in.from_numpy(a.copy()), stand_in.from_numpy(b.copy()))
    same(found, expected)


def same(found: Any, expected: Any) -> None:
    if isinstance(expected, tuple | list):
        assert len(found) == len(expected)
        for x, y in zip(found, expected, strict=True):
            same(x, y)
    elif isinstance(expected, torch.Tensor):
        assert str(found.dtype) == str(expected.dtype)
        assert tuple(found.shape) == tuple(expected.shape)
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=2e-6, atol=2e-6)
    else:
        assert found == expected


# a is [2, 3, 4] and b [2, 4, 5] of real numbers between -2 and 2.
REAL: dict[str, Op] = {
    "bmm": lambda t, a, b: t.bmm(a, b),
    "matmul": lambda t, a, b: a @ b,
    "baddbmm": lambda t, a, b: t.baddbmm(t.zeros(3, 5), a, b, alpha=0.5),
    "softmax": lambda t, a, b: a.softmax(-1),
    "log_softmax": lambda t, a, b: a.log_softmax(1),
    "softmax backward": lambda t, a, b: t._softmax_backward_data(
        a, a.softmax(-1), -1, a.dtype
    ),
    "threshold backward": lambda t, a, b: t.ops.aten.threshold_backward.grad_input(
        a, a, 0, grad_input=a.clone()
    ),
    "relu": lambda t, a, b: t.nn.functional.relu(a),
    "layer norm": lambda t, a, b: t.nn.functional.layer_norm(a, (4,)),
    "normalize": lambda t, a, b: t.nn.functional.normalize(a, dim=-1),
    "pad": lambda t, a, b: t.nn.functional.pad(a, (0, 0, 2, 1)),
    "sums": lambda t, a, b: (a.sum(), a.sum(1), a.sum((0, 2), keepdim=True), (a > 0).sum(0)),
    "means": lambda t, a, b: (a.mean(), a.mean(-1, keepdim=True), a.std(0)),
    "max": lambda t, a, b: (a.max(), a.min(), a.argmax(1), a.argmax(-1, keepdim=True)),
    "any and all": lambda t, a, b: ((a > 0).any(1), (a > -9).all(), (a > 0).all(-1)),
    "cumsum": lambda t, a, b: (a.cumsum(1), (a > 0).cumsum(-1)),
    "argsort": lambda t, a, b: (a.argsort(1), a.argsort(-1, descending=True)),
    "bool argsort": lambda t, a, b: (a > 0).to(t.int8).argsort(dim=1, descending=True, stable=True),
    "topk": lambda t, a, b: tuple(a.topk(2)),
    "norm": lambda t, a, b: t.linalg.vector_norm(a, dim=1, keepdim=True),
    "entropy": lambda t, a, b: t.special.entr(a.softmax(-1)),
    "in place": lambda t, a, b: a.mul_(2).add_(a, alpha=3).sub_(1).addcmul_(a, a, value=-0.5),
    "lerp": lambda t, a, b: a.lerp_(t.ones_like(a), 0.1),
    "arithmetic": lambda t, a, b: (a + 1, 1 - a, a * a, a / 3, 2 / (a + 5), -a, a**2, 2**a),
    "comparisons": lambda t, a, b: (a > 0, a <= 0.5, a == a, a != 0),
    "mixed types": lambda t, a, b: (
        a * (a > 0),
        (a > 0) + 1,
        t.arange(4) * a,
        t.arange(4) / 2,
        t.arange(4) * 0.5,
        t.arange(4) + t.tensor(0.5),
        a.double() * a,
        a * t.tensor(2.0, dtype=t.float64),
    ),
    "indexing": lambda t, a, b: (a[0], a[..., -1], a[:, None, 1:], a[a > 0], a[:, [0, 2]]),
    "tensor indexing": lambda t, a, b: (
        a[t.arange(2)[:, None], t.tensor([[0, 1], [2, 0]])],
        a[:, t.tensor([1, 1])],
    ),
    "assignment": lambda t, a, b: assign(t, a),
    "gather": lambda t, a, b: a.gather(-1, t.tensor([[[0, 3], [1, 1], [2, 0]]]).expand(2, 3, 2)),
    "scatter add": lambda t, a, b: t.zeros(2, 3, 6).scatter_add_(
        2, t.tensor([0, 0, 5, 1]).expand(2, 3, 4), a
    ),
    "scatter": lambda t, a, b: (
        t.zeros(5, dtype=t.bool).scatter(0, t.tensor([1, 4]), True),
        t.zeros(2, 3).scatter(1, t.tensor([[0, 2], [1, 1]]), t.ones(2, 2)),
    ),
    "shapes": lambda t, a, b: (
        a.view(6, 4),
        a.flatten(1),
        a.flatten(0, 1),
        a.mT,
        a.transpose(0, 1),
        a[:, :1].expand(2, 3, 4),
        a.repeat(2, 1, 1),
        a.repeat_interleave(2, 0),
        a.roll(1, -1),
        a.flip(-1),
        a.triu(1),
    ),
    "parts": lambda t, a, b: (
        a.unbind(1),
        t.split(a, 3, -1),
        a.chunk(2, -1),
        t.arange(7).tensor_split(3),
    ),
    "together": lambda t, a, b: (
        t.cat([a, a], 1),
        t.stack([a, a], 1),
        t.cat([a > 0, t.ones(2, 3, 4)], 0),
        t.where(a > 0, a, 0.0),
    ),
    "types": lambda t, a, b: (
        a.double(),
        a.long(),
        a.to(t.int16),
        a.half(),
        a.bool(),
        a.to(b.double()),
        t.tensor([1, 2]),
        t.tensor([1.5]),
        t.tensor([True]),
        t.full((2,), 3),
        t.full((2,), 0.5),
        a.new_full((2,), 1),
        a.new_zeros(2, 3),
    ),
    "unique": lambda t, a, b: t.unique(
        t.tensor([[1, 2], [0, 5], [1, 2]]), dim=0, return_inverse=True
    ),
    "counts": lambda t, a, b: (
        t.bincount(t.tensor([1, 1, 4]), minlength=6),
        t.searchsorted(
            a.softmax(-1).cumsum(-1), t.full((2, 3, 1), 0.3), right=True
        ),
        t.nn.functional.one_hot(t.tensor([0, 2]), 3),
        t.nn.functional.embedding(t.tensor([[0, 2]]), a[0]),
    ),
    "cross entropy": lambda t, a, b: t.nn.functional.cross_entropy(
        a.flatten(0, 1), t.tensor([0, 1, 2, 3, 0, 1]), reduction="none"
    ),
    "limits": lambda t, a, b: (
        a.clamp(max=0.5),
        a.clamp(-1, 1),
        a.clamp_min(0),
        a.masked_fill(a > 0, 9),
    ),
    "functions": lambda t, a, b: (
        *(a.exp(), a.abs().log(), a.abs().sqrt(), (a.abs() + 1).rsqrt()),
        *(a.square(), a.sign(), a.isfinite()),
    ),
    "floor": lambda t, a, b: (t.arange(-5, 5) // 3, t.arange(-5, 5) % 3),
    "logic": lambda t, a, b: ((a > 0) & (a < 1), (a > 0) | (a < -1), ~(a > 0)),
}  # fmt: skip


def assign(t: ModuleType, a: Any) -> Any:
    a[0] = 1
    a[:, 1] += 2
    a[a < -1] = 0
    a.view(6, 4)[2] = t.arange(4).float()
    return a


@pytest.mark.parametrize("name", REAL)
@settings(max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_an_operation_is_torchs(name: str, seed: int) -> None:
    g = np.random.default_rng(seed)
    a, b = (g.uniform(-2, 2, shape).astype(np.float32) for shape in ((2, 3, 4), (2, 4, 5)))
    both(REAL[name], a, b)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**63 - 1), n=st.integers(1, 300))
def test_random_numbers_are_torchs(seed: int, n: int) -> None:
    """From one stream after another, as minisub draws them."""
    drawn = []
    for t in (torch, stand_in):
        g = t.Generator().manual_seed(seed)
        drawn.append(
            [
                t.rand(n, generator=g),
                t.randperm(n, generator=g),
                t.randint(n, (3, 2), generator=g),
                t.randint(-5, n, (7,), generator=g),
                t.randn(n, generator=g),
                t.rand(2, n, generator=g, dtype=t.float64),
                t.randn(n + 16, 2, generator=g),
            ]
        )
    same(drawn[1], drawn[0])


def test_what_it_cannot_do_raises() -> None:
    """A name that is not there, an argument that is not known, a gradient, another device."""
    x = stand_in.zeros(2, 3)
    with pytest.raises(AttributeError):
        stand_in.fft  # noqa: B018
    with pytest.raises(AttributeError):
        x.svd  # noqa: B018
    with pytest.raises(TypeError):
        x.sum(dim=0, out=x)
    with pytest.raises(NotImplementedError, match="no automatic gradients"):
        stand_in.autograd.grad(x, [x])
    with pytest.raises(RuntimeError, match="allowed in the browser: 'cpu'"):
        x.to("cuda")
    with pytest.raises(RuntimeError, match="no view"):
        x.mT.view(6)
    with pytest.raises(RuntimeError, match="no mean"):
        stand_in.arange(3).mean()


# Tests of minisub that are run on the stand-in, each with what `pytest -k` leaves out: tests that
# need what a browser has not, such as automatic gradients.
RUN_ON_STAND_IN = {
    "tests/unit/test_mechanism.py": "not attribution",
    "tests/unit/test_properties.py": "not command_line",
    "tests/unit/test_world.py": "",
    "tests/unit/test_teachers_and_lists.py": "",
    "tests/unit/test_edits.py": "",
    "tests/unit/test_result.py": "",
    "tests/science/test_study.py": "",
}


BROWSER = ROOT / "minisub/course/browser"


def run_with_stand_in(
    command: list[str], stand_ins: Path = BROWSER, **more: str
) -> subprocess.CompletedProcess[str]:
    paths = [str(stand_ins), str(HERE), str(ROOT)]
    return subprocess.run(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **more},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.integration
@pytest.mark.parametrize("file", RUN_ON_STAND_IN)
def test_minisubs_own_tests_pass_on_it(file: str, tmp_path: Path) -> None:
    chosen = ["-k", RUN_ON_STAND_IN[file]] if RUN_ON_STAND_IN[file] else []
    plain = ["-m", "pytest", "-q", "-n", "0", "-p", "only_in_tests", "-p", "no:cacheprovider"]
    (tmp_path / "torch").symlink_to(BROWSER / "torch")  # the tests use more of scipy
    done = run_with_stand_in([*plain, file, *chosen], tmp_path, MINISUB_STORE=f"{tmp_path}/store")
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.integration
@pytest.mark.parametrize("page", list_notebooks(), ids=lambda page: page.path.stem[:2])
def test_a_page_runs_with_what_a_tab_has(page: Notebook, tmp_path: Path) -> None:
    """The stand-in, no processes, no command line; page 09 asserts its own numbers."""
    command = [str(HERE / "as_in_a_tab.py"), str(page.path)]
    done = run_with_stand_in(command, MINISUB_STORE=str(tmp_path), MINISUB_KERNEL="0")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "loaded:" in done.stdout


@pytest.mark.integration
def test_the_surprise_is_the_same_in_double_precision(tmp_path: Path) -> None:
    """Teachers, lists and students, with the same luck: to 1e-9."""
    script = str(HERE / "surprise.py")
    told = []
    for is_stand_in in (False, True):
        command = [script, "stand-in" if is_stand_in else "torch"]
        if is_stand_in:
            done = run_with_stand_in(command, MINISUB_STORE=str(tmp_path), MINISUB_KERNEL="0")
        else:
            done = subprocess.run(
                [sys.executable, *command],
                env={**os.environ, "MINISUB_STORE": str(tmp_path), "MINISUB_KERNEL": "0"},
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        told.append(json.loads(done.stdout))
    ours, theirs = told[1], told[0]
    assert ours["torch"] != theirs["torch"]
    assert ours["lists"] == theirs["lists"]
    np.testing.assert_allclose(ours["teachers"], theirs["teachers"], atol=1e-9)
    np.testing.assert_allclose(ours["students"], theirs["students"], atol=1e-9)
    assert ours["transfer"] == pytest.approx(theirs["transfer"], abs=1e-9)


@settings(max_examples=200)
@given(q=st.floats(1e-6, 1 - 1e-6), df=st.integers(1, 200), x=st.floats(-50, 50))
def test_students_distribution_is_scipys(q: float, df: int, x: float) -> None:
    assert stand_in_stats.t.ppf(q, df) == pytest.approx(stats.t.ppf(q, df), rel=1e-9, abs=1e-12)
    assert stand_in_stats.t.sf(x, df) == pytest.approx(stats.t.sf(x, df), rel=1e-10, abs=1e-300)


@settings(max_examples=100)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 40))
def test_tests_and_correlations_are_scipys(seed: int, n: int) -> None:
    g = np.random.default_rng(seed)
    a, b = g.normal(size=n), g.normal(size=n) + 0.5
    found, expected = (s.ttest_1samp(a, 0.0) for s in (stand_in_stats, stats))
    assert found.pvalue == pytest.approx(expected.pvalue, rel=1e-9)
    ends = tuple(expected.confidence_interval(0.95))
    assert tuple(found.confidence_interval(0.95)) == pytest.approx(ends, rel=1e-9)
    paired = stand_in_stats.ttest_rel(a, b).pvalue
    assert paired == pytest.approx(stats.ttest_rel(a, b).pvalue, rel=1e-9)
    ties = np.append(g.integers(0, 4, n), 5)
    rank = stand_in_stats.spearmanr(ties, np.append(b, 0)).statistic
    expected_rank = stats.spearmanr(ties, np.append(b, 0)).statistic
    assert rank == pytest.approx(expected_rank, abs=1e-12, nan_ok=True)


def test_no_module_of_minisub_finds_them_natively() -> None:
    assert importlib.import_module("torch").__version__ != stand_in.__version__
    assert importlib.import_module("scipy").__version__ != stand_in_scipy.__version__


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield
