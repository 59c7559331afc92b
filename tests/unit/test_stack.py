"""The transformer against torch's own modules, a stack against its members, cache against none."""

import pytest
import torch
from torch import Tensor, nn

from minisub.common.randomness import generator
from minisub.transformer.config import ModelConfig
from minisub.transformer.stack import TransformerStack, run_with_cache

SHAPE = ModelConfig(16, 3, 2, 24, d_vocab=20, n_ctx=12)
EXACT = {"rtol": 0.0, "atol": 1e-9}


def stack(members: int, seed: int = 1) -> TransformerStack:
    g = generator(seed, "weights")
    return TransformerStack(
        SHAPE,
        torch.cat([TransformerStack.init(SHAPE, g).flat_params for _ in range(members)]).double(),
    )


def some_tokens(members: int, rows: int = 5, length: int = 9) -> Tensor:
    return torch.randint(20, (members, rows, length), generator=generator(2, "tokens"))


class Reference(nn.Module):
    """The same model, from torch.nn's parts."""

    def __init__(self, model: TransformerStack, member: int) -> None:
        super().__init__()
        p = {name: value[member].detach() for name, value in model.params.items()}
        self.p = p
        self.norm = nn.LayerNorm(SHAPE.d_model, elementwise_affine=False, dtype=torch.float64)
        self.attention, self.mlps = nn.ModuleList(), nn.ModuleList()
        for block in range(SHAPE.n_layers):
            attention = nn.MultiheadAttention(
                SHAPE.d_model, SHAPE.n_heads, bias=False, batch_first=True, dtype=torch.float64
            )
            with torch.no_grad():
                assert attention.in_proj_weight is not None
                attention.in_proj_weight.copy_(p[f"blocks.{block}.attn.W_QKV"].T)
                attention.out_proj.weight.copy_(p[f"blocks.{block}.attn.W_O"].T)
            first = nn.Linear(SHAPE.d_model, SHAPE.d_mlp, bias=False, dtype=torch.float64)
            second = nn.Linear(SHAPE.d_mlp, SHAPE.d_model, bias=False, dtype=torch.float64)
            with torch.no_grad():
                first.weight.copy_(p[f"blocks.{block}.mlp.W_in"].T)
                second.weight.copy_(p[f"blocks.{block}.mlp.W_out"].T)
            self.attention.append(attention)
            self.mlps.append(nn.Sequential(first, nn.ReLU(), second))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.p["W_E"][tokens] + self.p["W_pos"][: tokens.shape[1]]
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1], dtype=torch.float64)
        for attention, mlp in zip(self.attention, self.mlps, strict=True):
            y = self.norm(x)
            x = x + attention(y, y, y, attn_mask=mask, need_weights=False)[0]
            x = x + mlp(self.norm(x))
        return self.norm(x) @ self.p["W_U"]


def test_every_member_equals_the_model_built_from_torch_modules() -> None:
    model, tokens = stack(3), some_tokens(3)
    logits = model(tokens)
    for member in range(3):
        expected = Reference(model, member)(tokens[member])
        torch.testing.assert_close(logits[member], expected, **EXACT)


def test_a_stack_equals_its_members_forward_and_backward() -> None:
    model, tokens = stack(4), some_tokens(4)
    grads = torch.autograd.grad(model(tokens).square().sum(), list(model.params.values()))
    for member in range(4):
        single = model[[member]]
        logits = single(tokens[[member]])
        torch.testing.assert_close(logits, model(tokens)[[member]], **EXACT)
        own = torch.autograd.grad(logits.square().sum(), list(single.params.values()))
        for a, b in zip(grads, own, strict=True):
            torch.testing.assert_close(a[[member]], b, **EXACT)


def test_reading_out_the_last_positions_gives_the_same_logits() -> None:
    model, tokens = stack(2), some_tokens(2)
    for last in (1, 4, 9):
        torch.testing.assert_close(model(tokens, n_last=last), model(tokens)[:, :, -last:], **EXACT)


def test_no_position_sees_a_later_one() -> None:
    model, tokens = stack(1), some_tokens(1)
    changed = tokens.clone()
    changed[..., 6:] = (changed[..., 6:] + 1) % 20
    torch.testing.assert_close(model(tokens)[:, :, :6], model(changed)[:, :, :6], **EXACT)


@pytest.mark.parametrize("sampled", [False, True])
def test_generation_with_the_cache_equals_generation_without(sampled: bool) -> None:
    model, prompts, count = stack(3), some_tokens(3, rows=7, length=5), 6
    luck = torch.rand(7, count, generator=generator(3, "luck"), dtype=torch.float64)
    written = model.generate(prompts, count, luck if sampled else None, n_rows=4)
    told = prompts
    for k in range(count):
        logits = model(told)[:, :, -1]
        if sampled:
            inverse = logits.softmax(-1).cumsum(-1) < luck[:, k, None]
            drawn = inverse.sum(-1, keepdim=True)
        else:
            drawn = logits.argmax(-1, keepdim=True)
        told = torch.cat([told, drawn], -1)
    assert torch.equal(written, told[..., 5:])


def test_samples_follow_the_models_distribution() -> None:
    model = stack(1)
    prompt = some_tokens(1, rows=1, length=4).expand(1, 40_000, 4)
    luck = torch.rand(40_000, 1, generator=generator(4, "luck"))
    drawn = model.generate(prompt, 1, luck)
    frequency = torch.bincount(drawn.flatten(), minlength=20) / 40_000
    expected = model(prompt[:, :1])[0, 0, -1].softmax(-1)
    assert (frequency - expected).abs().max() < 0.01


def test_one_row_of_tokens_serves_all_members() -> None:
    model, tokens = stack(3), some_tokens(1)
    torch.testing.assert_close(model(tokens), model(tokens.expand(3, -1, -1)), **EXACT)


def test_hook_points_have_the_fields_names_and_can_change_the_run() -> None:
    model, tokens = stack(2), some_tokens(2)
    seen = run_with_cache(model, tokens)
    for name in (
        "hook_embed",
        "hook_pos_embed",
        "blocks.0.hook_resid_pre",
        "blocks.1.attn.hook_q",
        "blocks.1.attn.hook_pattern",
        "blocks.1.attn.hook_z",
        "blocks.1.hook_attn_out",
        "blocks.1.hook_resid_mid",
        "blocks.1.mlp.hook_post",
        "blocks.2.hook_mlp_out",
        "blocks.2.hook_resid_post",
        "ln_final.hook_normalized",
    ):
        assert name in seen
    pattern = seen["blocks.1.attn.hook_pattern"]
    torch.testing.assert_close(pattern.sum(-1), torch.ones_like(pattern.sum(-1)), **EXACT)
    total = seen["blocks.0.hook_resid_mid"] + seen["blocks.0.hook_mlp_out"]
    torch.testing.assert_close(total, seen["blocks.0.hook_resid_post"], **EXACT)

    def silence(name: str, x: Tensor) -> Tensor:
        return torch.zeros_like(x) if name == "blocks.2.hook_resid_post" else x

    assert model(tokens, hook=silence).abs().max() < 1e-9
    assert model(tokens).abs().max() > 1e-3


def test_weights_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="allowed"):
        TransformerStack(SHAPE, torch.zeros(1, SHAPE.n_params + 1))
    with pytest.raises(ValueError, match="a multiple of n_heads = 3"):
        ModelConfig(d_model=10, n_heads=3)


def test_members_are_copies_and_params_are_views() -> None:
    model = stack(2)
    copy = model[[0]]
    with torch.no_grad():
        model.flat_params.zero_()
    assert model.params["W_U"].abs().max() == 0
    assert copy.flat_params.abs().max() > 0
    assert copy.repeat(2).n_models == 2
