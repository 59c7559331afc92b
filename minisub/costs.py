"""Where time goes and how it grows: what `minisub bench` says beside the race.

Operations are counted, and timed on this machine; nothing here knows of other libraries.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from minisub import base, pool
from minisub.arm import Config, changed
from minisub.findings import FINDINGS
from minisub.model import Shape, Size
from minisub.peers import STACK, ours
from minisub.store import Json, Store, digest
from minisub.study import Study, missing_bases, units

# The machine ------------------------------------------------------------------------------------


def products(
    shape: Shape, batch: int, predicted: int, lowest: int = 0
) -> Iterator[tuple[int, int, int, int]]:
    """Every matrix product of a student-step that trains all blocks from `lowest` on.

    (how many, m, k, n).
    """
    length, d, d_head = shape.context, shape.width, shape.width // shape.heads
    for block in range(lowest, shape.depth):
        keep = predicted if block == shape.depth - 1 else length
        for rows, a, b in (
            (batch * length, d, 3 * d),
            (batch * keep, d, d),
            (batch * keep, d, shape.mlp),
            (batch * keep, shape.mlp, d),
        ):
            yield 1, rows, a, b  # forward
            yield 1, a, rows, b  # the gradient of the weights
            if block > lowest or (a, b) != (d, 3 * d):
                yield 1, rows, b, a  # the gradient of the input
        # scores and mix, and for each the gradients of both sides
        for m, k, n in ((keep, d_head, length), (keep, length, d_head)):
            for x, y, z in ((m, k, n), (m, n, k), (k, m, n)):
                yield batch * shape.heads, x, y, z
    yield 1, batch * predicted, d, shape.vocabulary
    yield 1, batch * predicted, shape.vocabulary, d


def flops(shape: Shape, batch: int, predicted: int, lowest: int = 0) -> int:
    """Of the matrix products of one student-step."""
    each = products(shape, batch, predicted, lowest)
    return sum(2 * count * m * k * n for count, m, k, n in each)


def everything(studies: Sequence[Study]) -> Json:
    """How much training one seed of some studies is: students, their steps, and FLOP at most.

    Counted as if every row had a loss, and all that a part of a block's weights could need.
    """
    students, steps, work, seen = 0, 0, 0, set()
    for study in studies:
        for arm in study.arms:
            how = changed(study.config, arm.changes)
            world, shape = how.pretraining.world, how.pretraining.shape
            blocks = [int(name.split(".")[1]) for name in arm.trains if name.count(".") > 1]
            lowest = shape.depth if [*arm.trains] == ["W_U"] else min(blocks, default=0)
            biases = len(how.taught(0, len(world.trait(how.teaching.trait).biases)))
            for unit in units(arm):
                named = digest([how.as_dict(), unit.spec()])
                if named not in seen:
                    seen.add(named)
                    members = biases + (unit.mask is None)
                    students += members
                    steps += members * how.student.steps
                    step = flops(shape, how.student.batch, world.completion, lowest)
                    work += members * how.student.steps * step
    return {"students": students, "steps": steps, "flops": work}


def _rate(count: int, m: int, k: int, n: int, seconds: float = 0.05) -> float:
    """Floating-point operations a second of one batched matrix product, alone."""
    a, b, out = torch.rand(count, m, k), torch.rand(count, k, n), torch.empty(count, m, n)
    best, spent = float("inf"), 0.0
    while spent < seconds:
        begun = time.perf_counter()
        torch.bmm(a, b, out=out)
        took = time.perf_counter() - begun
        best, spent = min(best, took), spent + took
    return 2 * count * m * k * n / best


def machine() -> Json:
    """Matrix products on one thread, in FLOP/s: a large one, and the model's own, each alone."""
    how = Config()
    shape, batch = how.pretraining.shape, how.student.batch
    own = list(products(shape, batch, how.pretraining.world.completion))
    with pool.threads(1):
        alone = sum(2 * c * m * k * n / _rate(c, m, k, n) for c, m, k, n in own)
        large = _rate(1, 1024, 1024, 1024, 0.5)
    work = flops(shape, batch, how.pretraining.world.completion)
    return {"large": large, "own": work / alone, "flops": work}


# What a profile calls "self time" of torch's operations, in kinds.
KINDS = {
    "matrix products": ("bmm", "baddbmm"),
    "softmax and its way back": ("_softmax", "_log_softmax", "_softmax_backward_data"),
    "copies: heads side by side, rows of a batch": ("cat", "copy_", "index", "index_select"),
    "norms, relu, loss, optimiser": (
        # A norm's means are products with a column.
        *("mm", "mul", "mul_", "add", "add_", "sub", "sub_", "addcmul_", "lerp_", "div", "sqrt"),
        *("exp_", "rsqrt", "clamp_min_", "threshold_backward", "linalg_vector_norm", "gather"),
        *("scatter_add_", "relu_", "sum"),
    ),
}
REST = "the rest: views, and what it takes to call"


def profiled(count: int = 10) -> dict[str, float]:
    """What share of a step of the stack each kind of operation takes, on one thread."""
    executor, _ = pool.executor(1)  # for a process of its own: see `_spent`
    with executor:
        spent = executor.submit(_spent, count).result()
    whole = sum(spent.values())
    shares = {
        kind: sum(spent.get(name, 0.0) for name in names) / whole for kind, names in KINDS.items()
    }
    return {**shares, REST: 1 - sum(shares.values())}


def _spent(count: int) -> dict[str, float]:
    """Microseconds in each of torch's operations, by name."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # where torch's profiler announces itself
    steps = ours(STACK)
    steps(2)
    with torch.autograd.profiler.profile(use_kineto=False) as seen:
        steps(count)
    return {e.key.removeprefix("aten::"): e.self_cpu_time_total for e in seen.key_averages()}


# How it grows -----------------------------------------------------------------------------------


def growth(tick: Callable[[], object] = lambda: None) -> list[Json]:
    """How time grows, one thread: seconds a student-step, or for writing and marking lists."""
    from minisub.data import write_lists
    from minisub.divergence import mark
    from minisub.lab import Lab

    cases: list[tuple[str, object, int, Size | None, str]] = [
        *(("members", m, m, None, "blocks.") for m in (1, 4, 16, 64, 256)),
        *(("width", w, 4, Size(width=w, mlp=4 * w), "blocks.") for w in (16, 32, 64, 128)),
        *(("depth", d, 4, Size(depth=d), "blocks.") for d in (2, 4, 8, 12)),
        *(("trained alone", t, 4, None, t) for t in ("blocks.0.", "blocks.1.", "blocks.3.", "W_U")),
    ]
    rows: list[Json] = []
    with pool.threads(1):
        for name, value, members, size, trains in cases:
            steps = ours(members, size, trains)
            steps(2)
            # A prefix that is computed once is a part of each run, so those are long.
            count = 320 if trains != "blocks." else max(2, 40 // members)
            took = statistics.median(steps(count) for _ in range(3))
            rows.append({"what": name, "value": value, "seconds": took})
            tick()
        lab = Lab(Config(), 0, Store.default())
        _ = lab.teachers  # made before the clock runs
        for count in (1000, 4000, 16000, 64000):
            begun = time.perf_counter()
            mark(lab.teachers, write_lists(lab.teachers, lab.biases, count, 0))
            rows.append({"what": "lists", "value": count, "seconds": time.perf_counter() - begun})
            tick()
    return rows


def whole(folder: Path, tick: Callable[[], object] = lambda: None) -> list[Json]:
    """Seconds of the study of `divergence --quick` on all cores, one dial at a time from two seeds.

    Bases of other widths are pretrained shortly, and before the clock runs.
    """
    study = FINDINGS["divergence"].quick().study
    usual, how = 2, study.config
    short = replace(how.pretraining, training=replace(how.pretraining.training, steps=600))
    sizes = {w: Size(width=w, mlp=4 * w) for w in (16, 32, 64)}
    cases: list[tuple[str, int, Config, int]] = [
        *(("seeds", n, how, n) for n in (2, 4, 8)),  # of one alone, arms are spread, not seeds
        *(("biases a seed", b, replace(how, biases=b), usual) for b in (1, 2, 4, 8)),
        *(("lists", n, replace(how, lists=n), usual) for n in (how.lists, 4 * how.lists)),
        *(
            ("students' steps", n, replace(how, student=replace(how.student, steps=n)), usual)
            for n in (how.student.steps, 4 * how.student.steps)
        ),
        *(
            ("width", w, replace(how, pretraining=replace(short, size=size)), usual)
            for w, size in sizes.items()
        ),
    ]
    rows: list[Json] = []
    for number, (name, value, config, count) in enumerate(cases):
        one, seeds = replace(study, config=config), range(count)
        store = Store(folder / str(number))
        for pretraining, seed in missing_bases([one], seeds, store):
            base.load(pretraining, seed, store)
        begun = time.perf_counter()
        one.run(seeds, store)
        rows.append({"what": name, "value": value, "seconds": time.perf_counter() - begun})
        tick()
    return rows
