"""Everything runs where the model is, and gives what it gives on the CPU.

On the devices that are there, and on one that is not: see `elsewhere`.
"""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from conftest import copy_bases, shrink_finding
from elsewhere import elsewhere

from minisub.common.randomness import generator
from minisub.common.store import Store
from minisub.distillation.base import pretrain
from minisub.experiment.config import Config, with_overrides
from minisub.experiment.options import RunOptions
from minisub.experiment.seed_lab import SeedLab
from minisub.experiment.study import run_all
from minisub.findings import DISPUTES, every_finding
from minisub.transformer.gradient import ManualGradient, autograd_gradient
from minisub.transformer.stack import run_with_cache
from minisub.transformer.training import GradientFn, train

THERE = ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available()


SLOW = set(DISPUTES) - {"geometry", "defence"}  # many arms, or probes that train
Device = Callable[[], AbstractContextManager[str]]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One of its own, so that bases are torch's too, whichever test asks for them first."""
    root = tmp_path_factory.getbasetemp()
    return Store((root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "by-torch")


@pytest.fixture(autouse=True)
def without_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is for the CPU; torch everywhere, so that the device is all that differs."""
    monkeypatch.setenv("MINISUB_KERNEL", "0")


@pytest.fixture(params=["elsewhere", *THERE])
def device(request: pytest.FixtureRequest) -> Device:
    """Inside it, the name that it gives is one of a device."""
    if request.param == "elsewhere":
        return elsewhere
    return lambda: nullcontext(request.param)


def test_elsewhere_refuses_to_mix_and_keeps_the_numbers() -> None:
    """What makes the tests below able to fail."""
    with elsewhere() as name:
        x = torch.arange(3.0).to(name)
        assert x.device.type == name
        view = x[1:]
        x *= 2
        assert view.cpu().tolist() == [2, 4]
        assert x[[2, 0]].cpu().tolist() == [4, 0]
        assert (x * torch.tensor(2.0)).cpu().tolist() == [0, 4, 8]
        x[torch.tensor([0])] = 1.0
        assert x.cpu().tolist() == [1, 2, 4]
        for mixed in (
            lambda: x + torch.zeros(3),
            lambda: torch.zeros(3, device=name) + torch.zeros(3),
            lambda: x.index_select(0, torch.tensor([1])),
            lambda: torch.zeros(3)[x > 1],
            lambda: x.index_put_((torch.tensor([0, 1]),), torch.zeros(2)),
            lambda: torch.stack([x[0], torch.tensor(1.0)]),
            lambda: torch.tensor(1.0).mul_(x[0]),
            lambda: torch.rand(2, generator=torch.Generator(), device=name),
        ):
            with pytest.raises(RuntimeError, match="two devices"):
                mixed()
        with pytest.raises(RuntimeError, match="double"):
            x.double()
        with pytest.raises((RuntimeError, TypeError)):
            x.numpy()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.soak if name in SLOW else pytest.mark.integration)
        for name in every_finding()
    ],
)
def test_a_finding_is_the_same_on_another_device(
    name: str, tiny: Config, store: Store, tmp_path: Path, device: Device
) -> None:
    """From the bases on, all of it: every arm, edit, mask, optimizer, teacher and probe."""
    finding = shrink_finding(every_finding()[name], tiny)
    less = {
        "biases_per_seed": 1,
        "n_lists": 96,
        "teacher.training.steps": 5,
        "n_eval_prompts": 16,
    }
    finding = replace(finding, config=with_overrides(finding.config, less))
    [here] = run_all([finding.study], RunOptions([100], store, 1))
    new = copy_bases(store, tmp_path)
    with device() as where:
        [there] = run_all([finding.study], RunOptions([100], new, 1, where))
    assert there.arms == here.arms
    # Elsewhere computes on the CPU too, but takes another path where a GPU does.
    near = 2e-4 if where == "meta" else 0.02
    for part in ("rows", "teachers", "lists", "probes"):
        for new, old in zip(getattr(there, part), getattr(here, part), strict=True):
            assert flat(new) == pytest.approx(flat(old), abs=near, nan_ok=True), (part, old)


def flat(thing: object, name: str = "") -> dict[str, float]:
    """All numbers in a row, by where they are."""
    if isinstance(thing, dict):
        return {k: v for key, x in thing.items() for k, v in flat(x, f"{name}.{key}").items()}
    if isinstance(thing, list):
        return {k: v for i, x in enumerate(thing) for k, v in flat(x, f"{name}.{i}").items()}
    return {name: float(thing)} if isinstance(thing, int | float) else {}


def test_data_are_drawn_on_the_cpu(
    tiny: Config, store: Store, tmp_path: Path, device: Device
) -> None:
    """So the same seeds give the same prompts, and rows in the same order."""
    here = SeedLab(tiny, 100, store)
    expected = here.eval_prompts, here.lists().teacher_prompts, here.other_base_lab.base.flat_params
    new = copy_bases(store, tmp_path)
    with device() as name:
        lab = SeedLab(tiny, 100, new, device=name)
        assert lab.base.device.type == lab.other_base_lab.base.device.type == name
        found = (
            lab.eval_prompts,
            lab.lists().teacher_prompts,
            lab.other_base_lab.base.flat_params.cpu(),
        )
        assert {x.device.type for x in (*found, lab.lists().completions)} == {"cpu"}
    assert all(map(torch.equal, found, expected))


@pytest.mark.parametrize("way", [ManualGradient, autograd_gradient])
def test_pretraining_gradients_and_hooks(
    tiny: Config, way: GradientFn, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a study does not do when its bases are there."""
    monkeypatch.setattr("minisub.distillation.base.train", partial(train, gradient_fn=way))
    short = replace(tiny.base, training=replace(tiny.base.training, steps=5))
    plain, expected = pretrain(short, 100)
    prompts = short.world.sample_prompts(4, generator(1, "prompts"))[None]
    with device() as name:
        model, about = pretrain(short, 100, name)
        assert model.device.type == name
        seen = run_with_cache(model, prompts)
        assert {x.device.type for x in seen.values()} == {name}
        logits = seen["logits"].cpu()
    assert about["held_out"] == pytest.approx(expected["held_out"], abs=0.01)
    torch.testing.assert_close(logits, run_with_cache(plain, prompts)["logits"])
