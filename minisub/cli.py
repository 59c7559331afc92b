"""The command line: `minisub list`, `run`, `reproduce`, `app`, `export`, `bases`."""

import contextlib
import functools
import io
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tqdm import tqdm

from minisub import plots
from minisub.result import Result
from minisub.store import Json, MinisubError, Store, write
from minisub.tables import arm_table, claim_table, teacher_table


@dataclass(frozen=True)
class List:
    """Name the findings, each with its claim in one line."""


@dataclass(frozen=True)
class Run:
    """Run one finding; print its table of arms and its table of claims."""

    finding: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FINDING")]
    """A finding out of `minisub list`."""
    seeds: str = "0:8"
    """A:B, the seeds A to B-1. One without a bundled base is pretrained on the spot."""
    quick: bool = False
    """A first look: two of the seeds, half the lists, steps and biases."""
    json: Path | None = None
    """Write the result to this file."""
    plot: Path | None = None
    """Draw the finding's figure into this file, .svg or .png."""
    workers: int = 0
    """Processes of one thread each; 0 for one a core."""
    device: str = "cpu"
    """Where models are trained: cpu, cuda, cuda:1 or mps. The data are the same on every device."""
    store: Path | None = None
    """Where bases, teachers and students are kept; default: $MINISUB_STORE or the user cache."""


@dataclass(frozen=True)
class Reproduce:
    """Run all findings: a table of claims, and in --out the report, figures and results."""

    seeds: str = "0:8"
    """A:B, the seeds A to B-1."""
    quick: bool = False
    """A first look: two of the seeds, two biases each, half the lists and steps."""
    out: Path = Path("minisub-out")
    """The folder for the report (one HTML file), the figures and the results."""
    workers: int = 0
    """Processes of one thread each; 0 for one a core."""
    device: str = "cpu"
    """Where models are trained: cpu, cuda, cuda:1 or mps. The data are the same on every device."""
    store: Path | None = None
    """Where bases, teachers and students are kept."""


@dataclass(frozen=True)
class App:
    """Serve the course's notebooks on this machine: a gallery, or one of them."""

    notebook: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NOTEBOOK")] = ""
    """Its number, such as 03; without one, all of them."""
    host: str = "127.0.0.1"
    """Who may come: this machine only by default."""
    port: int = 2718
    """The port to listen at."""
    headless: bool = False
    """Do not open a browser."""
    edit: bool = False
    """Open the one notebook with its code, to change it."""


@dataclass(frozen=True)
class Export:
    """Write the course as static HTML with all outputs, and an index page."""

    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """The folder."""
    offline: bool = False
    """Copy marimo's front end (28 MB) too: pages that need a web server, but not the net."""


@dataclass(frozen=True)
class Bases:
    """Pretrain bases that come with the package and write them with their sidecars."""

    seeds: str = "0:9"
    """A:B, the seeds A to B-1."""
    set: str = "base"
    """Which: "base" for the default ones, or those that a single finding needs."""
    out: Path = Path("minisub-bases")
    """The folder; minisub's own is minisub/bundled."""
    workers: int = 0
    """Processes of one thread each; 0 for one a core."""


Command = (
    Annotated[List, tyro.conf.subcommand("list")]
    | Annotated[Run, tyro.conf.subcommand("run")]
    | Annotated[Reproduce, tyro.conf.subcommand("reproduce")]
    | Annotated[App, tyro.conf.subcommand("app")]
    | Annotated[Export, tyro.conf.subcommand("export")]
    | Annotated[Bases, tyro.conf.subcommand("bases")]
)


def main(args: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 for what the user can mend, said in one line on stderr."""
    try:
        command = _parse(args)
        if isinstance(command, List):
            return _list()
        if isinstance(command, Run):
            return _run(command)
        if isinstance(command, Reproduce):
            return _reproduce(command)
        if isinstance(command, App):
            return _app(command)
        if isinstance(command, Export):
            return _export(command)
        return _bases(command)
    except MinisubError as error:
        print(f"minisub: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("minisub: stopped; what is done is kept, the same command goes on", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `minisub list | head -1` is no error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parse(args: Sequence[str] | None) -> "List | Run | Reproduce | App | Export | Bases":
    """tyro's answer, with its boxed errors told in one line."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(
                Command,
                prog="minisub",
                description="A laboratory for subliminal learning that fits on a laptop.",
                args=args,
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        plain = re.sub(r"\x1b\[[0-9;]*m|[^\x00-\x7f]|-{4,}", " ", said.getvalue())
        line = " ".join(plain.split()).split(" For full helptext")[0]
        line = re.sub(r" Argument helptext:.*|(?<=Perhaps you meant: )(\S+) .*", r" \1", line)
        for heading in ("Parsing error", "Value error", "Missing argument", "Missing subcommand"):
            line = line.removeprefix(heading + " ")
        raise MinisubError(" ".join(line.split())) from None


def seed_range(text: str, quick: bool = False) -> list[int]:
    """The seeds of "A:B"; MinisubError for anything else."""
    found = re.fullmatch(r"(\d{1,9}):(\d{1,9})", text)
    first, last = (int(found[1]), int(found[2])) if found else (0, 0)
    if first >= last:
        raise MinisubError(f"--seeds is {text!r}, allowed: A:B with 0 <= A < B, such as 0:8")
    return list(range(first, min(last, first + 2) if quick else last))


def _workers(count: int) -> int | None:
    if count < 0:
        raise MinisubError(f"--workers is {count}, allowed: 0 (one a core) and more")
    return count or None


def _device(name: str) -> str:
    import torch

    kind = name.partition(":")[0]
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(kind) or not re.fullmatch(r"\w+(:\d)?", name):
        known = ", ".join(k for k, here in there.items() if here)
        raise MinisubError(f"--device is {name!r}, allowed on this machine: {known}")
    return name


def _writable(option: str, folder: Path) -> None:
    """Fail before the work, not after it."""
    probe = folder / ".minisub-probe"
    try:
        write(probe, b"")
        probe.unlink()
    except (MinisubError, OSError) as error:
        reason = str(error).rpartition(": ")[2]
        raise MinisubError(
            f"{option} is {folder}, allowed: a folder to write to ({reason})"
        ) from None


def _store(folder: Path | None) -> Store:
    store = Store(folder) if folder else Store.default()
    _writable("--store", store.folder)
    return store


def _list() -> int:
    from minisub.findings import FINDINGS

    for finding in FINDINGS.values():
        print(f"{finding.name:12s} {finding.statement}")
    return 0


def _say_bases(seeds: Sequence[int]) -> None:
    from minisub import base

    how = base.Pretraining()
    missing = [s for s in range(min(seeds), max(seeds) + 2) if not base.bundled_as(how, s)]
    if missing:
        told = ", ".join(map(str, missing[:6])) + (", ..." if len(missing) > 6 else "")
        print(
            f"No base is bundled for seed {told}: pretrained on the spot, about two minutes each "
            "(and as much again for each other world a finding needs), unless the store has it.",
            file=sys.stderr,
        )


def _perform(
    names: Sequence[str],
    seeds: list[int],
    quick: bool,
    store: Store,
    workers: int | None,
    device: str,
) -> list[Result]:
    from minisub.findings import FINDINGS, run

    findings = [FINDINGS[name].quick() if quick else FINDINGS[name] for name in names]
    if quick:
        print(
            "A quick look: two seeds, half the lists, steps and biases. Claims are judged as "
            "always; most need the full run to be decided.",
            file=sys.stderr,
        )
    arms = len(seeds) * sum(len(finding.arms) for finding in findings)
    what = names[0] if len(names) == 1 else "reproduce"
    with tqdm(total=arms, desc=what, unit="arm", leave=False) as bar:
        return run(findings, seeds, store, workers, lambda: bar.update() and None, device)


def _run(command: Run) -> int:
    from minisub.findings import FINDINGS

    seeds, workers = seed_range(command.seeds, command.quick), _workers(command.workers)
    device = _device(command.device)
    if command.finding not in FINDINGS:
        raise MinisubError(f"FINDING is {command.finding!r}, allowed: {', '.join(FINDINGS)}")
    for option, path in (("--json", command.json), ("--plot", command.plot)):
        if path and path.is_dir():
            raise MinisubError(f"{option} is {path}, allowed: a file, not a folder")
        if path:
            _writable(option, path.parent)
    kind = command.plot.suffix[1:] if command.plot else "svg"
    if kind not in ("svg", "png"):
        raise MinisubError(f"--plot is {command.plot}, allowed: a name that ends in .svg or .png")
    store = _store(command.store)
    _say_bases(seeds)
    [result] = _perform([command.finding], seeds, command.quick, store, workers, device)
    print(teacher_table(result), arm_table(result), claim_table([result]), sep="\n\n")
    if command.json:
        result.write(command.json)
    if command.plot:
        write(command.plot, plots.image(FINDINGS[result.finding].plot(result), kind))
    return 0


def _reproduce(command: Reproduce) -> int:
    from minisub import report
    from minisub.findings import FINDINGS

    seeds, workers = seed_range(command.seeds, command.quick), _workers(command.workers)
    device = _device(command.device)
    _writable("--out", command.out)
    store = _store(command.store)
    _say_bases(seeds)
    results = _perform(list(FINDINGS), seeds, command.quick, store, workers, device)
    for result in results:
        name, figure = result.finding, FINDINGS[result.finding].plot(result)
        result.write(command.out / f"{name}.json")
        write(command.out / f"{name}.svg", plots.image(figure, "svg"))
        print(arm_table(result), end="\n\n")
    said = f"minisub reproduce --seeds {command.seeds}{' --quick' if command.quick else ''}"
    for file, text in (
        ("report.html", report.page(results, said)),
        ("results.md", report.markdown(results, said)),
    ):
        write(command.out / file, text.encode())
    told = f"The report is {command.out / 'report.html'}"
    print(teacher_table(results[0]), claim_table(results), told, sep="\n\n")
    return 0


def _app(command: App) -> int:
    from minisub import gallery

    if not 0 < command.port < 65536:
        raise MinisubError(f"--port is {command.port}, allowed: 1 to 65535")
    if command.edit and not command.notebook:
        raise MinisubError("--edit needs a NOTEBOOK, such as 08")
    where = (command.host, command.port, not command.headless)
    return gallery.serve(command.notebook, *where, command.edit)


def _export(command: Export) -> int:
    from minisub import gallery

    _writable("DIR", command.out)
    print(f"The course is {gallery.export(command.out, command.offline)[-1]}")
    return 0


def _bases(command: Bases) -> int:
    from minisub import base, pool

    seeds, workers = seed_range(command.seeds), _workers(command.workers)
    _writable("--out", command.out)
    if command.set not in base.SETS:
        raise MinisubError(f"--set is {command.set!r}, allowed: {', '.join(base.SETS)}")
    with tqdm(total=len(seeds), desc="bases", unit="base") as bar:
        job = functools.partial(base.bundle, command.set, command.out)
        for about in pool.run(job, seeds, workers, lambda: bar.update() and None):
            held_out: Json = about["held_out"]
            print(
                f"{command.set}-{about['seed']}: {held_out['nats_per_number']:.4f} nats a held-out "
                f"number (the world's entropy: {held_out['entropy_of_the_world']:.4f}), "
                f"task accuracy {held_out['task_accuracy']:.4f}"
            )
    return 0


def entry() -> None:
    sys.exit(main())


if __name__ == "__main__":
    entry()
