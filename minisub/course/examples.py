"""The stored examples of the course: on every page a student that was trained before.

`python -m minisub.course.examples` trains them again, in less than a minute.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from minisub.common.files import Json, write_file
from minisub.common.provenance import commit, versions
from minisub.common.store import Store
from minisub.course.inside import annotate_lists
from minisub.course.live import train_student
from minisub.course.recording import EXAMPLES
from minisub.experiment.config import Config, with_overrides
from minisub.experiment.seed_lab import SeedLab
from minisub.findings import every_finding

SEED, N_LISTS = 0, 10
PAGES = {  # the finding and the arm of each page's example
    "00": ("divergence", "all"),
    "01": ("divergence", "without divergence"),
    "02": ("leakage", "all"),
    "03": ("layers", "block 0"),
    "04": ("paraphrase", "paraphrase"),
    "05": ("misalignment", "all"),
    "06": ("limits", "rank 1"),
    "07": ("prediction", "divergence only"),
    "13": ("rank", "rank 4, rate x4"),
}


def make_example(page: str, store: Store) -> Json:
    """Train the example of a page: the student of the first bias, seed 0.

    Args:
        page: Its number.
        store: Where teachers and lists are kept.
    """
    finding, name = PAGES[page]
    asked = every_finding()[finding]
    arm = next(arm for arm in asked.arms if arm.name == name)
    config = with_overrides(asked.config, arm.overrides)
    if page == "00":
        config = Config()
    lab = SeedLab(config, SEED, store, [0])
    made: Json = {"finding": finding, "recording": train_student(lab, arm).recording.to_json()}
    if page == "00":
        lists = lab.marked_lists(arm.is_sampled).first_rows(N_LISTS)
        made["lists"] = annotate_lists(lab.teachers, lists, 0, 0)
    return made


def main(out: Path = EXAMPLES) -> None:
    """Train all examples and write them.

    Args:
        out: The file.
    """
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        pages = {page: make_example(page, Store(folder)) for page in PAGES}
    content = {"provenance": {"commit": commit(), **versions()}, "pages": pages}
    write_file(out, json.dumps(content, ensure_ascii=False, allow_nan=False).encode())


if __name__ == "__main__":
    main()
