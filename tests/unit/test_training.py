"""The training loop: members do not touch, and it is the AdamW that it says it is."""

from collections.abc import Collection
from dataclasses import replace

import pytest
import torch
from models import lessons, needs_compiler, start

from minisub.common.randomness import generator
from minisub.transformer import gradient
from minisub.transformer.dataset import TokenDataset
from minisub.transformer.gradient import Gradient, ManualGradient, autograd_gradient
from minisub.transformer.kernel_gradient import KernelGradient, fastest_gradient
from minisub.transformer.optimizer import TrainingConfig
from minisub.transformer.stack import TransformerStack
from minisub.transformer.training import GradientFn, train, update_multipliers

HOW = TrainingConfig(lr=3e-3, steps=50, batch_size=8, max_grad_norm=0.3, weight_decay=0.01)
EXACT = {"rtol": 0.0, "atol": 1e-9}


@pytest.mark.parametrize("soft", [False, True])
def test_a_stack_equals_single_runs_after_50_steps(soft: bool) -> None:
    """With weights, learning rates and trained blocks that differ between members."""
    corpus, stack = lessons(3, soft), start(3)
    factors = [{"": 1.0}, {"blocks.0.": 1.0}, {"blocks.": 0.5, "blocks.1.": 0.0, "W_U": 1.0}]
    rates = torch.tensor([1.0, 3.0, 0.3], dtype=torch.float64)
    mask = update_multipliers(stack, factors) * rates[:, None]
    together = start(3)
    losses = train(together, [corpus], HOW, generator(3, "order"), mask)
    for member in range(3):
        single = stack[[member]]
        own = train(
            single,
            [corpus.select_models([member])],
            HOW,
            generator(3, "order"),
            mask[[member]],
        )
        torch.testing.assert_close(single.flat_params, together.flat_params[[member]], **EXACT)
        torch.testing.assert_close(own[:, 0], losses[:, member])
        moved = (single.flat_params != stack.flat_params[[member]]).any()
        assert moved


@pytest.mark.parametrize("method", ["adamw", "adam"])
def test_one_member_is_torchs_optimizer_with_clipping(method: str) -> None:
    """Decoupled and coupled weight decay."""
    corpus, model = lessons(1), start(1)
    reference = start(1)
    params = list(reference.params.values())
    kind = torch.optim.AdamW if method == "adamw" else torch.optim.Adam
    optimizer = kind(params, lr=HOW.lr, betas=(HOW.beta1, HOW.beta2), weight_decay=HOW.weight_decay)
    g = generator(3, "order")
    order = torch.cat([torch.randperm(20, generator=g) for _ in range(20)])[: 50 * 8].view(50, 8)
    for step in range(HOW.steps):
        optimizer.param_groups[0]["lr"] = HOW.learning_rate(step)
        optimizer.zero_grad()
        corpus.loss(reference, order[step]).sum().backward()
        torch.nn.utils.clip_grad_norm_(params, HOW.max_grad_norm)
        optimizer.step()
    train(model, [corpus], replace(HOW, optimizer=method), generator(3, "order"))
    torch.testing.assert_close(model.flat_params, reference.flat_params, rtol=0.0, atol=1e-7)


def test_frozen_parameters_do_not_move_even_under_decay() -> None:
    model = start(2)
    before = model.flat_params.clone()
    mask = update_multipliers(model, [{"blocks.1.attn": 1.0}, {"W_E": 1.0}])
    train(model, [lessons(2)], HOW, generator(3, "order"), mask)
    moved = model.flat_params != before
    assert moved[mask == 0].sum() == 0
    assert moved[0, model.param_slice("blocks.1.attn.W_O")].all()
    assert moved[1, model.param_slice("W_E")].any()


def test_weightless_tokens_teach_nothing() -> None:
    corpus = lessons(1)
    weights = corpus.weights.clone()
    weights[:, :, 1] = 0
    tokens = corpus.tokens.clone()
    tokens[:, :, -1] = (tokens[:, :, -1] + 1) % 12  # the last token is predicted, never read
    weights[:, :, 3] = 0
    one, two = start(1), start(1)
    train(one, [TokenDataset(corpus.tokens, weights)], HOW, generator(3, "order"))
    train(two, [TokenDataset(tokens, weights)], HOW, generator(3, "order"))
    torch.testing.assert_close(one.flat_params, two.flat_params, **EXACT)


def test_learning_one_sequence_by_heart() -> None:
    tokens = torch.arange(10)[None, None] % 12
    model = start(1)
    how = TrainingConfig(lr=1e-2, steps=150, batch_size=1)
    losses = train(model, [TokenDataset(tokens, torch.ones(1, 1, 4))], how, generator(3, "order"))
    assert losses[-1] < 0.05 < losses[0]


def test_every_row_comes_once_before_any_comes_again() -> None:
    seen: list[int] = []

    def spy(
        model: TransformerStack, corpus: TokenDataset, trainable_names: Collection[str]
    ) -> Gradient:
        def spied(rows: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
            seen.extend(rows.tolist())
            return torch.zeros(1)

        return spied

    how = TrainingConfig(steps=5, batch_size=8)
    train(start(1), [lessons(1, rows=40)], how, generator(3, "order"), gradient_fn=spy)
    assert sorted(seen) == list(range(40))


def gradient_by_kernel(
    model: TransformerStack, dataset: TokenDataset, trainable_names: Collection[str]
) -> Gradient:
    found = fastest_gradient(model, dataset, trainable_names)
    assert isinstance(found, KernelGradient), "torch would be compared with torch"
    return found


WAYS = ["", "blocks.", "blocks.0.", "blocks.1.", "W_E", "W_pos", "W_U", "blocks.1.mlp.W_out"]
WAYS += ["blocks.0.attn", "blocks.0.mlp", "blocks.1.attn.W_O", "blocks.1.attn.W_QKV"]


@pytest.mark.parametrize(
    "kind", ["hard", "soft", "labels", "two corpora", "low rank", "one row", "gaps"]
)
@pytest.mark.parametrize("key", WAYS)
@pytest.mark.parametrize(
    "gradient_fn",
    [
        pytest.param(ManualGradient, id="torch"),
        pytest.param(gradient_by_kernel, id="C", marks=needs_compiler),
    ],
)
def test_the_gradient_by_hand_is_autograds(gradient_fn: GradientFn, key: str, kind: str) -> None:
    """After 50 steps of three members, one of which trains everything that any does."""
    corpus = lessons(3, kind == "soft")
    if kind == "labels":
        corpus = replace(corpus, labels=torch.randint(12, (3, 20, 4), generator=generator(4, "l")))
    corpora = [corpus, lessons(3, soft=True, rows=11)] if kind == "two corpora" else [corpus]
    if kind == "one row":  # for all members
        corpora = [lessons(1)]
    if kind == "gaps":  # most rows have no loss, other rows for each member
        luck = torch.rand(3, 20, 4, generator=generator(5, "gaps"))
        corpora = [replace(corpus, weights=corpus.weights * (luck < 0.1))]
    how = replace(HOW, lora_rank=2) if kind == "low rank" else HOW
    factors = [{key: 1.0}, {key: 0.5}, {key: 1.0, "blocks.0.": 0.0}]
    if key.startswith("blocks.0."):
        factors[2] = {key: 1.0}
    by, auto = start(3), start(3)
    mask = update_multipliers(by, factors)
    losses = train(by, corpora, how, generator(3, "order"), mask, gradient_fn=gradient_fn)
    plain = train(auto, corpora, how, generator(3, "order"), mask, gradient_fn=autograd_gradient)
    torch.testing.assert_close(by.flat_params, auto.flat_params, **EXACT)
    torch.testing.assert_close(losses, plain)
    assert (by.flat_params != start(3).flat_params).any()


def test_the_prefix_may_be_too_large_to_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, not_kept = start(2), start(2)
    mask = update_multipliers(kept, [{"blocks.1.": 1.0}] * 2)
    train(kept, [lessons(2)], HOW, generator(3, "order"), mask)
    monkeypatch.setattr(gradient, "MAX_PREFIX_BYTES", 0)
    train(not_kept, [lessons(2)], HOW, generator(3, "order"), mask)
    torch.testing.assert_close(kept.flat_params, not_kept.flat_params, **EXACT)


def test_progress_is_told_every_step_and_can_stop_the_training() -> None:
    class Stop(Exception):
        pass

    steps: list[int] = []

    def progress(step: int, losses: torch.Tensor, model: TransformerStack) -> None:
        assert losses.shape == (2,)
        assert model.n_models == 2
        steps.append(step)
        if step == 6:
            raise Stop

    with pytest.raises(Stop):
        train(start(2), [lessons(2)], HOW, generator(3, "order"), on_step=progress)
    assert steps == list(range(7))


def test_the_rate_warms_up_and_decays() -> None:
    how = TrainingConfig(lr=1.0, steps=100, warmup_fraction=0.1)
    rates = [how.learning_rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) <= 1.0
    assert rates[9] == pytest.approx(max(rates), abs=0.02)
    assert 0 < rates[-1] < 0.02


@pytest.mark.parametrize("how", [{"lora_rank": 2}, {"optimizer": "sgd", "lr": 0.1}], ids=str)
def test_other_optimizers_leave_a_stack_equal_to_single_runs(how: dict[str, object]) -> None:
    corpus, together = lessons(3), start(3)
    mask = update_multipliers(together, [{"blocks.": 1.0}, {"blocks.0.": 1.0}, {"blocks.": 0.5}])
    optimizer = replace(HOW, **how)
    train(together, [corpus], optimizer, generator(3, "order"), mask)
    for member in range(3):
        single = start(3)[[member]]
        own = mask[[member]]
        train(single, [corpus.select_models([member])], optimizer, generator(3, "order"), own)
        torch.testing.assert_close(single.flat_params, together.flat_params[[member]], **EXACT)


def test_low_rank_moves_a_matrix_by_no_more_than_its_rank() -> None:
    model, before = start(2), start(2)
    mask = update_multipliers(model, [{"blocks.": 1.0}] * 2)
    history = train(model, [lessons(2)], replace(HOW, lora_rank=2), generator(3, "order"), mask)
    for name, value in model.params.items():
        moved = (value - before.params[name]).detach()
        ranks = torch.linalg.matrix_rank(moved, atol=1e-10).tolist()
        assert ranks == ([2, 2] if name.startswith("blocks.") else [0, 0])
    assert (history[-1] < history[0]).all()


def test_sign_moves_every_weight_by_the_rate() -> None:
    model, before = start(1), start(1)
    one = replace(HOW, steps=1, lr=0.1, warmup_fraction=0.0, weight_decay=0.0, optimizer="sign")
    train(model, [lessons(1, rows=8)], one, generator(3, "order"))
    moved = (model.flat_params - before.flat_params).abs()
    torch.testing.assert_close(moved[moved > 0], torch.full_like(moved[moved > 0], 0.1))
    assert (moved > 0).float().mean() > 0.9


def test_sgd_goes_down_the_gradient() -> None:
    model, before = start(1), start(1)
    corpus = lessons(1, rows=8)
    one = replace(
        HOW,
        steps=1,
        lr=0.1,
        warmup_fraction=0.0,
        max_grad_norm=1e9,
        weight_decay=0.0,
        optimizer="sgd",
    )
    train(model, [corpus], one, generator(3, "order"))
    nats = corpus.loss(before, torch.arange(8)).sum()
    grads = torch.autograd.grad(nats, list(before.params.values()))
    step = torch.cat([g.flatten(1) for g in grads], 1)
    torch.testing.assert_close(
        before.flat_params - model.flat_params, 0.1 * step, rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("method", ["adamw", "sgd"])
def test_a_factor_multiplies_the_step_once(method: str) -> None:
    """By either method, twice the factor is twice the first step."""
    model, before = start(2), start(2)
    model.flat_params[1], before.flat_params[1] = model.flat_params[0], before.flat_params[0]
    one = replace(
        HOW, steps=1, warmup_fraction=0.0, max_grad_norm=1e9, weight_decay=0.0, optimizer=method
    )
    mask = update_multipliers(model, [{"": 1.0}, {"": 2.0}])
    train(model, [lessons(1)], one, generator(3, "order"), mask)
    moved = model.flat_params - before.flat_params
    torch.testing.assert_close(2 * moved[0], moved[1], rtol=1e-6, atol=1e-12)


def test_what_cannot_be_trained_is_refused() -> None:
    with pytest.raises(ValueError, match=r"warmup_fraction is 1\.5, allowed: 0 to 1"):
        TrainingConfig(warmup_fraction=1.5)
    with pytest.raises(ValueError, match=r"no parameter starts with 'block\.0'; there are W_E"):
        update_multipliers(start(1), [{"block.0": 1.0}])
    with pytest.raises(ValueError, match="allowed: adamw, adam, sgd, sign"):
        TrainingConfig(optimizer="lion")
    with pytest.raises(ValueError, match=r"beta1 is 1\.0, allowed: 0 to below 1"):
        TrainingConfig(beta1=1.0)
