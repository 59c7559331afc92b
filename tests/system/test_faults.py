"""What goes wrong around the program: nothing is lost, nothing is silently wrong, a line says it.

The loop of a hundred kills and the full disk take long (`pytest -m soak`).
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import copy_bases, stop_before_work

from minisub.cli import main as cli
from minisub.common.files import MinisubError, read_json
from minisub.common.store import Store
from minisub.distillation import base
from minisub.experiment.arm import Arm
from minisub.experiment.config import Config
from minisub.experiment.seed_lab import SeedLab
from minisub.experiment.study import Study

ARRAYS = {"flat": np.linspace(-1, 1, 60, dtype=np.float32).reshape(2, 30), "at": np.arange(3)}
CONTENT = {"logp": [[-0.5, -1.25], [0.0, -3.5]], "task_accuracy": [0.9, None]}


def test_any_flipped_bit_is_found_or_changes_nothing(tmp_path: Path) -> None:
    """Every byte of an entry of either kind, one bit of it by chance."""
    store, luck = Store(tmp_path), random.Random(0)
    store.put("students", "k", CONTENT)
    store.put_arrays("teachers", "k", ARRAYS, {"seed": 1})
    found = 0
    for path in (tmp_path / "students/k.json", tmp_path / "teachers/k.safetensors"):
        good = path.read_bytes()
        for place in range(len(good)):
            bad = bytearray(good)
            bad[place] ^= 1 << luck.randrange(8)
            path.write_bytes(bad)
            try:
                entry = store.get("students", "k")
                arrays = store.get_arrays("teachers", "k")
            except MinisubError as error:
                found += f"{path} is damaged" in str(error) and "delete it" in str(error)
                assert path.read_bytes() == bytes(bad), "it is kept"
                continue
            assert entry == CONTENT
            assert arrays is not None
            assert all(np.array_equal(arrays[k], ARRAYS[k]) for k in ARRAYS)
        path.write_bytes(good)
    assert found > 500, "of some 600 bytes"


def test_any_truncation_is_found(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("students", "k", CONTENT)
    store.put_arrays("teachers", "k", ARRAYS, {"seed": 1})
    for path in (tmp_path / "students/k.json", tmp_path / "teachers/k.safetensors"):
        good = path.read_bytes()
        for length in range(len(good) - 1):  # the last byte of JSON is but a line's end
            path.write_bytes(good[:length])
            with pytest.raises(MinisubError, match="damaged"):
                store.get("students", "k") if path.suffix == ".json" else store.get_arrays(
                    "teachers", "k"
                )
        path.write_bytes(good)


def test_writers_of_different_arrays_leave_one_of_them_whole(tmp_path: Path) -> None:
    """Two machines, or one and two threads, differ in the last digits of the same entry."""
    store, stop, written = Store(tmp_path), threading.Event(), [0, 0]

    def put(who: int) -> None:
        arrays = {"flat": np.full((50, 50), float(who))}
        while not stop.is_set():
            store.put_arrays("teachers", "k", arrays, {"by": who})
            written[who] += 1

    writers = [threading.Thread(target=put, args=(who,), daemon=True) for who in (0, 1)]
    end, reads = time.monotonic() + 1.5, 0
    try:
        for writer in writers:
            writer.start()
        while time.monotonic() < end:
            found = store.get_arrays("teachers", "k")  # raises where it is damaged
            if found is not None:
                reads += 1
                assert len(set(found["flat"].ravel())) == 1
    finally:
        stop.set()
        for writer in writers:
            writer.join(20)
    assert not any(writer.is_alive() for writer in writers)
    assert reads > 20
    assert min(written) > 20
    assert [p.name for p in (tmp_path / "teachers").iterdir()] == ["k.safetensors"]


@pytest.mark.integration
def test_two_processes_on_one_store_end_with_the_same_numbers(tmp_path: Path, lab: SeedLab) -> None:
    assert lab.base.n_models == 1  # is there
    copy_bases(lab.store, tmp_path / "store")
    processes = [run(tmp_path / "store", tmp_path / f"{i}.json") for i in range(2)]
    assert [p.wait() for p in processes] == [0, 0]
    assert (tmp_path / "0.json").read_bytes() == (tmp_path / "1.json").read_bytes()
    assert not list(tmp_path.rglob("*.part"))


def test_weights_of_another_shape_are_refused(tiny: Config, lab: SeedLab, tmp_path: Path) -> None:
    """An entry that is whole, under the right key, and of another version's shape."""
    store = Store(tmp_path)
    stranger = {"flat": np.zeros((1, 77), np.float16)}
    store.put_arrays("bases", base._key(tiny.base, 5), stranger, {})
    with pytest.raises(MinisubError, match=r"a base of another shape.*delete it"):
        base.load_base(tiny.base, 5, store)


def test_a_store_that_cannot_be_written_is_one_line(tiny: Config, tmp_path: Path) -> None:
    (tmp_path / "students").write_text("a file where a folder should be")
    store = Store(tmp_path)
    with pytest.raises(MinisubError, match=r"cannot write .*students") as error:
        Study([Arm("all")], tiny).run([100], store, workers=1)
    assert "\n" not in str(error.value)
    assert (tmp_path / "students").read_text().startswith("a file")


def test_a_clock_that_goes_backwards_changes_nothing(
    tiny: Config, lab: SeedLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lab.base.n_models == 1  # is there
    store = copy_bases(lab.store, tmp_path / "store")
    now = iter(range(10**9, 0, -1000))
    for name in ("time", "monotonic", "perf_counter"):
        monkeypatch.setattr(time, name, lambda: float(next(now)))
    late = Study([Arm("all")], tiny).run([100], store, workers=1)
    monkeypatch.undo()
    assert late.rows == Study([Arm("all")], tiny).run([100], lab.store, workers=1).rows
    for path in tmp_path.rglob("*.*"):
        os.utime(path, (10**9 * 5, 10**9 * 5))  # from the future
    assert Study([Arm("all")], tiny).run([100], store, workers=1).rows == late.rows


SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
from minisub.common.files import MinisubError
from minisub.common.store import Store
from minisub.devtools.calibration_students import small_config
from minisub.distillation.masks import divergence_only, without_divergence
from minisub.experiment.arm import Arm
from minisub.experiment.study import Study
if __name__ == "__main__":
    config = small_config()
    arms = [Arm("all"), Arm("only", mask=divergence_only), Arm("no", mask=without_divergence)]
    arms += [Arm(f"rate {i}", overrides={"student.lr": i * 1e-4}) for i in range(1, 4)]
    try:
        Study(arms, config).run([100, 101], Store(Path(sys.argv[1]))).write(Path(sys.argv[2]))
    except MinisubError as error:
        sys.exit(f"minisub: {error}")
"""


def run(store: Path, out: Path) -> "subprocess.Popen[bytes]":
    """A small study in processes of its own; what it complains of is in out.err."""
    out.with_suffix(".py").write_text(SCRIPT)
    with out.with_suffix(".err").open("wb") as said:
        return subprocess.Popen(
            [sys.executable, str(out.with_suffix(".py")), str(store), str(out)], stderr=said
        )


def kill_loop(tmp_path: Path, bases: Store, kills: int, seed: int) -> int:
    """Kill runs at random moments, and check that the last one ends with the same numbers.

    Whenever a run ends before it is killed, the next one has a fresh store.

    Returns:
        How many runs ended before they were killed.
    """
    whole, luck, ended, round_ = tmp_path / "whole.json", random.Random(seed), 0, 0
    copy_bases(bases, tmp_path / "whole")
    begun = time.monotonic()
    assert run(tmp_path / "whole", whole).wait() == 0
    takes = time.monotonic() - begun
    store = tmp_path / "0"  # the first one has to pretrain
    for _ in range(kills):
        out = tmp_path / "killed.json"
        process = run(store, out)
        time.sleep(luck.uniform(0, takes))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        for entry in store.rglob("*.json"):  # what is there is whole
            assert read_json(entry)
        if out.exists():
            assert out.read_bytes() == whole.read_bytes()
            out.unlink()
            ended, round_ = ended + 1, round_ + 1
            store = tmp_path / str(round_)
            copy_bases(Store(tmp_path / "whole"), store)
    last = run(store, tmp_path / "killed.json")
    assert last.wait() == 0, (tmp_path / "killed.err").read_text()
    assert (tmp_path / "killed.json").read_bytes() == whole.read_bytes()
    return ended


@pytest.mark.soak
def test_a_hundred_kills_lose_nothing(tmp_path: Path, tiny: Config, lab: SeedLab) -> None:
    base.load_base(tiny.base, 101, lab.store)
    ended = kill_loop(tmp_path, lab.store, 100, seed=2)
    print(f"100 kills; {ended} runs had come to their end before they were killed")


@pytest.mark.soak
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounts a small file system")
def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(tmp_path: Path) -> None:
    disk, out = tmp_path / "disk", tmp_path / "out.json"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        process = run(disk, out)
        assert process.wait() == 1
        said = out.with_suffix(".err").read_text()
        assert "No space left on device" in said.strip().splitlines()[-1]
        assert not list(disk.rglob("*.part"))
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        assert run(disk, out).wait() == 0
        assert json.loads(out.read_text())["rows"]
    finally:
        subprocess.run(["umount", str(disk)], check=False)


READ_ONLY = {
    "run, its store": ["run", "shuffle", "--store", "{}"],
    "run, a new store": ["run", "shuffle", "--store", "{}/new"],
    "run, its result": ["run", "shuffle", "--json", "{}/x.json"],
    "run, its plot": ["run", "shuffle", "--plot", "{}/x.svg"],
    "reproduce": ["reproduce", "--out", "{}/out"],
    "sweep": ["sweep", "shuffle", "--set", "lists=9", "--out", "{}"],
    "bases": ["bases", "--out", "{}"],
    "export": ["export", "{}/course"],
    "handout": ["handout", "{}/course"],
    "calibrate": ["calibrate", "--store", "{}"],
    "bench": ["bench", "--quick", "--into", "{}/page.md"],
}


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that cannot be written, by root neither; it holds a page for `bench`."""
    folder = tmp_path_factory.mktemp("locked")
    if os.geteuid() == 0:
        mount = ["mount", "-t", "tmpfs", "tmpfs", str(folder)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("no file system can be mounted here")
    (folder / "page.md").write_text("<!-- bench -->\n<!-- end -->\n")
    if os.geteuid() == 0:
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    else:
        folder.chmod(0o500)
    yield folder
    if os.geteuid() == 0:
        subprocess.run(["umount", str(folder)], check=False)
    else:
        folder.chmod(0o700)


@pytest.mark.skipif(os.name != "posix", reason="mounts a file system")
@pytest.mark.parametrize("command", READ_ONLY)
def test_a_read_only_folder_is_said_before_the_work(
    command: str,
    read_only: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stop_before_work(monkeypatch, AssertionError("it has begun to work"))
    monkeypatch.setenv("MINISUB_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    there = sorted(read_only.rglob("*"))
    assert cli.main([part.format(read_only) for part in READ_ONLY[command]]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    [line] = err.splitlines()
    assert line.startswith("minisub: ")
    assert str(read_only) in line
    assert "Read-only" in line or "Permission denied" in line
    assert sorted(read_only.rglob("*")) == there


@pytest.mark.soak
def test_the_wheel_runs_from_elsewhere_with_a_locked_home() -> None:
    """Installs, a quick report, a page of the gallery: see the script."""
    script = Path(__file__).parent / "package.sh"
    done = subprocess.run(["bash", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for said in ("bytes, allowed", "it is typed", "a shell completes", "the gallery serves"):
        assert said in done.stdout
