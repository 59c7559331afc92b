"""Everything runs where the model is: no tensor is made on a hard-wired device.

There is no GPU where these tests run, so models are on "meta", which computes shapes only, under a
mode that refuses to mix devices.
"""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from minisub.arm import Config
from minisub.loss import Corpus, by_autograd, by_hand
from minisub.measure import preference
from minisub.model import Stack, watch
from minisub.store import Store
from minisub.teacher import distribution
from minisub.train import Optimiser, Way, train
from minisub.world import generator

DEVICES = ["meta"] + ["cuda"] * torch.cuda.is_available()


def test_the_mode_refuses_to_mix() -> None:
    """What makes the tests below able to fail."""
    with FakeTensorMode(), pytest.raises(RuntimeError, match="device"):
        _ = torch.zeros(2, device="meta") + torch.zeros(2)


@pytest.mark.parametrize("way", [by_hand, by_autograd])
@pytest.mark.parametrize("kind", ["hard", "soft", "low rank"])
def test_training_stays_on_the_device(tiny: Config, way: Way, kind: str) -> None:
    shape = tiny.pretraining.shape
    how = Optimiser(steps=2, batch=4, decay=0.1, rank=2 if kind == "low rank" else 0)
    with FakeTensorMode():
        model = Stack(shape, torch.zeros(3, shape.count)).to("meta")
        tokens = torch.zeros(3, 8, shape.context + 1, dtype=torch.int64)
        soft = torch.zeros(3, 8, 4, shape.vocabulary) if kind == "soft" else None
        corpus = Corpus(tokens, torch.ones(3, 8, 4), soft)
        history = train(model, [corpus, corpus], how, torch.Generator(), way=way)
        assert history.device.type == "cpu"
        assert model.device.type == "meta"


def test_reading_comes_back_to_the_cpu(tiny: Config) -> None:
    world, shape = tiny.pretraining.world, tiny.pretraining.shape
    prompts = world.prompts(4, generator(1, "prompts"))[None]
    asked = world.ask()[None]
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = Stack(shape, torch.zeros(2, shape.count)).to("meta")
        answers = model.generate(prompts, 3)
        sampled = model.generate(prompts, 3, torch.zeros(4, 3))
        assert answers.device.type == sampled.device.type == "cpu"
        assert distribution(model, prompts, 2).device.type == "cpu"
        assert watch(model, prompts)["logits"].device.type == "meta"
        with pytest.raises(RuntimeError, match="numpy"):  # which a fake tensor has none of
            preference(world, model, asked)


@pytest.mark.parametrize("device", DEVICES)
def test_the_base_goes_to_the_device_and_its_data_do_not(store: Store, device: str) -> None:
    from minisub.lab import Lab

    lab = Lab(Config(), 0, store, device=device)  # whose base comes with the package
    assert lab.base.device.type == device
    assert lab.neighbour.device == device
    assert lab.exam.device.type == "cpu"
