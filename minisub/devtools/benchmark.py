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
from pathlib import Path
from typing import Any

import torch

from minisub.common.files import Json, MinisubError
from minisub.common.processes import OnProgress, no_progress
from minisub.common.store import Store
from minisub.devtools import costs
from minisub.devtools.peers import BARS, CONTENDERS, MANY
from minisub.devtools.plain_torch import seed_plain
from minisub.experiment.config import Config
from minisub.findings import FINDINGS
from minisub.results.tables import Table

N_ROUNDS = 7


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
    """Return the MiB that this process has had at most; `ru_maxrss` starts at the parent's."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return (int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024


def race(n_rounds: int = N_ROUNDS, on_progress: OnProgress = no_progress) -> Json:
    """Return the seconds a student-step of each contender in each round, and its memory in MiB.

    Args:
        n_rounds: Turns of each contender.
        on_progress: Called after each turn.
    """
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
        for _ in range(n_rounds):
            for name, (_, pipe) in running.items():
                pipe.send(True)
                seconds[name].append(pipe.recv())
                on_progress()
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
    """Return how many times faster `of` is than `to`: median, lowest and highest over the rounds.

    Args:
        seconds: Of each contender in each round.
        of: One contender.
        to: Another.
    """
    each = [b / a for a, b in zip(seconds[of], seconds[to], strict=True)]
    return statistics.median(each), min(each), max(each)


# A whole seed ---------------------------------------------------------------------------------


def seed_ours(store: Store) -> float:
    """Return the seconds for one seed of `divergence` with an empty store, on all cores."""
    begun = time.perf_counter()
    FINDINGS["divergence"].study.run([0], store)
    return time.perf_counter() - begun


def whole_seed(folder: Path, on_progress: OnProgress = no_progress) -> Json:
    """Return the seconds for one seed by minisub, before and after the same in plain torch.

    The mean of both, so that a drift of the machine cancels.

    Args:
        folder: For its stores.
        on_progress: Called after each training in plain torch.
    """
    before = seed_ours(Store(folder / "before"))
    plain = seed_plain(on_progress)
    return {"ours": (before + seed_ours(Store(folder / "after"))) / 2, "plain": plain}


def more_measurements(folder: Path, on_progress: OnProgress = no_progress) -> Json:
    """Return where time goes, how it grows, and a whole seed.

    Args:
        folder: For its stores.
        on_progress: Called after each measurement.
    """
    return {
        "kinds": costs.profile(),
        "steps": costs.growth(on_progress),
        "studies": costs.growth_of_a_study(folder / "studies", on_progress),
        "seeds": whole_seed(folder, on_progress),
    }


# The table --------------------------------------------------------------------------------------


def bench_markdown(found: Json, own: Json, more: Json | None = None) -> str:
    """Return all of it as Markdown.

    Args:
        found: What `race` returned.
        own: What `costs.machine` returned.
        more: What `more_measurements` returned.
    """
    seconds, config = found["seconds"], Config()
    n_ctx, batch_size = config.base.model_config.n_ctx, config.student.batch_size
    head = (
        *("", "ms a student-step", "tokens/s", "GFLOP/s", "of 1024 x 1024", "of own shapes"),
        *("MiB", "the stack is faster"),
    )
    rows = []
    for name, each in seconds.items():
        took = statistics.median(each)
        rate = own["flops"] / took
        mid, low, high = ratios(seconds, MANY, name)
        rows.append(
            (
                name,
                f"{took * 1e3:.2f}",
                f"{batch_size * n_ctx / took:,.0f}",
                f"{rate / 1e9:.1f}",
                f"{rate / own['large']:.0%}",
                f"{rate / own['own']:.0%}",
                f"{found['memory'][name]:.0f}",
                f"{mid:.2f} x [{low:.2f}, {high:.2f}]",
            )
        )
    parts = [
        f"A student-step is one step of one student: {batch_size} lists of {n_ctx} tokens, "
        f"{own['flops'] / 1e6:.0f} MFLOP in matrix products. One thread each, taking turns over "
        f"{len(next(iter(seconds.values())))} rounds. Matrix products on this core: "
        f"{own['large'] / 1e9:.0f} GFLOP/s at 1024 x 1024, {own['own'] / 1e9:.0f} at the model's "
        "own shapes, each alone.",
        Table(head, rows).markdown(),
    ]
    if found["missing"]:
        parts.append(f"Not installed (extra `bench`): {', '.join(found['missing'])}.")
    return "\n\n".join(parts + (_costs(more, own) if more else [])) + "\n"


def _costs(more: Json, own: Json) -> list[str]:
    kinds = [(kind, f"{share:.0%}") for kind, share in more["kinds"].items()]
    steps = [
        (
            f"{row['value']} lists of 5 teachers, written and marked by 9",
            "",
            f"{row['seconds']:.1f} s in all",
        )
        if row["what"] == "lists"
        else (row["what"], str(row["value"]), f"{row['seconds'] * 1e3:.2f}")
        for row in more["steps"]
    ]
    studies = [(r["what"], str(r["value"]), f"{r['seconds']:.1f}") for r in more["studies"]]
    work = costs.work_of_a_seed([finding.study for finding in FINDINGS.values()])
    seeds = more["seeds"]
    return [
        Table(
            ("a step of the stack without the kernel, by what torch does in it", "share"), kinds
        ).markdown(),
        Table(("grows with", "", "ms a student-step"), steps).markdown(),
        Table(("the study of `divergence --quick` grows with", "", "s"), studies).markdown(),
        f"One seed of all findings trains {work['students']} students in {work['steps']:,} "
        f"student-steps, at most {work['flops'] / 1e12:.1f} TFLOP in matrix products: "
        f"{work['flops'] / own['own'] / 60:.1f} minutes of a core at the speed that these reach "
        "alone.",
        f"One seed of `divergence`, everything but its base: {seeds['ours']:.0f} s; written "
        f"in plain torch: {seeds['plain']:.0f} s, {seeds['plain'] / seeds['ours']:.2f} times "
        "as long (both with all cores).",
    ]


def judged(found: Json, own: Json, more: Json | None = None) -> list[tuple[str, float, float]]:
    """Return what minisub must reach: a sentence, the ratio, and the bar.

    Args:
        found: What `race` returned.
        own: What `costs.machine` returned.
        more: What `more_measurements` returned.
    """
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
            ("a seed of divergence against plain torch", seeds["plain"] / seeds["ours"], 6.0)
        )
    return rows
