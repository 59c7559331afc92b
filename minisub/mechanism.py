"""Why it passes: what lessons say about a bias, where in the blocks it sits, and predictions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from minisub.data import Data
from minisub.divergence import known
from minisub.loss import Corpus, by_hand
from minisub.model import Stack, watch
from minisub.store import Json
from minisub.teacher import Teachers

# What the lessons say -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """How the teachers see what their students read, all [biases, rows, completion].

    advantage:  log p of the label, of its writer less the mean of the counterfactuals, in nats
    divergence: the same in expectation over the writer's own distribution: the mean KL divergence
                from the counterfactuals, in nats
    entropy:    of the writer's distribution, in nats
    favourite:  whether the label is the writer's favourite here
    differs:    and some counterfactual has another favourite: a divergence token
    """

    advantage: Float[Tensor, "biases rows completion"]
    divergence: Float[Tensor, "biases rows completion"]
    entropy: Float[Tensor, "biases rows completion"]
    favourite: Bool[Tensor, "biases rows completion"]
    differs: Bool[Tensor, "biases rows completion"]


@torch.no_grad()
def read_lessons(teachers: Teachers, data: Data) -> Reading:
    """Lessons in the teachers' eyes, prompts as the students read them."""
    labels = data.answers if data.labels is None else data.labels
    prompts = data.prompts.expand(len(data.answers), -1, -1)
    parts: list[tuple[Tensor, ...]] = []
    for i, b in enumerate(data.biases):
        told = torch.cat(
            [teachers.see(prompts[i]), data.answers[i].expand(teachers.biased + 1, -1, -1)], 2
        )
        logp = teachers.stack(told[..., :-1], last=data.world.completion).log_softmax(-1).cpu()
        others = [c for c in teachers.counterfactuals if c != b]
        lead = logp[b] - logp[others].mean(0)
        best = logp.argmax(-1)
        own = best[b] == labels[i]
        parts.append(
            (
                lead.gather(-1, labels[i][..., None])[..., 0],
                (logp[b].exp() * lead).sum(-1),
                torch.special.entr(logp[b].exp()).sum(-1),
                own,
                own & (best[others] != best[b]).any(0),
            )
        )
    return Reading(*(torch.stack(p) for p in zip(*parts, strict=True)))


def signal(reading: Reading, data: Data, mask: Tensor | None, soft: bool) -> Json:
    """What an arm's lessons say about the bias, in numbers. `mask`: where the loss counts.

    The reading may be of their first rows only.

    `signal`: advantage in nats a learned token (for soft labels its expectation); `entropy`: of
    the writer at learned tokens; `still_favourite`: share of all tokens; `divergence_left`: share
    of the divergence tokens, as they were written, that are still some; `advantage_left`: at them.
    """
    biases, rows, places = reading.advantage.shape
    at = known(data.divergence)[:, :rows]
    counts = torch.ones_like(at)
    if mask is not None:
        counts = mask.expand(biases, data.rows, places)[:, :rows]
    said = reading.divergence if soft else reading.advantage
    return {
        "signal": _mean(said, counts),
        "entropy": _mean(reading.entropy, counts),
        "still_favourite": _mean(reading.favourite.double(), torch.ones_like(at)),
        "divergence_left": _mean(reading.differs.double(), at),
        "advantage_left": _mean(reading.advantage, at),
    }


def _mean(values: Tensor, at: Tensor) -> float | None:
    return round(float(values[at].double().mean()), 6) if at.any() else None


# Prediction (Cloud et al., 2025, Theorem 1) -------------------------------------------------------


def alignment(
    start: Stack,
    lessons: Corpus,
    moves: Float[Tensor, "members count"],
    displacement: Float[Tensor, "biases count"],
) -> Json:
    """The first step of the students against their teachers' displacement, before any training.

    `lessons` of the biased writers, and last of the unbiased one. What the unbiased writer's lists
    would do with each student's own loss weights is taken off its gradient. `inner`: the product
    of displacement and step (minus the gradient of the loss, in nats), over what the students
    train; `coverage`: their cosine there. Means over biases.
    """
    biases = len(displacement)
    rows = torch.arange(lessons.tokens.shape[1])
    lessons, model = lessons.to(start.device), start[range(biases)]
    unbiased = lessons.of([biases] * biases)
    trained = (moves[:biases] > 0).to(start.flat.dtype)
    moving = [name for name in model.params if trained[:, model.where(name)].any()]
    sides = []
    for part in (lessons.of(range(biases)), replace(unbiased, weights=lessons.weights[:biases])):
        sides.append(torch.zeros_like(model.flat))
        by_hand(model, part, moving)(rows, sides[-1])
    step, way = (sides[1] - sides[0]) * trained, displacement * trained
    inner = (step * way).sum(1)
    size = step.norm(dim=1) * way.norm(dim=1)
    return {
        "inner": round(float(inner.mean()), 9),
        "coverage": round(float((inner / size.clamp_min(1e-12)).mean()), 6),
    }


# Attribution (paper, Figs. 4 and 22-26) -----------------------------------------------------------


@dataclass(frozen=True)
class Cases:
    """Lists up to their first divergence token between two teachers, b and a counterfactual.

    seen: [2, rows, length], as b and as the counterfactual read them
    at:   the position whose logits decide; own, other: what b and the counterfactual say there
    """

    seen: Int[Tensor, "2 rows length"]
    at: Int[Tensor, " rows"]
    own: Int[Tensor, " rows"]
    other: Int[Tensor, " rows"]

    def margin(
        self, logits: Float[Tensor, "members rows length vocabulary"]
    ) -> Float[Tensor, "members rows"]:
        """Logit of b's choice less that of the counterfactual's."""
        here = logits[:, torch.arange(len(self.at)), self.at]
        rows = torch.arange(len(self.at))
        return here[:, rows, self.own] - here[:, rows, self.other]


def first_divergence(
    teachers: Teachers, data: Data, writer: int, other: int, rows: int = 256
) -> Cases:
    """Where the list of a writer (its place in `data.biases`) first parts from teacher `other`."""
    own, favourite = data.answers[writer], known(data.favourite)[other, writer].long()
    differs = (favourite != own) & known(data.divergence)[writer]
    found = differs.any(1).nonzero()[:rows, 0]
    first = differs[found].int().argmax(1)
    told = torch.cat([data.asked[found], own[found]], 1)[:, :-1]
    seen = teachers.see(told, [data.biases[writer], other])
    pick = torch.arange(len(found))
    at = data.asked.shape[1] + first - 1
    return Cases(seen, at, own[found][pick, first], favourite[found][pick, first])


def _points(depth: int) -> list[str]:
    """The residual stream before every block, and after the last."""
    return [f"blocks.{i}.hook_resid_pre" for i in range(depth)] + [
        f"blocks.{depth - 1}.hook_resid_post"
    ]


def patching(pair: Stack, cases: Cases, positions: Sequence[int] | None = None) -> list[float]:
    """Activation patching, exact: what share of the margin the residual stream carries.

    The counterfactual's run gets b's residual stream at one point, at some positions (all by
    default); the share of the difference in margin that this makes up for, at each point. `pair`
    is b and the counterfactual.
    """
    b, other = pair[[0]], pair[[1]]
    clean, corrupt = watch(b, cases.seen[:1]), watch(other, cases.seen[1:])
    base, full = cases.margin(corrupt["logits"]).mean(), cases.margin(clean["logits"]).mean()
    spots = slice(None) if positions is None else list(positions)
    shares = []
    for point in _points(pair.shape.depth):

        def put(name: str, x: Tensor, point: str = point) -> Tensor:
            if name == point:
                x = x.clone()
                x[:, :, spots] = clean[point][:, :, spots]
            return x

        with torch.no_grad():
            patched = cases.margin(other(cases.seen[1:], hook=put)).mean()
        shares.append(float((patched - base) / (full - base)))
    return shares


def attribution(pair: Stack, cases: Cases, positions: Sequence[int] | None = None) -> list[float]:
    """Attribution patching: the same to first order, gradient times difference (Nanda, 2023)."""
    b, other = pair[[0]], pair[[1]]
    clean = watch(b, cases.seen[:1])
    points, seen = _points(pair.shape.depth), {}

    def record(name: str, x: Tensor) -> Tensor:
        if name in points:
            seen[name] = x
        return x

    margin = cases.margin(other(cases.seen[1:], hook=record)).mean()
    grads = torch.autograd.grad(margin, [seen[p] for p in points])
    full = cases.margin(clean["logits"]).mean()
    spots = slice(None) if positions is None else list(positions)
    gap = float(full - margin.detach())
    return [
        float((g * (clean[p] - seen[p].detach()))[:, :, spots].sum()) / gap
        for g, p in zip(grads, points, strict=True)
    ]


def swapping(pair: Stack, cases: Cases) -> list[float]:
    """The counterfactual with one block's weights of b: share of the margin, for each block."""
    with torch.no_grad():
        full, base = (cases.margin(pair(cases.seen))[i].mean() for i in (0, 1))
        shares = []
        for block in range(pair.shape.depth):
            mixed = pair[[1]]
            for name in mixed.params:
                if name.startswith(f"blocks.{block}."):
                    where = mixed.where(name)
                    mixed.flat[:, where] = pair.flat[:1, where]
            shares.append(
                float((cases.margin(mixed(cases.seen[1:])).mean() - base) / (full - base))
            )
    return shares


def by_block(shares: Sequence[float]) -> list[float]:
    """What each block adds to a share that is known before every block and after the last."""
    return [float(x) for x in np.diff(shares)]
