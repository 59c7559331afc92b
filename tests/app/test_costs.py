"""What the most that a visitor may ask for costs the server (`pytest -s -m soak -k costs`)."""

import resource
import time
from dataclasses import replace
from pathlib import Path

import pytest

from minisub.course import limits
from minisub.course.course_store import CourseStore
from minisub.course.live import train_student
from minisub.experiment.arm import Arm
from minisub.experiment.config import Config, with_overrides
from minisub.experiment.seed_lab import SeedLab
from minisub.experiment.study import Study

MOST_SECONDS, MOST_BYTES, MOST_MEMORY = 60, 20e6, 1.5e9  # of one request, on one core


@pytest.mark.soak
@pytest.mark.parametrize("what", ["one student", "a study"])
def test_what_one_request_costs_is_bounded(what: str, tmp_path: Path) -> None:
    config = limits.check_limits(with_overrides(Config(), limits.MAXIMA))
    store = CourseStore(tmp_path)
    before, began = time.process_time(), time.monotonic()
    if what == "one student":
        lab = SeedLab(config, 0, store, [0])
        train_student(lab, Arm("all"))
        lab.marked_lists()
    else:
        seeds = range(limits.MAX_SEEDS_PER_VISITOR)
        Study([Arm("all")], replace(config, biases_per_seed=2)).run(seeds, store, 1)
    spent, took = time.process_time() - before, time.monotonic() - began
    written = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{what}: {spent:.0f} CPU-seconds in {took:.0f} s, {written / 1e6:.1f} MB written, "
          f"{memory / 1e9:.2f} GB of memory")  # fmt: skip
    of = 1 if what == "one student" else limits.MAX_SEEDS_PER_VISITOR
    assert spent < MOST_SECONDS * of
    assert written < MOST_BYTES * of
    assert memory < MOST_MEMORY
