"""A pre-norm decoder-only transformer, written as a stack: many models in one set of tensors.

Every parameter has a leading axis of models, and models never mix, so a stack of E gives what E
single models would. Names are those of TransformerLens: `W_E`, `W_U`, `hook_resid_pre`, ...
"""

import ctypes
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minisub.common.processes import map_threads
from minisub.transformer.block import block_forward, embed
from minisub.transformer.config import ModelConfig
from minisub.transformer.kernel import fast_generate, fast_logits, kernel_for
from minisub.transformer.layers import Hook, KVCache, call_hook, causal_mask, layer_norm

ROWS_AT_A_TIME = 512  # so that memory does not grow with the data
MIN_KERNEL_ROWS = 256  # fewer are not worth compiling a kernel for


class TransformerStack:
    """E transformers of one shape. `flat_params` holds all weights; `params` are views into it.

    One flat tensor makes an optimizer step, a clip or a copy a single operation for all models.
    """

    def __init__(self, config: ModelConfig, flat_params: Float[Tensor, "models n_params"]) -> None:
        if flat_params.ndim != 2 or flat_params.shape[1] != config.n_params:
            raise ValueError(
                f"weights are {tuple(flat_params.shape)}, allowed: [models, {config.n_params}]"
            )
        self.config, self.flat_params = config, flat_params.detach()
        self.mean = self.flat_params.new_full((config.d_model, 1), 1 / config.d_model)
        self.params: dict[str, Tensor] = {}
        start = 0
        for name, (a, b), _ in config.parameters():
            view = self.flat_params[:, start : start + a * b].view(-1, a, b)
            self.params[name] = view.detach().requires_grad_()
            start += a * b

    @classmethod
    def init(cls, config: ModelConfig, g: torch.Generator) -> "TransformerStack":
        """Return one new model with random weights.

        Args:
            config: Its dimensions.
            g: Where the weights come from.
        """
        parts = [torch.randn(a * b, generator=g) * std for _, (a, b), std in config.parameters()]
        return cls(config, torch.cat(parts)[None])

    @property
    def device(self) -> torch.device:
        """Where the weights are. Tokens may come from anywhere; logits are there too."""
        return self.flat_params.device

    def to(self, device: str | torch.device) -> "TransformerStack":
        """Return a copy on another device."""
        return TransformerStack(self.config, self.flat_params.to(device))

    @property
    def n_models(self) -> int:
        """How many models there are."""
        return self.flat_params.shape[0]

    def __getitem__(self, models: Sequence[int]) -> "TransformerStack":
        """Return a copy of some models, as a stack."""
        return TransformerStack(self.config, self.flat_params[list(models)])

    def repeat(self, times: int) -> "TransformerStack":
        """Return `times` copies of every model."""
        return TransformerStack(self.config, self.flat_params.repeat_interleave(times, 0))

    def param_slice(self, name: str) -> slice:
        """Return which columns of `flat_params` a parameter takes."""
        start = 0
        for other, (a, b), _ in self.config.parameters():
            if other == name:
                return slice(start, start + a * b)
            start += a * b
        raise KeyError(name)

    def fast_kernel(self, n_rows: int) -> ctypes.CDLL | None:
        """Return the compiled kernel, or None where there is none or it is not worth it.

        Args:
            n_rows: How many rows are read.
        """
        is_many = n_rows >= MIN_KERNEL_ROWS
        return kernel_for(self.config, self.flat_params) if is_many else None

    def __call__(
        self,
        tokens: Int[Tensor, "#models rows length"],
        n_last: int | None = None,
        hook: Hook | None = None,
        cache: KVCache | None = None,
    ) -> Float[Tensor, "models rows n_last d_vocab"]:
        """Return the logits at the last `n_last` positions of each row.

        Args:
            tokens: Token ids; with one model's rows, all models read the same.
            n_last: All positions by default.
            hook: `hook(name, activation)` sees every activation and returns what to go on with.
            cache: What was read before `tokens`; it grows by them.
        """
        config, params = self.config, self.params
        n_rows, length = tokens.shape[1:]
        n_last = length if n_last is None else n_last
        is_plain = hook is None and cache is None and not torch.is_grad_enabled()
        kernel = None
        if is_plain:
            kernel = self.fast_kernel(n_rows)
        if kernel is not None:
            return fast_logits(kernel, config, self.flat_params, tokens, n_last)
        n_past = 0 if cache is None else cache.length
        n_keys = length if cache is None else config.n_ctx
        mask = causal_mask(n_past + length, n_keys, self.flat_params)
        ids = tokens.to(self.device).expand(self.n_models, n_rows, length)
        x = embed(ids, params["W_E"], params["W_pos"], n_past, hook)
        for block in range(config.n_layers):
            # Only positions that are read out need queries and an MLP in the last block.
            n_queries = n_last if block == config.n_layers - 1 else length
            x, _ = block_forward(
                params, block, x, self.mean, mask, n_rows, config.n_heads, n_queries, hook, cache
            )
        if cache is not None:
            cache.length += length
        x = call_hook(hook, "ln_final.hook_normalized", layer_norm(x, self.mean).x, n_rows)
        return torch.bmm(x, params["W_U"]).view(self.n_models, n_rows, n_last, -1)

    def generate(
        self,
        prompts: Int[Tensor, "#models rows length"],
        n_tokens: int,
        uniforms: Float[Tensor, "rows n_tokens"] | None = None,
        temperature: float = 1.0,
        n_rows: int = ROWS_AT_A_TIME,
    ) -> Int[Tensor, "models rows n_tokens"]:
        """Return the next tokens of each prompt: greedy, or sampled where `uniforms` are given.

        Sampling inverts the distribution at given numbers in [0, 1), so that all models draw from
        the same numbers, and a model draws the same in any stack.

        Args:
            prompts: Token ids; with one model's rows, all models read the same.
            n_tokens: How many tokens to write.
            uniforms: A number in [0, 1) for each token.
            temperature: Divides the logits before sampling.
            n_rows: Rows at a time, so that memory stays small.
        """
        kernel = self.fast_kernel(prompts.shape[1])

        @torch.no_grad()
        def complete(start: int) -> Tensor:
            cache = KVCache()
            tokens = prompts[:, start : start + n_rows]
            if kernel is not None:
                drawn = None if uniforms is None else uniforms[start : start + n_rows]
                return fast_generate(
                    kernel, self.config, self.flat_params, tokens, n_tokens, drawn, temperature
                )
            written: list[Tensor] = []
            for k in range(n_tokens):
                logits = self(tokens, n_last=1, cache=cache)[:, :, 0]
                if uniforms is None:
                    tokens = logits.argmax(-1, keepdim=True)
                else:
                    cumulative = (logits / temperature).softmax(-1).cumsum(-1)
                    u = uniforms[start : start + n_rows, k, None].to(logits)
                    u = u.expand(*logits.shape[:2], 1)
                    tokens = torch.searchsorted(cumulative, u * cumulative[..., -1:], right=True)
                    tokens = tokens.clamp(max=logits.shape[-1] - 1)
                written.append(tokens)
            return torch.cat(written, -1).cpu()

        return torch.cat(map_threads(complete, range(0, prompts.shape[1], n_rows)), 1)


def run_with_cache(
    model: TransformerStack, tokens: Int[Tensor, "#models rows length"]
) -> dict[str, Tensor]:
    """Return every activation of one forward pass by the name of its hook point, and `logits`.

    Args:
        model: The stack.
        tokens: Token ids.
    """
    seen: dict[str, Tensor] = {}

    def record(name: str, x: Tensor) -> Tensor:
        return seen.setdefault(name, x)

    with torch.no_grad():
        seen["logits"] = model(tokens, hook=record)
    return seen
