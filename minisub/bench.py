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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from minisub import costs
from minisub.arm import Config
from minisub.findings import FINDINGS
from minisub.peers import BARS, CONTENDERS, MANY, seed_plain
from minisub.store import Json, MinisubError, Store

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


def beside(folder: Path, tick: Callable[[], object] = lambda: None) -> Json:
    """What is told beside the race: where time goes, how it grows, a whole seed."""
    return {
        "kinds": costs.profiled(),
        "steps": costs.growth(tick),
        "studies": costs.whole(folder / "studies", tick),
        "seeds": whole_seed(folder, tick),
    }


# The table --------------------------------------------------------------------------------------


def markdown(found: Json, own: Json, more: Json | None = None) -> str:
    """All of it as tables. `more`: what `beside` found."""
    seconds, how = found["seconds"], Config()
    tokens = how.student.batch * how.pretraining.shape.context
    lines = [
        f"A student-step is one step of one student: {how.student.batch} lists of "
        f"{how.pretraining.shape.context} tokens, {own['flops'] / 1e6:.0f} MFLOP in matrix "
        f"products. One thread each, taking turns over {len(next(iter(seconds.values())))} rounds. "
        f"Matrix products on this core: {own['large'] / 1e9:.0f} GFLOP/s at 1024 x 1024, "
        f"{own['own'] / 1e9:.0f} at the model's own shapes, each alone.",
        "",
        "| | ms a student-step | tokens/s | GFLOP/s | of 1024 x 1024 | of own shapes | MiB "
        "| the stack is faster |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, each in seconds.items():
        took = statistics.median(each)
        rate = own["flops"] / took
        mid, low, high = ratios(seconds, MANY, name)
        lines.append(
            f"| {name} | {took * 1e3:.2f} | {tokens / took:,.0f} | {rate / 1e9:.1f} "
            f"| {rate / own['large']:.0%} | {rate / own['own']:.0%} | {found['memory'][name]:.0f} "
            f"| {mid:.2f} x [{low:.2f}, {high:.2f}] |"
        )
    if found["missing"]:
        lines += ["", f"Not installed (extra `bench`): {', '.join(found['missing'])}."]
    return "\n".join(lines + (_costs(more, own) if more else [])) + "\n"


def _costs(more: Json, own: Json) -> list[str]:
    lines = ["", "| a step of the stack, by what torch does in it | share |", "|---|---|"]
    lines += [f"| {kind} | {share:.0%} |" for kind, share in more["kinds"].items()]
    lines += ["", "| grows with | | ms a student-step |", "|---|---|---|"]
    for row in more["steps"]:
        if row["what"] == "lists":
            what = f"| {row['value']} lists of 5 teachers, written and marked by 9 | |"
            lines.append(f"{what} {row['seconds']:.1f} s in all |")
        else:
            lines.append(f"| {row['what']} | {row['value']} | {row['seconds'] * 1e3:.2f} |")
    lines += ["", "| the study of `divergence --quick` grows with | | s |", "|---|---|---|"]
    lines += [f"| {r['what']} | {r['value']} | {r['seconds']:.1f} |" for r in more["studies"]]
    whole = costs.everything([finding.study for finding in FINDINGS.values()])
    seeds = more["seeds"]
    return [
        *lines,
        "",
        f"One seed of all findings trains {whole['students']} students in {whole['steps']:,} "
        f"student-steps, at most {whole['flops'] / 1e12:.1f} TFLOP in matrix products: "
        f"{whole['flops'] / own['own'] / 60:.1f} minutes of a core at the speed that these reach "
        "alone.",
        "",
        f"One seed of `divergence`, everything but its base: {seeds['ours']:.0f} s; written "
        f"in plain torch: {seeds['plain']:.0f} s, {seeds['plain'] / seeds['ours']:.2f} times "
        "as long (both with all cores).",
    ]


def judged(found: Json, own: Json, more: Json | None = None) -> list[tuple[str, float, float]]:
    """What minisub must reach: a sentence, the ratio, and the bar."""
    rows = [
        (f"{of} against {to}", ratios(found["seconds"], of, to)[0], bar)
        for of, bars in BARS.items()
        for to, bar in bars.items()
        if to in found["seconds"]
    ]
    rate = own["flops"] / statistics.median(found["seconds"][MANY])
    rows.append((f"{MANY} against its matrix products, alone", rate / own["own"], 0.35))
    if more:
        seeds = more["seeds"]
        rows.append(
            ("a seed of divergence against plain torch", seeds["plain"] / seeds["ours"], 4.0)
        )
    return rows
