"""Every code block in the README and in docs/ runs, on a small world; the reference is current."""

import io
import re
import shlex
import tomllib
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from conftest import stop_before_work

import minisub
from minisub.cli import main as cli
from minisub.common.store import Store
from minisub.experiment import study
from minisub.experiment.arm import Arm
from minisub.experiment.check import check
from minisub.experiment.config import Config
from minisub.experiment.pipeline import subliminal_learning
from minisub.findings import FINDINGS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    (f"{page.name}:{page.read_text()[: found.start()].count(chr(10)) + 1}", found[1], found[2])
    for page in PAGES
    for found in re.finditer(r"(?ms)^```(\w*)\n(.*?)^```$", page.read_text())
]


def of(*kinds: str) -> list[Any]:
    return [pytest.param(text, id=where) for where, kind, text in BLOCKS if kind in kinds]


def test_every_block_says_what_it_is() -> None:
    assert {kind for _, kind, _ in BLOCKS} == {"python", "sh", ""}
    assert len(of("python")) >= 5
    assert len(of("sh")) >= 8


@pytest.mark.parametrize("text", of("python"))
def test_python_runs(
    text: str, tiny: Config, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it stands, but for the world, which is small, and the seeds, which are two others."""

    def small(arms: Sequence[Arm], config: Config | None = None) -> study.Study:
        return study.Study(arms, tiny)

    monkeypatch.setenv("MINISUB_STORE", str(store.folder))
    monkeypatch.setattr(minisub, "Study", small, raising=False)
    tiny_pipeline = partial(subliminal_learning, config=tiny)
    monkeypatch.setattr(minisub, "subliminal_learning", tiny_pipeline, raising=False)
    tiny_check = partial(check, config=tiny, seeds=[100, 101], workers=1)
    monkeypatch.setattr(minisub, "check", tiny_check, raising=False)
    monkeypatch.setitem(FINDINGS, "shuffle", replace(FINDINGS["shuffle"], config=tiny))
    names = {"__name__": "block", "range": lambda *_: [100, 101]}
    with redirect_stdout(io.StringIO()):
        exec(compile(text, "block", "exec"), names)


def lines(text: str) -> list[str]:
    """Commands of a shell block, without comments; `a && b` is two."""
    joined = re.sub(r"\\\n", " ", text)
    return [
        part.strip()
        for line in joined.splitlines()
        for part in re.sub(r"(?:^|\s)#.*|\s&\s*$", "", line).split("&&")
        if part.strip()
    ]


KNOWN = (
    *("python3 -m venv .venv", ". .venv/bin/activate", "pip install -c constraints.txt -e "),
    *("pytest", "ruff ", "mypy", "marimo check ", "dask ", "python -m http.server "),
)


@pytest.mark.parametrize("text", of("sh"))
def test_shell_commands_are_real(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command of minisub's is taken, up to the work itself, which other tests do."""

    class Would(Exception):
        pass

    def stop(*_: object) -> None:
        raise Would

    stop_before_work(monkeypatch, Would())
    monkeypatch.setattr("minisub.experiment.sweep.dask_cluster", stop)
    monkeypatch.setenv("MINISUB_STORE", str(tmp_path))
    (tmp_path / "my_arm.py").write_text("def mask(lists):\n    return lists.position == 0\n")
    commands = lines(text)
    assert commands
    for command in commands:
        words = shlex.split(command)
        if words[0] != "minisub":
            assert command.startswith(KNOWN), command
            continue
        monkeypatch.chdir(ROOT if "docs/" in command else tmp_path)
        args = [w.replace("/shared/minisub", str(tmp_path)) for w in words[1:]]
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            try:
                status = cli.main(args)
            except Would:
                status = 0
            except SystemExit as stop:  # of --help and the like
                status = stop.code or 0
        assert status == 0, f"{command}: {said.getvalue()}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text())
    missing = [t for t in targets if not (page.parent / t).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_inline_commands_are_real(page: Path) -> None:
    """`minisub ...` in a sentence names a command and options that there are."""
    said = re.findall(r"`(minisub [^`]+)`", re.sub(r"(?s)```.*?```", "", page.read_text()))
    for command in said:
        words = shlex.split(command.replace("...", ""))[1:]
        known = {
            "list",
            "run",
            "check",
            "reproduce",
            "sweep",
            "app",
            "rates",
            "export",
            "handout",
            "calibrate",
            "bench",
            "bases",
        }
        assert words[0] in known | {"--version", "--tyro-print-completion"}, command
        helped = io.StringIO()
        with redirect_stdout(helped), pytest.raises(SystemExit):
            cli.main([words[0], "--help"] if words[0] in known else ["--help"])
        for option in (w for w in words[1:] if w.startswith("--")):
            assert re.search(rf"(?<![\w-]){option}(?![\w-])", helped.getvalue()), command


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_files_modules_markers_and_extras_of_commands_are_there(page: Path) -> None:
    """Of `python ...`, `pytest ...` and `pip install ...`, in sentences and in blocks."""
    markers = {
        text.partition(":")[0] for text in PROJECT["tool"]["pytest"]["ini_options"]["markers"]
    }
    for command in commands_of_others(page.read_text()):
        words = shlex.split(command.replace("\n", " "))
        for before, word in pairwise(words):
            if before == "-m" and words[0] == "pytest":
                assert word in markers, command
            elif before == "-m":
                assert find_spec(word), command
            elif word.endswith(".py") and words[0] in ("python", "pytest"):
                assert (ROOT / word).exists(), command
        for extras in re.findall(r"\.\[([\w,]+)\]", command):
            assert set(extras.split(",")) <= set(PROJECT["project"]["optional-dependencies"]), (
                command
            )


def commands_of_others(page: str) -> list[str]:
    inline = re.findall(r"`([^`]+)`", re.sub(r"(?s)```.*?```", "", page))
    blocks = [line for text in re.findall(r"(?ms)^```sh\n(.*?)^```$", page) for line in lines(text)]
    return [text for text in (*inline, *blocks) if re.match(r"(python|python3|pytest|pip) ", text)]


def test_commands_of_others_are_found() -> None:
    found = [command for page in PAGES for command in commands_of_others(page.read_text())]
    assert sum(command.startswith("pytest -m ") for command in found) > 5
    assert sum(command.startswith("python tests/") for command in found) > 2
    assert sum(command.startswith("python -m minisub.") for command in found) > 2
    assert sum("'.[" in command for command in found) > 4


def test_every_known_beginning_is_used() -> None:
    said = [command for text in of("sh") for command in lines(text.values[0])]
    assert not [start for start in KNOWN if not any(c.startswith(start) for c in said)]
