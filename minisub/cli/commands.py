"""What every command of `minisub` does (its options are in `options`), and what it prints."""

import re
import sys
import tempfile
import textwrap
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from minisub.cli import report
from minisub.cli.checks import (
    check_writable,
    existing_device,
    find_finding,
    n_workers,
    own_arm,
    run_options,
    seed_range,
)
from minisub.cli.options import (
    App,
    Bases,
    Bench,
    Calibrate,
    Check,
    Export,
    Handout,
    List,
    Rates,
    Reproduce,
    Run,
    Sweep,
)
from minisub.cli.running import (
    announce_bases_of_sweep,
    announce_missing_bases,
    checked_files,
    perform,
    write_files,
)
from minisub.common import processes
from minisub.common.files import Json, MinisubError, write_file
from minisub.common.progress import progress_bar
from minisub.course import app, export, handout, live_export
from minisub.devtools import benchmark, calibration, costs, learning_rates
from minisub.distillation import base
from minisub.experiment import sweep
from minisub.experiment.check import arms_of_check, check
from minisub.experiment.presets import SMALL_CONFIG
from minisub.experiment.settings import parse_settings
from minisub.experiment.study import Study
from minisub.findings import DISPUTES, FINDINGS, every_finding, headline
from minisub.results import figures
from minisub.results.summaries import claim_text
from minisub.results.tables import WIDTH
from minisub.viz import style

BENCH_LINES = re.compile(r"(?s)(<!-- bench -->\n).*?(<!-- end -->)")


def _list(command: List) -> int:
    for finding in every_finding().values():
        text = f"{finding.name:13}{finding.statement}"
        print(textwrap.fill(text, WIDTH, subsequent_indent=" " * 13))
    return 0


def _run(command: Run) -> int:
    seeds = seed_range(command.seeds, command.quick)
    finding = find_finding(command.finding)
    kind = checked_files(command.json, command.plot)
    options = run_options(seeds, command.machine)
    if command.quick:
        print(
            "A quick look: two seeds, half the biases, a quarter of lists (arms' names have those "
            "of the full run), steps and rehearsal. Claims are judged as always; most need the "
            "full run to be decided.",
            file=sys.stderr,
        )
    run = finding.quick() if command.quick else finding
    [result] = perform([run], finding.name, options)
    print(report.teacher_text(result), result, claim_text([result]), sep="\n\n")
    write_files(result, partial(finding.plot, result), command.json, command.plot, kind)
    return 0


def _check(command: Check) -> int:
    seeds = seed_range(command.seeds)
    kind = checked_files(command.json, command.plot)
    try:
        arm = own_arm(command.file)
        checked = arms_of_check(arm, command.against)
        options = run_options(seeds, command.machine)
        announce_missing_bases([Study(checked, SMALL_CONFIG)], options)
        found = check(
            arm=arm,
            against=command.against,
            seeds=seeds,
            store=options.store,
            workers=options.workers,
            device=options.device,
        )
    except ValueError as error:  # of what the file says, or of what its functions gave
        raise MinisubError(str(error)) from error
    print(found)
    write_files(found.result, found.plot, command.json, command.plot, kind)
    return 0


def _reproduce(command: Reproduce) -> int:
    seeds = seed_range(command.seeds)
    if command.quick and command.all:
        raise MinisubError("--quick is the headlines only, --all is everything")
    check_writable("--out", command.out)
    chosen = every_finding() if command.all else FINDINGS
    findings = headline.quick_findings() if command.quick else list(chosen.values())
    results = perform(findings, "reproduce", run_options(seeds, command.machine))
    by_name = {result.finding: result for result in results}
    can_show = "utf" in (sys.stdout.encoding or "").lower()
    print(headline.page_text(by_name, "█" if can_show else "#"), end="\n\n")
    picture = headline.plot(by_name)
    for kind in ("png", "svg"):
        write_file(command.out / f"page.{kind}", style.to_bytes(picture, kind))
    drawn = report.draw_figures(results)
    for result in results:
        result.write(command.out / f"{result.finding}.json")
        write_file(command.out / f"{result.finding}.svg", drawn[result.finding])
    line = f"minisub reproduce --seeds {command.seeds}"
    line += " --quick" * command.quick + " --all" * command.all
    for file, text in (
        ("report.html", report.report_html(results, line, drawn)),
        ("results.md", report.results_markdown(results, line)),
    ):
        write_file(command.out / file, text.encode())
    if not command.quick:
        print(*results, report.teacher_text(results[0]), claim_text(results), sep="\n\n")
        print()
    if not (command.quick or command.all):
        print(f"Left out, with --all they run too: {', '.join(DISPUTES)}")
    print(f"The picture is {command.out / 'page.png'}")
    print(f"The report is {command.out / 'report.html'}")
    return 0


def _sweep(command: Sweep) -> int:
    seeds = seed_range(command.seeds)
    study = find_finding(command.finding).study
    if command.arms:
        study = _some_arms(study, command.arms)
    settings = parse_settings(study.config, command.set)
    tune = parse_settings(study.config, command.tune, "--tune") if command.tune else {}
    points = sweep.sweep_points(study, settings)
    check_writable("--out", command.out)
    options = run_options(seeds, command.machine)
    if out := sweep.left_out(study, {**settings, **tune}):
        print(f"Left out, as they set what is swept themselves: {'; '.join(out)}", file=sys.stderr)
    n_jobs = len(points) * (len(seeds) + sweep.n_tuning_jobs(tune))
    n_jobs += announce_bases_of_sweep(study, settings, tune, options)
    with (
        sweep.dask_cluster(command.cluster) as executor,
        progress_bar(n_jobs, "sweep", "job") as on_progress,
    ):
        options = replace(options, on_progress=on_progress)
        found = sweep.run_sweep(study, settings, options, executor, tune)
    found.write(command.out)
    write_file(command.out / "sweep.svg", style.to_bytes(figures.sweep(found), "svg"))
    print(found.table().text(), f"The table is {command.out / 'sweep.csv'}", sep="\n\n")
    return 0


def _some_arms(study: Study, names: str) -> Study:
    """Return a study with `all`, the arms that are named, and their baselines."""
    wanted = ["all", *(name.strip() for name in names.split(";"))]
    unknown = [n for n in wanted if n not in {arm.name for arm in study.arms}]
    if unknown:
        allowed = "; ".join(arm.name for arm in study.arms)
        raise MinisubError(f"--arms has {unknown[0]!r}, allowed: {allowed}")
    wanted += [arm.baseline for arm in study.arms if arm.name in wanted]
    return replace(study, arms=[arm for arm in study.arms if arm.name in wanted])


def _rates(command: Rates) -> int:
    seeds, finding = seed_range(command.seeds), find_finding(command.finding)
    first = learning_rates.FIRST_SEED
    if min(seeds) < first:
        raise MinisubError(
            f"--seeds is {command.seeds}, allowed: from {first} on, as those below are for "
            "reporting"
        )
    arms = learning_rates.tuned_arms(finding)
    if not arms:
        raise MinisubError(
            f"no arm of {finding.name} trains a part of the model, or by LoRA or another optimizer"
        )
    options = run_options(seeds, command.machine)
    announce_missing_bases([Study(arms, finding.config, finding.name)], options)
    n_arms = len(seeds) * sum(len(learning_rates.factors_of(arm, finding)) for arm in arms)
    with progress_bar(n_arms, finding.name, "arm") as on_progress:
        found = learning_rates.tune(finding, replace(options, on_progress=on_progress), command.by)
    at = f"mean over {len(seeds)} seeds, at so many times the rate {finding.config.student.lr:g}."
    print(f"{learning_rates.TITLES[command.by].format(at=at)}\n")
    print(learning_rates.rates_table(found).markdown())
    return 0


def _app(command: App) -> int:
    if not 0 < command.port < 65536:
        raise MinisubError(f"--port is {command.port}, allowed: 1 to 65535")
    if command.edit and not command.notebook:
        raise MinisubError("--edit needs a NOTEBOOK, such as 08")
    if command.base_url and not re.fullmatch(r"(/[\w.~@%+-]+)+", command.base_url):
        raise MinisubError(f"--base-url is {command.base_url!r}, allowed: a path such as /course")
    browser = not command.headless
    return app.serve(
        command.notebook, command.host, command.port, browser, command.edit, command.base_url
    )


def _export(command: Export) -> int:
    if command.pyodide_url and not (command.live and command.offline):
        raise MinisubError("--pyodide-url is for --live --offline")
    check_writable("DIR", command.out)
    written = (
        live_export.export_live(command.out, command.offline, command.pyodide_url)
        if command.live
        else export.export_course(command.out, command.offline)
    )
    print(f"The course is {written[-1]}")
    return 0


def _handout(command: Handout) -> int:
    check_writable("DIR", command.out)
    for file in handout.write_handout(command.out):
        print(f"The hand-out is {file}")
    return 0


def _calibrate(command: Calibrate) -> int:
    if command.seeds < 16:
        raise MinisubError(f"--seeds is {command.seeds}, allowed: 16 and more")
    options = run_options(list(calibration.calibration_seeds(command.seeds)), command.machine)
    with progress_bar(command.seeds, "calibrate", "seed") as on_progress:
        rates = calibration.calibrate(replace(options, on_progress=on_progress))
    print(calibration.calibration_table(rates).markdown())
    return 0 if all(rate.is_kept for rate in rates) else 1


def _bench(command: Bench) -> int:
    def page(file: Path) -> str:
        try:
            text = file.read_text("utf8")
        except (OSError, UnicodeDecodeError):
            text = ""
        if not BENCH_LINES.search(text):
            raise MinisubError(f"--into is {file}, allowed: a file with <!-- bench --> lines")
        return text

    if command.into:
        page(command.into)
        check_writable("--into", command.into.parent)
    with progress_bar(None, "turns", "turn") as on_progress, tempfile.TemporaryDirectory() as new:
        found, machine = benchmark.race(on_progress=on_progress), costs.machine()
        more = None
        if not command.quick:
            more = benchmark.more_measurements(Path(new), on_progress)
    tables, is_short = benchmark.bench_markdown(found, machine, more), False
    print(tables)
    for what, ratio, least in benchmark.judged(found, machine, more):
        is_short |= ratio < least
        print(f"{'missed ' if ratio < least else 'reached'}  {what}: {ratio:.2f} x, bar {least:g}")
    for name in found["missing"]:
        print(f"unknown  {name}: not installed (extra `bench`), so not compared")
    if command.into:
        text = BENCH_LINES.sub(lambda m: m[1] + "\n" + tables + "\n" + m[2], page(command.into))
        write_file(command.into, text.encode())
    return 1 if is_short else 0


def _bases(command: Bases) -> int:
    seeds, workers = seed_range(command.seeds), n_workers(command.machine.workers)
    device = existing_device(command.machine.device)
    if command.set not in base.BASE_SETS:
        raise MinisubError(f"--set is {command.set!r}, allowed: {', '.join(base.BASE_SETS)}")
    check_writable("--out", command.out)
    with progress_bar(len(seeds), "bases", "base", leave=True) as on_progress:
        job = partial(base.bundle_base, command.set, command.out, device=device)
        for about in processes.run_jobs(job, seeds, workers, on_progress):
            held_out: Json = about["held_out"]
            print(
                f"{command.set}-{about['seed']}: {held_out['nats_per_number']:.4f} nats a held-out "
                f"number (the world's entropy: {held_out['entropy_of_the_world']:.4f}), "
                f"task accuracy {held_out['task_accuracy']:.4f}"
            )
    return 0


COMMANDS: dict[type[Any], Callable[[Any], int]] = {
    List: _list,
    Run: _run,
    Check: _check,
    Reproduce: _reproduce,
    Sweep: _sweep,
    Rates: _rates,
    App: _app,
    Export: _export,
    Handout: _handout,
    Calibrate: _calibrate,
    Bench: _bench,
    Bases: _bases,
}
