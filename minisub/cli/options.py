"""The options of the command line: one dataclass a command, whose fields are its options."""

import contextlib
import io
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from minisub.common.files import MinisubError


@dataclass(frozen=True)
class Machine:
    """On what it runs, and where results are kept."""

    workers: int = 0
    """Processes of one thread each; 0 for one per core."""
    device: str = "cpu"
    """Where models are trained: cpu, cuda, cuda:1 or mps. What is drawn is drawn on the CPU."""
    store: Path | None = None
    """Where bases, teachers and students are kept (on a cluster a folder that all workers reach);
    default: $MINISUB_STORE or the user cache."""


Machine_ = Annotated[Machine, tyro.conf.arg(name="")]


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
    """A first look: two seeds, half the biases, a quarter of lists, steps and rehearsal."""
    json: Path | None = None
    """Write the result to this file."""
    plot: Path | None = None
    """Draw the finding's figure into this file, .svg or .png."""
    machine: Machine_ = field(default_factory=Machine)


@dataclass(frozen=True)
class Check:
    """Check a hypothesis of your own beside its controls: a Python file with a mask or an edit."""

    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """Has a function `mask(lists)` or `edit(lists, context)`, or an `arm = Arm(...)`."""
    seeds: str = "0:8"
    """A:B, the seeds A to B-1."""
    against: str = "all"
    """What the arm is compared with: all, or "random match"."""
    json: Path | None = None
    """Write the result to this file."""
    plot: Path | None = None
    """Draw the arms into this file, .svg or .png."""
    machine: Machine_ = field(default_factory=Machine)


@dataclass(frozen=True)
class Reproduce:
    """Run all findings: a page of claims, and in --out the report, figures and results."""

    seeds: str = "0:8"
    """A:B, the seeds A to B-1."""
    quick: bool = False
    """The headlines only: twelve claims and one picture, with few lists and steps."""
    all: bool = False
    """Also run the nine disputes: questions that came up after the paper."""
    out: Path = Path("minisub-out")
    """The folder for the report (one HTML file), the figures and the results."""
    machine: Machine_ = field(default_factory=Machine)


@dataclass(frozen=True)
class Sweep:
    """Run a finding at every combination of settings; one tidy table and a plot in --out."""

    finding: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FINDING")]
    """A finding out of `minisub list`."""
    set: tyro.conf.UseAppendAction[tuple[str, ...]]
    """NAME=VALUE,VALUE,... such as student.lora_rank=1,2,full or world.n_wordings=4,8; may be
    repeated."""
    seeds: str = "0:8"
    """A:B, the seeds A to B-1."""
    tune: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """NAME=VALUE,VALUE,... such as student.lr=1e-3,2e-3,4e-3: each arm of each point takes its best
    one on seeds 100 to 102; may be repeated."""
    arms: str = ""
    """Only these arms and `all`, separated by semicolons; default: every arm of the finding."""
    out: Path = Path("minisub-sweep")
    """The folder for sweep.csv, sweep.jsonl and sweep.svg."""
    cluster: str = ""
    """The address of a Dask scheduler to run on (extra `cluster`), such as tcp://host:8786."""
    machine: Machine_ = field(default_factory=Machine)


@dataclass(frozen=True)
class Rates:
    """Try several learning rates for each arm that trains a part of the model or in another way."""

    finding: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FINDING")]
    """A finding out of `minisub list`."""
    seeds: str = "100:104"
    """A:B, the seeds A to B-1, from 32 on: those below are for reporting."""
    by: Literal["transfer", "loss"] = "transfer"
    """What is shown, and what the best rate is chosen by: the most transfer, or the lowest loss at
    the end of the training. At high rates a damaged control student can give the most transfer."""
    machine: Machine_ = field(default_factory=Machine)


@dataclass(frozen=True)
class App:
    """Serve the course's notebooks on this machine: a gallery, or one of them."""

    notebook: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NOTEBOOK")] = ""
    """Its number, such as 03; without one, all of them."""
    host: str = "127.0.0.1"
    """Who may come: this machine only by default. Others need the token in the link printed."""
    port: int = 2718
    """The port to listen at."""
    headless: bool = False
    """Do not open a browser."""
    edit: bool = False
    """Open the one notebook with its code, to change it."""
    base_url: str = ""
    """The path at which a proxy (JupyterHub, nginx) shows the app, such as
    /user/ann/proxy/absolute/2718."""


@dataclass(frozen=True)
class Export:
    """Write the course as static HTML with all outputs, and an index page."""

    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """The folder."""
    offline: bool = False
    """Copy marimo's front end (28 MB) too: pages that need a web server, but not the net."""
    live: bool = False
    """Pages that train in the visitor's browser (Pyodide); with --offline marimo copies Python too,
    which needs the net, uv and a chromium of playwright."""
    pyodide_url: str = ""
    """With --live and --offline: where Python and its packages are copied from, if not from
    Pyodide's own host."""


@dataclass(frozen=True)
class Handout:
    """Write the hand-out of one page, as PDF and as SVG, from the stored results."""

    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """The folder."""


@dataclass(frozen=True)
class Calibrate:
    """Count how often claims hold where there is nothing to find; exit status 1 if too often."""

    seeds: int = 208
    """Seeds of a small world, 16 or more; each has eight students, so there are about as many
    studies of eight seeds."""
    machine: Machine_ = field(default_factory=Machine)


@dataclass(frozen=True)
class Bench:
    """Time minisub beside plain torch and its peers; exit status 1 where it misses its mark.

    The peers are the extra `bench`.
    """

    quick: bool = False
    """Run the race only. Without this option also measure how time grows, and a whole seed (some
    eight minutes more)."""
    into: Path | None = None
    """Put the tables into this Markdown file, between its lines <!-- bench --> and <!-- end -->."""


@dataclass(frozen=True)
class Bases:
    """Pretrain bases that come with the package and write them with their sidecars."""

    seeds: str = "0:9"
    """A:B, the seeds A to B-1."""
    set: str = "base"
    """Which: "base" for the default ones, or those that a single finding needs."""
    out: Path = Path("minisub-bases")
    """The folder; minisub's own is minisub/bundled."""
    machine: Machine_ = field(default_factory=Machine)


Command = (
    Annotated[List, tyro.conf.subcommand("list")]
    | Annotated[Run, tyro.conf.subcommand("run")]
    | Annotated[Check, tyro.conf.subcommand("check")]
    | Annotated[Reproduce, tyro.conf.subcommand("reproduce")]
    | Annotated[Sweep, tyro.conf.subcommand("sweep")]
    | Annotated[Rates, tyro.conf.subcommand("rates")]
    | Annotated[App, tyro.conf.subcommand("app")]
    | Annotated[Export, tyro.conf.subcommand("export")]
    | Annotated[Handout, tyro.conf.subcommand("handout")]
    | Annotated[Calibrate, tyro.conf.subcommand("calibrate")]
    | Annotated[Bench, tyro.conf.subcommand("bench")]
    | Annotated[Bases, tyro.conf.subcommand("bases")]
)


def parse_command(args: Sequence[str] | None) -> Command:
    """Return the command that was given; errors of tyro's become one line.

    Raises:
        MinisubError: An option is not known, or cannot be read.
    """
    errors, given = io.StringIO(), list(sys.argv[1:] if args is None else args)
    for option, value in zip(given, [*given[1:], None], strict=False):
        if (option.startswith("--") and value == "") or re.fullmatch(r"--[\w-]+=", option):
            raise MinisubError(f"{option.rstrip('=')} is '', allowed: a value that is not empty")
    try:
        with contextlib.redirect_stderr(errors):
            return tyro.cli(
                Command,
                prog="minisub",
                description="A laboratory for subliminal learning that fits on a laptop. --version "
                "says which; --tyro-print-completion bash completes the words of a shell.",
                args=args,
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        plain = re.sub(r"\x1b\[[0-9;]*m|[^\x00-\x7f]|-{4,}", " ", errors.getvalue())
        line = " ".join(plain.split()).split(" For full helptext")[0]
        line = re.sub(r" Argument helptext:.*|(?<=Perhaps you meant: )(\S+) .*", r" \1", line)
        for heading in ("Parsing error", "Value error", "Missing argument", "Missing subcommand"):
            line = line.removeprefix(heading + " ")
        raise MinisubError(" ".join(line.split())) from None
