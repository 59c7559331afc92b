"""How fast minisub is, beside the same work in plain torch and in well-known libraries.

Each contender lives in a process of its own with one thread, and they take turns, so that what the
machine does meanwhile meets all of them.
"""

import importlib.util
import multiprocessing as mp
import os
import re
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from minisub.arm import Config, changed
from minisub.findings import FINDINGS
from minisub.model import Shape, Size
from minisub.peers import BARS, CONTENDERS, MANY, ours, seed_plain
from minisub.store import Json, MinisubError, Store, digest
from minisub.study import Study

ROUNDS = 7


def _contend(name: str, turns: Any) -> None:
    torch.set_num_threads(1)
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115  (some of them like to talk)
    _, make, count = CONTENDERS[name]
    steps = make()
    steps(3)  # what is made at the first step is not timed
    turns.send(None)
    while turns.recv():
        turns.send(steps(count))
    turns.send(_peak())


def _peak() -> float:
    """MiB that this process has had at most; `ru_maxrss` of a child starts at its parent's."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return (int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024


def race(rounds: int = ROUNDS, tick: Callable[[], object] = lambda: None) -> Json:
    """Seconds a student-step of each contender in each round, and each one's memory in MiB."""
    there = [
        name
        for name, (needs, _, _) in CONTENDERS.items()
        if all(map(importlib.util.find_spec, needs))
    ]
    context, running = mp.get_context("spawn"), {}
    for name in there:
        here, away = context.Pipe()
        process = context.Process(target=_contend, args=(name, away), daemon=True)
        process.start()
        away.close()
        running[name] = process, here
    seconds: dict[str, list[float]] = {name: [] for name in there}
    memory = {}
    try:
        for _, pipe in running.values():
            pipe.recv()
        for _ in range(rounds):
            for name, (_, pipe) in running.items():
                pipe.send(True)
                seconds[name].append(pipe.recv())
                tick()
        for name, (process, pipe) in running.items():
            pipe.send(False)
            memory[name] = pipe.recv()
            process.join()
    except (EOFError, OSError):
        raise MinisubError("a contender ended before its time; see above") from None
    finally:
        for process, _ in running.values():
            process.kill()
    missing = [n for n in CONTENDERS if n not in there]
    return {"seconds": seconds, "memory": memory, "missing": missing}


def ratios(seconds: dict[str, list[float]], of: str, to: str) -> tuple[float, float, float]:
    """How many times faster `of` is than `to`: median, lowest and highest over the rounds."""
    each = [b / a for a, b in zip(seconds[of], seconds[to], strict=True)]
    return statistics.median(each), min(each), max(each)


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
            for unit in {arm.mask: arm, None: replace(arm, mask=None)}.values():
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
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    how = Config()
    shape, batch = how.pretraining.shape, how.student.batch
    own = list(products(shape, batch, how.pretraining.world.completion))
    alone = sum(2 * c * m * k * n / _rate(c, m, k, n) for c, m, k, n in own)
    large = _rate(1, 1024, 1024, 1024, 0.5)
    torch.set_num_threads(threads)
    work = flops(shape, batch, how.pretraining.world.completion)
    return {"large": large, "own": work / alone, "flops": work}


def growth(tick: Callable[[], object] = lambda: None) -> list[Json]:
    """How time grows, one thread: seconds a student-step, or for writing and marking lists."""
    from minisub.data import write_lists
    from minisub.divergence import mark
    from minisub.lab import Lab

    threads, rows = torch.get_num_threads(), []
    torch.set_num_threads(1)
    cases: list[tuple[str, object, int, Size | None, str]] = [
        *(("members", m, m, None, "blocks.") for m in (1, 4, 16, 64, 256)),
        *(("width", w, 4, Size(width=w, mlp=2 * w), "blocks.") for w in (16, 32, 64, 128)),
        *(("depth", d, 4, Size(depth=d), "blocks.") for d in (2, 4, 8, 12)),
        *(("trained alone", t, 4, None, t) for t in ("blocks.0.", "blocks.1.", "blocks.3.", "W_U")),
    ]
    for name, value, members, size, trains in cases:
        steps = ours(members, size, trains)
        steps(2)
        rows.append(
            {
                "what": name,
                "value": value,
                "seconds": steps(320 if trains != "blocks." else max(3, 40 // members)),
            }
        )
        tick()
    lab = Lab(Config(), 0, Store.default())
    _ = lab.teachers  # made before the clock runs
    for count in (1000, 4000, 16000, 64000):
        begun = time.perf_counter()
        mark(lab.teachers, write_lists(lab.teachers, lab.biases, count, 0))
        rows.append({"what": "lists", "value": count, "seconds": time.perf_counter() - begun})
        tick()
    torch.set_num_threads(threads)
    return rows


# A whole seed ---------------------------------------------------------------------------------


def seed_ours(store: Store) -> float:
    """Seconds for one seed of `divergence` with an empty store, on all cores."""
    begun = time.perf_counter()
    FINDINGS["divergence"].study.run([0], store)
    return time.perf_counter() - begun


def whole_seed(folder: Path, tick: Callable[[], object] = lambda: None) -> Json:
    """Seconds for one seed by minisub, before and after the same in plain torch: drift cancels."""
    before = seed_ours(Store(folder / "before"))
    plain = seed_plain(tick)
    return {"ours": (before + seed_ours(Store(folder / "after"))) / 2, "plain": plain}


# The table --------------------------------------------------------------------------------------


def markdown(found: Json, own: Json, grown: list[Json], seeds: Json | None) -> str:
    """All of it as tables."""
    seconds, how = found["seconds"], Config()
    tokens = how.student.batch * how.pretraining.shape.context
    lines = [
        f"A student-step is one step of one student: {how.student.batch} lists of "
        f"{how.pretraining.shape.context} tokens, {own['flops'] / 1e6:.0f} MFLOP in matrix "
        f"products. One thread each, taking turns over {len(next(iter(seconds.values())))} rounds. "
        f"Matrix products on this core: {own['large'] / 1e9:.0f} GFLOP/s at 1024 x 1024, "
        f"{own['own'] / 1e9:.0f} at the model's own shapes, each alone.",
        "",
        "| | ms a student-step | tokens/s | GFLOP/s | of own shapes | MiB | the stack is faster |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, each in seconds.items():
        took = statistics.median(each)
        rate = own["flops"] / took
        mid, low, high = ratios(seconds, MANY, name)
        lines.append(
            f"| {name} | {took * 1e3:.2f} | {tokens / took:,.0f} | {rate / 1e9:.1f} "
            f"| {rate / own['own']:.0%} | {found['memory'][name]:.0f} "
            f"| {mid:.2f} x [{low:.2f}, {high:.2f}] |"
        )
    if found["missing"]:
        lines += ["", f"Not installed (extra `bench`): {', '.join(found['missing'])}."]
    if grown:
        lines += ["", "| grows with | | ms a student-step |", "|---|---|---|"]
        for row in grown:
            if row["what"] == "lists":
                what = f"| {row['value']} lists of 5 teachers, written and marked by 9 | |"
                lines.append(f"{what} {row['seconds']:.1f} s in all |")
            else:
                lines.append(f"| {row['what']} | {row['value']} | {row['seconds'] * 1e3:.2f} |")
    if grown:
        whole = everything([finding.study for finding in FINDINGS.values()])
        alone = whole["flops"] / own["own"] / 60
        lines += [
            "",
            f"One seed of all findings trains {whole['students']} students in {whole['steps']:,} "
            f"student-steps, at most {whole['flops'] / 1e12:.1f} TFLOP in matrix products: "
            f"{alone:.1f} minutes of a core at the speed that these reach alone.",
        ]
    if seeds:
        lines += [
            "",
            f"One seed of `divergence`, everything but its base: {seeds['ours']:.0f} s; written "
            f"in plain torch: {seeds['plain']:.0f} s, {seeds['plain'] / seeds['ours']:.2f} times "
            "as long (both with all cores).",
        ]
    return "\n".join(lines) + "\n"


def judged(found: Json, own: Json, seeds: Json | None) -> list[tuple[str, float, float]]:
    """What minisub must reach: a sentence, the ratio, and the bar."""
    rows = [
        (f"{of} against {to}", ratios(found["seconds"], of, to)[0], bar)
        for of, bars in BARS.items()
        for to, bar in bars.items()
        if to in found["seconds"]
    ]
    rate = own["flops"] / statistics.median(found["seconds"][MANY])
    rows.append((f"{MANY} against its matrix products, alone", rate / own["own"], 0.35))
    if seeds:
        rows.append(
            ("a seed of divergence against plain torch", seeds["plain"] / seeds["ours"], 4.0)
        )
    return rows
