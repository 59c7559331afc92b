"""A class at once: minutes of a browser with thirty pages."""

import re
import subprocess
import time
from pathlib import Path

import pytest
from test_browser import CHROMIUM, TRAIN, Visitor, serving

from minisub.common.store import Store
from minisub.course import live, playground
from minisub.experiment.config import Config
from minisub.experiment.seed_lab import SeedLab
from minisub.world.world import ANIMALS


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
@pytest.mark.soak
def test_thirty_visitors_at_once_half_of_them_training(tmp_path: Path) -> None:
    """Each gets the number that it would get alone; who waits has a place; memory is bounded."""
    wishes = [(animal, seed) for seed in ("0", "1") for animal in ("owl", "cat", "dog")][:5]
    places, told = set[int](), dict[int, float]()
    with serving(tmp_path) as (address, server):
        first = Visitor(address)
        try:
            pages = [first.page, *(first.browser.new_page() for _ in range(29))]
            for page in pages:
                page.goto(f"{address}?file=00_playground.py", wait_until="commit")
            # A page in the background draws nothing, so it is asked, not waited for.
            deadline = time.monotonic() + 400
            while any(page.get_by_test_id(TRAIN).count() == 0 for page in pages):
                assert time.monotonic() < deadline
                time.sleep(1)
            before = memory(server.pid)
            for i, page in enumerate(pages[:15]):
                animal, seed = wishes[i % len(wishes)]
                page.bring_to_front()
                page.get_by_label("likes the").select_option(animal)
                page.get_by_label("seed", exact=True).select_option(seed)
            pages[0].wait_for_timeout(2000)
            for page in pages[:15]:
                page.bring_to_front()
                page.get_by_test_id(TRAIN).click()
            deadline = time.monotonic() + 400
            while len(told) < 15:
                assert time.monotonic() < deadline
                for i in {*range(15)} - {*told}:
                    text = pages[i].inner_text("body")
                    waits = pages[i].locator("text=/place \\d+ in the queue/").all_inner_texts()
                    places |= {int(n) for n in re.findall(r"place (\d+)", " ".join(waits))}
                    found = re.search(r"([+-]\d+\.\d+) nats(?:\.|: not more than)", text)
                    if found and "An example, trained before" not in text:
                        told[i] = float(found[1])
            grown = memory(server.pid) - before
        finally:
            first.close()
    print(f"{len(told)} trained; places {sorted(places)}; {before} MB, then {grown} MB more")
    assert len(told) == 15
    assert max(places) > 5, "the queue says its places"
    assert grown < 1500
    for first_one, (animal, seed) in enumerate(wishes):
        request = {**playground.DEFAULT, "bias": animal, "seed": int(seed)}
        arm, config = playground.experiment(request, Config())
        lab = SeedLab(config, int(seed), Store(tmp_path), [ANIMALS.index(animal)])
        alone = live.train_student(lab, arm).recording.transfer
        for i in range(first_one, 15, 5):
            assert told[i] == pytest.approx(alone, abs=0.0051)


def memory(pid: int) -> int:
    """Return the resident memory of a process and its children, in MB."""
    told = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,rss="], capture_output=True, text=True)
    rows = [tuple(map(int, line.split())) for line in told.stdout.splitlines()]
    family, more = {pid}, {pid}
    while more:
        more = {p for p, parent, _ in rows if parent in family} - family
        family |= more
    return sum(rss for p, _, rss in rows if p in family) // 1024
