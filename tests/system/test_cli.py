"""The command line: what it prints and writes, and one clear line for what it cannot do."""

import html
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from conftest import replaced_findings, shrink_finding, stop_before_work

from minisub.cli import checks, commands
from minisub.cli import main as cli
from minisub.common.files import MinisubError
from minisub.common.store import Store
from minisub.experiment.check import check
from minisub.experiment.config import Config
from minisub.experiment.options import RunOptions
from minisub.findings import DISPUTES, FINDINGS, every_finding, headline
from minisub.results.result import read_result


@pytest.fixture
def small(tiny: Config) -> Iterator[None]:
    """The findings of the page, on the tiny world; `test_findings.py` runs them all."""
    names = ("transfer", "divergence", "layers", "paraphrase", "mixing", "misalignment")
    with replaced_findings({name: shrink_finding(FINDINGS[name], tiny) for name in names}):
        yield


def wrong(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """What is said of input that cannot be: one line, exit status 2, nothing on stdout."""
    assert cli.main(args) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith("minisub: ")
    return said.err


def test_list_names_the_findings(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == list(every_finding())
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["run", "divergense"], "FINDING is 'divergense', allowed: transfer, leakage, divergence"),
        (["run", "divergence", "--seeds", "3:1"], "--seeds is '3:1', allowed: A:B"),
        (["run", "divergence", "--seeds", "x"], "--seeds is 'x', allowed: A:B"),
        (["run", "divergence", "--seeds", "-1:3"], "--seeds"),
        (["run", "divergence", "--workers", "-1"], "--workers is -1, allowed: 0 (one per core)"),
        (["run", "divergence", "--workers", "many"], "--workers"),
        (["run", "divergence", "--sedes", "0:2"], "--sedes"),
        (["run"], "FINDING"),
        (["walk"], "walk"),
        (["reproduce", "--seeds", "1"], "--seeds is '1', allowed"),
        (["reproduce", "--out", "/proc/nothing"], "--out is /proc/nothing, allowed: a folder"),
        (["run", "divergence", "--json", "/proc/nothing/x.json"], "--json"),
        (["run", "divergence", "--json", "/tmp"], "--json is /tmp, allowed: a file"),
        (["run", "divergence", "--plot", "x.pdf"], "--plot is x.pdf, allowed: a name that ends"),
        (["bases", "--out", "/proc/nothing"], "--out"),
        (["app", "²"], "NOTEBOOK is"),
        (["sweep", "shuffle", "--set", "size.heads=0"], "size.heads=0 cannot be"),
        (["sweep", "shuffle", "--set", "lists=0"], "lists=0 cannot be: n_lists is 0, allowed: 1"),
        (["sweep", "shuffle", "--set", "temperature=0"], "temperature is 0.0, allowed: above 0"),
        (["sweep", "shuffle", "--set", "lists=9,9"], "allowed: each value once"),
        (
            ["sweep", "shuffle", "--set", "lists=9", "--set", "lists=8"],
            "allowed: each setting once",
        ),
        (["bases", "--set", "bass"], "--set is 'bass', allowed: base, tilt-0"),
        (
            ["run", "divergence", "--device", "tpu"],
            "--device is 'tpu', allowed on this",
        ),
        (["app", "--port", "0"], "--port is 0, allowed"),
        (["app", "77"], "NOTEBOOK is '77', allowed: 00, 01"),
        (["app", "--edit"], "--edit needs a NOTEBOOK"),
        (["bench", "--into", "nowhere.md"], "--into is nowhere.md, allowed: a file with"),
        (["sweep", "shufle", "--set", "lists=1"], "FINDING is 'shufle'"),
        (["sweep", "shuffle"], "--set"),
        (["sweep", "shuffle", "--set", "lists"], "--set is 'lists', allowed: NAME=VALUE"),
        (["sweep", "shuffle", "--set", "lists=few"], "--set lists has 'few', allowed"),
        (
            ["sweep", "shuffle", "--set", "lists=9", "--arms", "x"],
            "--arms has 'x', allowed: all",
        ),
        (
            ["sweep", "shuffle", "--set", "lists=9", "--cluster", "nowhere"],
            "--cluster is 'nowhere'",
        ),
    ],
)
def test_bad_input_is_one_line(
    args: list[str],
    told: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MINISUB_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    assert told in wrong(capsys, *args)


def test_seeds() -> None:
    assert checks.seed_range("0:3") == [0, 1, 2]
    assert checks.seed_range("1000:1008", quick=True) == [1000, 1001]
    assert checks.seed_range("4:5", quick=True) == [4]
    assert checks.seed_range("9999999999:10000000000") == [9999999999]
    with pytest.raises(MinisubError, match="up to 100,000 seeds"):
        checks.seed_range("0:1000000000000")
    with pytest.raises(MinisubError):
        checks.seed_range("1:1")


def test_bases_that_have_to_be_made_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also the next seed's, where a stranger's students start from it; and no others."""
    for name, said in (
        (
            "shuffle",
            "No base yet for seed 9: pretrained on the spot, some fifteen seconds each (up to 1",
        ),
        ("divergence", "No base yet for seed 9, 10: pretrained on the spot"),
        ("mixing", "No base yet for seed 9, 10: pretrained on the spot"),
        (
            "paraphrase",
            "No base yet for seed 9: pretrained on the spot, some fifteen seconds each (up to 3",
        ),
        ("selection", "No base yet for seed 9, 10: pretrained on the spot"),  # a probe's
    ):
        commands.announce_missing_bases([FINDINGS[name].study], RunOptions([7, 9], Store(tmp_path)))
        assert capsys.readouterr().err.startswith(said)
    commands.announce_missing_bases(
        [FINDINGS["divergence"].study], RunOptions(range(8), Store(tmp_path))
    )
    assert not capsys.readouterr().err


def test_bases_for_tuning_are_named_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And of the rates of a finding's arms those that they use, not what its probes would."""

    class Would(Exception):
        pass

    stop_before_work(monkeypatch, Would())
    machine = ["--store", str(tmp_path / "store")]
    sweep = ["sweep", "shuffle", "--set", "student.steps=5,6", "--out", str(tmp_path), *machine]
    for args, said in (
        (sweep, ""),
        (
            [*sweep, "--tune", "student.lr=1e-3,2e-3"],
            "seed 100, 101, 102: pretrained on the spot, s",
        ),
        (
            ["rates", "layers", "--seeds", "100:101", *machine],
            "seed 100: pretrained on the spot, s",
        ),
    ):
        with pytest.raises(Would):
            cli.main(args)
        assert re.sub("^No base yet for ", "", capsys.readouterr().err).startswith(said)


def test_run_prints_and_writes_the_contract(
    small: None, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new" / "d.json"
    args = ["run", "divergence", "--seeds", "100:102", "--json", str(file)]
    assert cli.main([*args, "--store", str(store.folder), "--workers", "1"]) == 0
    said = capsys.readouterr()
    for part in ("answers its bias", "without divergence", "held", "(n = 2)"):
        assert part in said.out
    content = json.loads(file.read_text())
    assert content["finding"] == "divergence"
    rows = content["rows"]
    row = "seed arm transfer off_target hit_rate control_hit_rate distance task_accuracy"
    assert {*row.split(), "loss_tokens", "retained", "divergence_share"} <= set(rows[0])
    mean = "arm transfer low high retained retained_low retained_high n"
    assert set(mean.split()) <= set(content["summary"][0])
    assert {"claim", "value", "low", "high", "threshold", "verdict"} <= set(content["claims"][0])
    assert [r["arm"] for r in rows[:7]] == [a.name for a in FINDINGS["divergence"].arms]
    assert read_result(file).seeds == [100, 101]


def test_reproduce_leaves_table_figures_and_results(
    small: None, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["reproduce", "--seeds", "100:102", "--out", str(tmp_path / "out")]
    assert cli.main([*args, "--store", str(store.folder), "--workers", "1"]) == 0
    written = {p.name for p in (tmp_path / "out").iterdir()}
    files = {f"{n}.{e}" for n in FINDINGS for e in ("json", "svg")}
    assert written == {"page.png", "page.svg", "report.html", "results.md", *files}
    said = capsys.readouterr()
    table, page = ((tmp_path / "out" / n).read_text() for n in ("results.md", "report.html"))
    for claim in (claim for finding in FINDINGS.values() for claim in finding.claims):
        assert claim.text in table
        assert claim.text in " ".join(said.out.split())
        assert html.escape(claim.text) in page
    assert f"Left out, with --all they run too: {', '.join(DISPUTES)}" in said.out
    assert "--seeds 100:102" in page
    for line in headline.HEADLINES:
        assert line.text in table
        assert html.escape(line.text) in page
    assert said.out.startswith("claim (and its threshold)")
    assert page.index("on one page") < page.index("<h2")


def test_a_quick_reproduction_is_the_page_alone(
    tiny: Config,
    store: Store,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shrunk = [shrink_finding(finding, tiny) for finding in headline.quick_findings()]
    monkeypatch.setattr(headline, "quick_findings", lambda: shrunk)
    args = ["reproduce", "--quick", "--seeds", "100:102", "--out", str(tmp_path / "out")]
    assert cli.main([*args, "--store", str(store.folder), "--workers", "1"]) == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines()[:-2])) <= 80
    verdicts = re.findall(r"  (held|not held|undecided)$", said, re.M)
    assert len(verdicts) == len(headline.HEADLINES) == 12
    for panel in headline.PANELS:
        assert panel.title in said
    assert said.endswith(f"The report is {tmp_path / 'out' / 'report.html'}\n")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "prediction" not in page
    assert page.count("<svg") == 1 + len(shrunk)


ARM = "from minisub import Arm\narm = Arm('mine', "


def test_a_hypothesis_in_a_file(
    tiny: Config,
    store: Store,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = partial(check, config=tiny)
    monkeypatch.setattr(commands, "check", small)
    monkeypatch.setattr(commands, "announce_missing_bases", lambda *_: 0)  # of the default world
    file = tmp_path / "my_arm.py"
    file.write_text("def mask(lists):\n    return lists.position % 2 == 1\n")
    machine = ["--seeds", "100:102", "--store", str(store.folder)]
    files = ["--json", str(tmp_path / "x.json"), "--plot", str(tmp_path / "x.png")]
    assert cli.main(["check", str(file), *machine, *files]) == 0
    said = capsys.readouterr().out
    assert re.search(r"(?m)^my arm +[+-]\d", said)
    assert "my arm less all:" in said
    assert "my arm less random match:" in said
    assert read_result(tmp_path / "x.json").arms == ["all", "control", "my arm", "random match"]
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    for text, told in (
        ("x = 1\n", "has no function `mask` or `edit`, nor an Arm called `arm`"),
        ("import nothing_like_it\n", "cannot be run: ModuleNotFoundError"),
        ("def mask(lists):\n    return 5\n", "the mask of 'my arm' gives values from 5 to 5"),
        ("def edit(lists, context):\n    return 5\n", "the edit of 'my arm' gives int"),
    ):
        file.write_text(text)
        assert told in wrong(capsys, "check", str(file), *machine)
    assert "FILE is nothing.py, allowed" in wrong(capsys, "check", "nothing.py")
    for name, text, told in (
        ("all", "def mask(lists):\n    return True\n", "the arm is called 'all', allowed: a name"),
        ("control", "def mask(lists):\n    return True\n", "the arm is called 'control', allowed"),
        ("x", "edit = 'x'\ndef mask(lists):\n    return True\n", "edit is 'x', allowed: a functi"),
        ("x", f"{ARM}overrides={{'studnet.lr': 1.0}})\n", "there is no 'studnet' to change"),
        ("x", f"{ARM}asked_with='nope')\n", "no token is called 'nope'"),
        ("x", f"{ARM}baseline='nope')\n", "'mine' has the baseline 'nope', which is no arm"),
    ):
        other = tmp_path / f"{name}.py"
        other.write_text(text)
        assert told in wrong(capsys, "check", str(other), *machine)
    file.write_text("def mask(lists):\n    return lists.position > 0\n")
    assert "against is 'x', allowed: all" in wrong(capsys, "check", str(file), "--against", "x")


@pytest.mark.integration
def test_a_damaged_store_entry_stops_the_run_and_is_kept(
    small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["run", "transfer", "--seeds", "100:101", "--workers", "1", "--store", str(tmp_path)]
    assert cli.main(args) == 0
    before = capsys.readouterr().out
    entry = next((tmp_path / "students").iterdir())
    good = entry.read_bytes()
    bad = bytearray(good)
    bad[len(bad) // 2] ^= 1
    entry.write_bytes(bad)
    assert cli.main(args) == 2
    assert f"minisub: {entry} is damaged" in capsys.readouterr().err.splitlines()[-1]
    assert entry.read_bytes() == bytes(bad)
    entry.write_bytes(good)
    assert cli.main(args) == 0
    assert capsys.readouterr().out == before


SCRIPT = """
import sys
from dataclasses import replace
sys.path.insert(0, sys.argv[1])
from minisub.cli import main as cli
from minisub.devtools.calibration_students import small_config
from minisub.findings import FINDINGS
if __name__ == "__main__":
    for name, finding in list(FINDINGS.items()):
        FINDINGS[name] = replace(finding, config=small_config())
    sys.exit(cli.main(sys.argv[2:]))
"""


@pytest.mark.integration
def test_a_killed_run_goes_on_and_ends_with_the_same_numbers(tmp_path: Path, store: Store) -> None:
    """SIGKILL in the middle, twice; no process may outlive its parent."""
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)

    def start(folder: Path, out: Path) -> "subprocess.Popen[bytes]":
        args = ["run", "divergence", "--seeds", "100:102", "--store", str(folder)]
        here = [sys.executable, str(script), str(Path(__file__).parent)]
        return subprocess.Popen(
            [*here, *args, "--json", str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def done(folder: Path) -> int:
        return len(list(folder.glob("students/*.json")))

    killed = tmp_path / "killed"
    for goal in (2, 8):
        process = start(killed, tmp_path / "killed.json")
        while done(killed) < goal:
            assert process.poll() is None, "ended before it could be killed"
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kept = done(killed)
        assert kept >= goal
        assert not (tmp_path / "killed.json").exists()
    time.sleep(1)
    kept = done(killed)
    assert kept < 12
    time.sleep(2)
    assert done(killed) == kept, "a worker outlived its parent"
    assert start(killed, tmp_path / "killed.json").wait() == 0
    assert start(tmp_path / "whole", tmp_path / "whole.json").wait() == 0
    assert (tmp_path / "killed.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
