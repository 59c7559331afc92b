"""A pre-norm decoder-only transformer, written as a *stack*: E models in one set of tensors.

Every parameter has a leading member axis, every activation is [members, rows, length, ...], and
members never mix, so a stack of E gives what E single models would. Names are the field's own
(those of TransformerLens): `W_E`, `W_U`, `hook_resid_pre`, ... Norms have no gains and layers no
biases: the matrices next to them can express both, and the code stays short.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from minisub.pool import spread

EPSILON = 1e-5  # that keeps a norm from dividing by zero
Hook = Callable[[str, Tensor], Tensor]


@dataclass(frozen=True)
class Size:
    """How large one transformer is inside."""

    width: int = 16  # d_model; narrow, so that numbers and animals share directions
    depth: int = 4  # blocks
    heads: int = 2  # few and wide: attention over 16 tokens costs by the head
    mlp: int = 64  # d_mlp

    def __post_init__(self) -> None:
        if min(self.width, self.depth, self.heads, self.mlp) < 1:
            raise ValueError("width, depth, heads, mlp: allowed: 1 and more each")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} does not divide into {self.heads} heads")


@dataclass(frozen=True)
class Shape(Size):
    """A size with its ends, which follow from the world."""

    vocabulary: int = 2
    context: int = 1

    def parameters(self) -> Iterator[tuple[str, tuple[int, int], float]]:
        """(name, shape, standard deviation at the start) of every matrix, in order."""
        d, deep = self.width, math.sqrt(2 * self.depth)
        yield "W_E", (self.vocabulary, d), d**-0.5
        yield "W_pos", (self.context, d), d**-0.5
        for block in range(self.depth):
            yield f"blocks.{block}.attn.W_QKV", (d, 3 * d), d**-0.5
            yield f"blocks.{block}.attn.W_O", (d, d), d**-0.5 / deep
            yield f"blocks.{block}.mlp.W_in", (d, self.mlp), d**-0.5
            yield f"blocks.{block}.mlp.W_out", (self.mlp, d), self.mlp**-0.5 / deep
        yield "W_U", (d, self.vocabulary), d**-0.5

    @property
    def count(self) -> int:
        """Parameters of one member."""
        return sum(a * b for _, (a, b), _ in self.parameters())


def norm(x: Tensor, mean: Float[Tensor, "width 1"]) -> tuple[Tensor, Float[Tensor, "... 1"]]:
    """Layer norm, and what the centred activation was multiplied by.

    `mean` holds 1 / width: at this size a product with it is the cheapest mean there is.
    """
    centred = x - x @ mean
    scale = ((centred * centred) @ mean + EPSILON).rsqrt()
    return centred * scale, scale


class Cache:
    """Keys and values of what a stack has read so far.

    Each block has room for the whole context from the start: [members * rows, context, 2 * width],
    keys of all heads first. Products and softmax of one size are faster than of a growing one.
    """

    def __init__(self) -> None:
        self.length = 0
        self.blocks: dict[str, Tensor] = {}

    def rows(self, which: Int[Tensor, " rows"]) -> "Cache":
        """A copy for some of the rows (of all members in one count)."""
        some = Cache()
        some.length = self.length
        for name, x in self.blocks.items():
            which = which.to(x.device)
            some.blocks[name] = x.index_select(0, which)
        return some

    def write(self, name: str, heads: Sequence[Tensor], context: int) -> Tensor:
        """Keep one block's new keys and values, and return all there are."""
        n, length, d_head = heads[0].shape
        if name not in self.blocks:
            self.blocks[name] = heads[0].new_zeros(n, context, d_head * len(heads))
        here = self.blocks[name]
        for i, head in enumerate(heads):
            here[:, self.length : self.length + length, i * d_head : (i + 1) * d_head] = head
        return here


class Stack:
    """E transformers of one shape. `flat` [members, count] holds all weights; `params` are views.

    One flat tensor makes an optimiser step, a clip or a copy a single operation for all members.
    """

    def __init__(self, shape: Shape, flat: Float[Tensor, "members count"]) -> None:
        if flat.ndim != 2 or flat.shape[1] != shape.count:
            raise ValueError(f"weights are {tuple(flat.shape)}, allowed: [members, {shape.count}]")
        self.shape, self.flat = shape, flat.detach()
        self.mean = self.flat.new_full((shape.width, 1), 1 / shape.width)
        self.params: dict[str, Tensor] = {}
        start = 0
        for name, (a, b), _ in shape.parameters():
            view = self.flat[:, start : start + a * b].view(-1, a, b)
            self.params[name] = view.detach().requires_grad_()
            start += a * b

    @classmethod
    def init(cls, shape: Shape, g: torch.Generator) -> "Stack":
        """One fresh member."""
        parts = [torch.randn(a * b, generator=g) * std for _, (a, b), std in shape.parameters()]
        return cls(shape, torch.cat(parts)[None])

    @property
    def device(self) -> torch.device:
        """Where the weights are. Tokens may come from anywhere; what a model says is there too."""
        return self.flat.device

    def to(self, device: str | torch.device) -> "Stack":
        """A copy on another device."""
        return Stack(self.shape, self.flat.to(device))

    @property
    def members(self) -> int:
        """How many models there are."""
        return self.flat.shape[0]

    def __getitem__(self, members: Sequence[int]) -> "Stack":
        """A copy of some members, as a stack."""
        return Stack(self.shape, self.flat[list(members)])

    def repeat(self, times: int) -> "Stack":
        """`times` copies of every member."""
        return Stack(self.shape, self.flat.repeat_interleave(times, 0))

    def where(self, name: str) -> slice:
        """Which columns of `flat` a parameter takes."""
        start = 0
        for other, (a, b), _ in self.shape.parameters():
            if other == name:
                return slice(start, start + a * b)
            start += a * b
        raise KeyError(name)

    # Forward ----------------------------------------------------------------------------------

    def __call__(
        self,
        tokens: Int[Tensor, "#members rows length"],
        last: int | None = None,
        hook: Hook | None = None,
        cache: Cache | None = None,
    ) -> Float[Tensor, "members rows last vocabulary"]:
        """Logits at the last `last` positions (all by default).

        `tokens` may have one member for all. `hook(name, activation)` sees every activation and
        returns what to go on with. A `cache` holds what was read before `tokens`, and then these.
        """
        members, depth = self.members, self.shape.depth
        rows, length = tokens.shape[1:]
        last = length if last is None else last
        past = 0 if cache is None else cache.length
        at = hook or (lambda _, x: x)
        p = self.params

        ids = tokens.to(self.device).expand(members, rows, length).flatten(1)
        embed = torch.stack([F.embedding(i, w) for i, w in zip(ids, p["W_E"], strict=True)])
        x = at("hook_embed", embed.view(members, rows, length, -1))
        x = x + at("hook_pos_embed", p["W_pos"][:, None, past : past + length])
        for block in range(depth):
            name = f"blocks.{block}."
            # Only positions that are read out need queries and an MLP in the last block.
            keep = last if block == depth - 1 else length
            x = at(name + "hook_resid_pre", x)
            attn = self._attention(name + "attn.", self._norm(x), keep, hook, cache)
            x = x[:, :, -keep:] + at(name + "hook_attn_out", attn)
            x = at(name + "hook_resid_mid", x)
            pre = at(name + "mlp.hook_pre", self._linear(self._norm(x), p[name + "mlp.W_in"]))
            post = at(name + "mlp.hook_post", F.relu(pre))
            x = x + at(name + "hook_mlp_out", self._linear(post, p[name + "mlp.W_out"]))
            x = at(name + "hook_resid_post", x)
        if cache is not None:
            cache.length += length
        x = at("ln_final.hook_normalized", self._norm(x))
        return self._linear(x, p["W_U"])

    def _norm(self, x: Tensor) -> Tensor:
        return norm(x, self.mean)[0]

    def _linear(self, x: Tensor, w: Float[Tensor, "members a b"]) -> Tensor:
        return torch.bmm(x.flatten(1, 2), w).view(*x.shape[:3], -1)

    def _attention(
        self,
        name: str,
        x: Float[Tensor, "members rows length width"],
        keep: int,
        hook: Hook | None,
        cache: Cache | None,
    ) -> Float[Tensor, "members rows keep width"]:
        members, rows, length, width = x.shape
        heads, d_head = self.shape.heads, width // self.shape.heads

        def at_heads(point: str, each: Sequence[Tensor]) -> Sequence[Tensor]:
            """Hooks see all heads: [members * rows, heads, length, ...]."""
            return each if hook is None else hook(name + point, torch.stack([*each], 1)).unbind(1)

        # Heads are columns of one product and views into it, so that nothing is copied on the way.
        qkv = self._linear(x, self.params[name + "W_QKV"]).flatten(0, 1)
        columns = torch.split(qkv, d_head, -1)
        q = at_heads("hook_q", [head[:, -keep:] for head in columns[:heads]])
        k = at_heads("hook_k", columns[heads : 2 * heads])
        v = at_heads("hook_v", columns[2 * heads :])
        past, keys = 0, length
        if cache is not None:
            past, keys = cache.length, self.shape.context
            both = torch.split(cache.write(name, [*k, *v], keys), d_head, -1)
            k, v = both[:heads], both[heads:]
        later = x.new_full((past + length, keys), -torch.inf).triu(1)
        scores = [
            torch.baddbmm(later[-keep:], a, b.mT, alpha=d_head**-0.5)
            for a, b in zip(q, k, strict=True)
        ]
        pattern = at_heads("hook_pattern", [s.softmax(-1) for s in scores])
        z = at_heads("hook_z", [a @ b for a, b in zip(pattern, v, strict=True)])
        mixed = torch.cat([*z], -1).view(members, rows, keep, width)
        return self._linear(mixed, self.params[name + "W_O"])

    # Generation -------------------------------------------------------------------------------

    def generate(
        self,
        prompts: Int[Tensor, "#members rows length"],
        count: int,
        uniforms: Float[Tensor, "rows count"] | None = None,
        temperature: float = 1.0,
        rows: int = 512,
    ) -> Int[Tensor, "members rows count"]:
        """`count` more tokens for each prompt: greedy, or sampled where `uniforms` are given.

        Sampling inverts the distribution at given numbers in [0, 1), so that all members draw
        with the same luck, and a member draws the same in any stack.
        """

        @torch.no_grad()
        def answer(start: int) -> Tensor:
            cache = Cache()
            tokens = prompts[:, start : start + rows]
            drawn: list[Tensor] = []
            for k in range(count):
                logits = self(tokens, last=1, cache=cache)[:, :, 0]
                if uniforms is None:
                    tokens = logits.argmax(-1, keepdim=True)
                else:
                    total = (logits / temperature).softmax(-1).cumsum(-1)
                    u = uniforms[start : start + rows, k, None].to(logits)
                    u = u.expand(*logits.shape[:2], 1)
                    tokens = torch.searchsorted(total, u * total[..., -1:], right=True)
                    tokens = tokens.clamp(max=logits.shape[-1] - 1)
                drawn.append(tokens)
            return torch.cat(drawn, -1).cpu()

        return torch.cat(spread(answer, range(0, prompts.shape[1], rows)), 1)


def watch(model: Stack, tokens: Int[Tensor, "#members rows length"]) -> dict[str, Tensor]:
    """Every activation of one forward pass by the name of its hook point, and the `logits`."""
    seen: dict[str, Tensor] = {}

    def record(name: str, x: Tensor) -> Tensor:
        return seen.setdefault(name, x)

    with torch.no_grad():
        seen["logits"] = model(tokens, hook=record)
    return seen
