"""The command line: every command of `minisub` (see `commands`), and what it prints."""

import functools
import io
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from minisub import plots
from minisub.checks import a_device, a_finding, a_store, seed_range, workers_of, writable
from minisub.commands import (
    App,
    Bases,
    Bench,
    Calibrate,
    Export,
    List,
    Rates,
    Reproduce,
    Run,
    Sweep,
    parse,
)
from minisub.result import Result
from minisub.store import Json, MinisubError, Store, write
from minisub.tables import arm_table, claim_table, teacher_table

if TYPE_CHECKING:
    from minisub.study import Study


def main(args: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 for what the user can mend, said in one line on stderr."""
    try:
        if list(sys.argv[1:] if args is None else args) == ["--version"]:
            print(f"minisub {version('minisub')}")
            return 0
        command = parse(args)
        if isinstance(command, List):
            return _list()
        if isinstance(command, Run):
            return _run(command)
        if isinstance(command, Reproduce):
            return _reproduce(command)
        if isinstance(command, Sweep):
            return _sweep(command)
        if isinstance(command, Rates):
            return _rates(command)
        if isinstance(command, App):
            return _app(command)
        if isinstance(command, Export):
            return _export(command)
        if isinstance(command, Calibrate):
            return _calibrate(command)
        if isinstance(command, Bench):
            return _bench(command)
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
    except OSError as error:  # of files that are named in the options
        print(f"minisub: {error}", file=sys.stderr)
        return 2


def _list() -> int:
    from minisub.findings import FINDINGS

    for finding in FINDINGS.values():
        print(f"{finding.name:12s} {finding.statement}")
    return 0


def _say_bases(studies: Sequence["Study"], seeds: Sequence[int], store: Store) -> int:
    """How many bases are missing, which is said as well."""
    from minisub.study import missing_bases

    missing = missing_bases(studies, seeds, store)
    if missing:
        of = sorted({seed for _, seed in missing})
        told = ", ".join(map(str, of[:6])) + (", ..." if len(of) > 6 else "")
        print(
            f"No base yet for seed {told}: pretrained on the spot, about half a minute each "
            f"(up to {len(missing)} in all).",
            file=sys.stderr,
        )
    return len(missing)


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
            "A quick look: two seeds, half the biases, a quarter of lists (arms' names have those "
            "of the full run), steps and rehearsal. Claims are judged as always; most need the "
            "full run to be decided.",
            file=sys.stderr,
        )
    _say_bases([finding.study for finding in findings], seeds, store)
    arms = len(seeds) * sum(len(finding.arms) for finding in findings)
    what = names[0] if len(names) == 1 else "reproduce"
    with tqdm(total=arms, desc=what, unit="arm", leave=False) as bar:
        return run(findings, seeds, store, workers, lambda: bar.update() and None, device)


def _run(command: Run) -> int:
    seeds, workers = seed_range(command.seeds, command.quick), workers_of(command.workers)
    device = a_device(command.device)
    finding = a_finding(command.finding)
    files = (("--json", command.json), ("--plot", command.plot))
    for option, path in files:
        if path and path.is_dir():
            raise MinisubError(f"{option} is {path}, allowed: a file, not a folder")
    kind = command.plot.suffix[1:] if command.plot else "svg"
    if kind not in ("svg", "png"):
        raise MinisubError(f"--plot is {command.plot}, allowed: a name that ends in .svg or .png")
    for option, path in files:
        if path:
            writable(option, path.parent)
    store = a_store(command.store)
    [result] = _perform([command.finding], seeds, command.quick, store, workers, device)
    print(teacher_table(result), arm_table(result), claim_table([result]), sep="\n\n")
    if command.json:
        result.write(command.json)
    if command.plot:
        write(command.plot, plots.image(finding.plot(result), kind))
    return 0


def _reproduce(command: Reproduce) -> int:
    from minisub import report
    from minisub.findings import FINDINGS

    seeds, workers = seed_range(command.seeds, command.quick), workers_of(command.workers)
    device = a_device(command.device)
    writable("--out", command.out)
    store = a_store(command.store)
    results = _perform(list(FINDINGS), seeds, command.quick, store, workers, device)
    drawn = report.figures(results)
    for result in results:
        result.write(command.out / f"{result.finding}.json")
        write(command.out / f"{result.finding}.svg", drawn[result.finding])
        print(arm_table(result), end="\n\n")
    said = f"minisub reproduce --seeds {command.seeds}{' --quick' if command.quick else ''}"
    for file, text in (
        ("report.html", report.page(results, said, drawn)),
        ("results.md", report.markdown(results, said)),
    ):
        write(command.out / file, text.encode())
    told = f"The report is {command.out / 'report.html'}"
    print(teacher_table(results[0]), claim_table(results), told, sep="\n\n")
    return 0


def _sweep(command: Sweep) -> int:
    from minisub import sweep

    seeds, workers, device = (
        seed_range(command.seeds),
        workers_of(command.workers),
        a_device(command.device),
    )
    study = a_finding(command.finding).study
    if command.arms:
        wanted = ["all", *(name.strip() for name in command.arms.split(";"))]
        unknown = [n for n in wanted if n not in {arm.name for arm in study.arms}]
        if unknown:
            known = "; ".join(arm.name for arm in study.arms)
            raise MinisubError(f"--arms has {unknown[0]!r}, allowed: {known}")
        wanted += [arm.of for arm in study.arms if arm.name in wanted]
        study = replace(study, arms=[arm for arm in study.arms if arm.name in wanted])
    settings = sweep.parse(study.config, command.set)
    points = sweep.points(study, settings)
    if out := sweep.left_out(study, settings):
        print(f"Left out, as they set what is swept themselves: {'; '.join(out)}", file=sys.stderr)
    writable("--out", command.out)
    store = a_store(command.store)
    jobs = len(points) * len(seeds) + _say_bases([at for _, at in points], seeds, store)
    with (
        sweep.cluster(command.cluster) as executor,
        tqdm(total=jobs, unit="job", leave=False) as bar,
    ):
        found = sweep.sweep(
            study,
            settings,
            seeds,
            store,
            executor,
            workers,
            lambda: bar.update() and None,
            device,
        )
    found.write(command.out)
    write(command.out / "sweep.svg", plots.image(plots.sweep(found), "svg"))
    print(found.table(), f"The table is {command.out / 'sweep.csv'}", sep="\n\n")
    return 0


def _rates(command: Rates) -> int:
    from minisub import rates

    seeds, workers = seed_range(command.seeds), workers_of(command.workers)
    device, finding = a_device(command.device), a_finding(command.finding)
    if min(seeds) < rates.FIRST_SEED:
        raise MinisubError(
            f"--seeds is {command.seeds}, allowed: from {rates.FIRST_SEED} on, as those below are "
            "for reporting"
        )
    arms = rates.tuned_arms(finding)
    if not arms:
        raise MinisubError(f"no arm of {finding.name} trains a part of the model only")
    store = a_store(command.store)
    _say_bases([replace(finding.study, arms=arms)], seeds, store)
    jobs = len(seeds) * sum(len(rates.factors(arm)) for arm in arms)
    with tqdm(total=jobs, desc=finding.name, unit="arm", leave=False) as bar:
        found = rates.tune(finding, seeds, store, workers, lambda: bar.update() and None, device)
    lr = finding.config.student.lr
    print(f"Transfer in nats, mean over {len(seeds)} seeds, at so many times the rate {lr:g}.\n")
    print(rates.table(found))
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

    writable("DIR", command.out)
    print(f"The course is {gallery.export(command.out, command.offline)[-1]}")
    return 0


def _calibrate(command: Calibrate) -> int:
    from minisub import calibrate

    if command.seeds < 16:
        raise MinisubError(f"--seeds is {command.seeds}, allowed: 16 and more")
    device, workers = a_device(command.device), workers_of(command.workers)
    store = a_store(command.store)
    with tqdm(total=command.seeds, unit="seed", leave=False) as bar:
        ticked = functools.partial(bar.update, 1)
        rates = calibrate.calibrate(
            store, command.seeds, workers=workers, tick=ticked, device=device
        )
    print(calibrate.table(rates))
    return 0 if all(rate.kept for rate in rates) else 1


MARKED = re.compile(r"(?s)(<!-- bench -->\n).*?(<!-- end -->)")


def _bench(command: Bench) -> int:
    import tempfile

    from minisub import bench, costs

    def page(file: Path) -> str:
        try:
            text = file.read_text("utf8")
        except (OSError, UnicodeDecodeError):
            text = ""
        if not MARKED.search(text):
            raise MinisubError(f"--into is {file}, allowed: a file with <!-- bench --> lines")
        return text

    if command.into:
        page(command.into)
        writable("--into", command.into.parent)
    with tqdm(desc="turns", unit="turn", leave=False) as bar, tempfile.TemporaryDirectory() as new:
        found, machine = bench.race(tick=bar.update), costs.machine()
        more = None if command.quick else bench.beside(Path(new), bar.update)
    table, short = bench.markdown(found, machine, more), False
    print(table)
    for what, ratio, least in bench.judged(found, machine, more):
        short |= ratio < least
        print(f"{'missed ' if ratio < least else 'reached'}  {what}: {ratio:.2f} x, bar {least:g}")
    for name in found["missing"]:
        print(f"unknown  {name}: not installed (extra `bench`), so not compared")
    if command.into:
        text = MARKED.sub(lambda m: m[1] + "\n" + table + "\n" + m[2], page(command.into))
        write(command.into, text.encode())
    return 1 if short else 0


def _bases(command: Bases) -> int:
    from minisub import base, pool

    seeds, workers = seed_range(command.seeds), workers_of(command.workers)
    device = a_device(command.device)
    if command.set not in base.SETS:
        raise MinisubError(f"--set is {command.set!r}, allowed: {', '.join(base.SETS)}")
    writable("--out", command.out)
    with tqdm(total=len(seeds), desc="bases", unit="base") as bar:
        job = functools.partial(base.bundle, command.set, command.out, device=device)
        for about in pool.run(job, seeds, workers, lambda: bar.update() and None):
            held_out: Json = about["held_out"]
            print(
                f"{command.set}-{about['seed']}: {held_out['nats_per_number']:.4f} nats a held-out "
                f"number (the world's entropy: {held_out['entropy_of_the_world']:.4f}), "
                f"task accuracy {held_out['task_accuracy']:.4f}"
            )
    return 0


def entry() -> None:
    """The console script. What a terminal cannot show is shown as a code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(main())
