"""What visitors may send, how long they wait, and what they leave on the disk."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import load_notebook
from marimo._runtime.control_flow import MarimoStopError

from minisub.common import store as store_module
from minisub.common.files import MinisubError
from minisub.common.store import Store, only_stored
from minisub.course import app, background, course_store, inside, limits, live, playground, show
from minisub.course.course_store import CourseStore
from minisub.experiment.arm import Arm
from minisub.experiment.config import Config
from minisub.experiment.seed_lab import SeedLab
from minisub.results import figures


def test_a_turn_is_given_back_when_its_words_cannot_be_shown() -> None:
    """The page went away between the queue and the training: no turn is lost."""
    turns = limits.Turns(1)
    turns.take(lambda place: None)
    waits, seen = threading.Event(), list[int]()

    def on_place(place: int) -> None:
        seen.append(place)
        waits.set()
        if place == 0:
            raise RuntimeError("the page is gone")

    def visit() -> None:
        with pytest.raises(RuntimeError, match="the page is gone"):
            turns.take(on_place)

    visitor = threading.Thread(target=visit, daemon=True)
    visitor.start()
    assert waits.wait(20)
    turns.give_back(1)
    visitor.join(20)
    assert not visitor.is_alive()
    assert seen[:2] == [1, 0]
    assert turns.n_free == 1


def test_an_error_in_taking_further_turns_gives_the_first_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns = limits.Turns(2)
    monkeypatch.setattr(limits, "_turns", turns)
    monkeypatch.setattr(turns, "take_free", lambda most: 1 / 0)
    with pytest.raises(ZeroDivisionError), limits.hold_turns(lambda place: None, 2):
        pass
    assert turns.n_free == 2


def refuse(place: int) -> None:
    raise AssertionError(f"it waits, at place {place}")


def test_the_queue_has_an_end_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes too late finds a line on the page; marimo would hide the text of an error."""
    turns = limits.Turns(1, most=0)
    monkeypatch.setattr(limits, "_turns", turns)
    monkeypatch.setattr(live, "Queue", lambda: refuse)
    with limits.hold_turns(refuse):
        with pytest.raises(limits.QueueFull):
            turns.take(refuse)
        with pytest.raises(MarimoStopError) as stopped, live.wait_for_turn():
            raise AssertionError("there is no turn")
    assert "others wait for their turn" in stopped.value.output.text
    with live.wait_for_turn() as held:
        assert held == 1
    assert limits.Turns(1).most == limits.MAX_WAITING


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"seed": None}, "seed is None"),
        ({"seed": 9}, "seed is 9"),
        ({"bias": None}, "bias is None"),
    ],
)
def test_a_choice_that_is_not_offered_trains_nothing(
    asked: dict[str, Any], told: str, tmp_path: Path
) -> None:
    """A dropdown that is sent empty has the value None; a base would be pretrained for it."""
    request: dict[str, Any] = {"seed": 0, "bias": "owl", **asked}
    with pytest.raises(ValueError, match=told):
        live.train_live(Config(), request["seed"], Store(tmp_path), Arm("all"), request["bias"])
    assert not list(tmp_path.iterdir())


def test_a_slider_costs_no_more_than_its_last_position() -> None:
    for steps in (10**9, -1, float("nan")):
        with pytest.raises(ValueError, match="allowed here: 0 to 40"):
            background.learned_probabilities(steps)
        with pytest.raises(ValueError, match="allowed here: 0 to 40"):
            background.learning_figure(steps)
    assert limits.whole_step(6.6, 2, 8) == 7


def test_names_count_once_however_often_they_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A multiselect's value may hold a name many times; a name that is not there is left out."""
    drawn = list[list[str]]()
    draw = figures.arm_bars
    monkeypatch.setattr(
        figures, "arm_bars", lambda *given: (drawn.append(list(given[2])), draw(*given))
    )
    stored = show.load_result("divergence")
    show.show_bars(stored, ["foreign", "all", "none"] * 1000, "transfer")
    assert drawn == [["foreign", "all"]]
    arm, _ = playground.experiment({**playground.DEFAULT, "blocks": ["3", "0"] * 1000}, Config())
    assert list(arm.trainable) == ["blocks.0.", "blocks.3."]
    four = {**playground.DEFAULT, "blocks": ["0"] * 4}
    assert playground.experiment(four, Config())[0] != playground.experiment(
        playground.DEFAULT, Config()
    )
    with pytest.raises(ValueError, match="no block trains"):
        playground.experiment({**playground.DEFAULT, "blocks": []}, Config())


def arrays(size: int) -> dict[str, Any]:
    return {"x": np.zeros(size, np.uint8)}


def test_lists_of_visitors_take_bounded_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that were not used for longest go; what studies made stays."""
    monkeypatch.setattr(course_store, "MAX_BYTES", 25_000)
    store, study = CourseStore(tmp_path), Store(tmp_path)
    study.put_arrays("lists", "of a study", arrays(50_000), {})
    store.put_arrays("teachers", "t", arrays(50_000), {})
    for i, key in enumerate("abcd"):
        store.put_arrays("lists", key, arrays(10_000), {})
        os.utime(store.path("lists", key, ".safetensors"), (i, i))
        if key == "b":
            assert store.get_arrays("lists", "a") is not None  # it is used, later than the others
    assert [key for key in "abcd" if store.has_arrays("lists", key)] == ["a", "d"]
    assert study.has_arrays("lists", "of a study")
    assert study.has_arrays("teachers", "t")
    assert not study.has_arrays("lists", "a")


def test_who_reads_lists_while_they_are_deleted_finds_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between seeing an entry and opening it; a damaged entry is still an error."""
    store, look = CourseStore(tmp_path), store_module.safe_open
    store.put_arrays("lists", "a", arrays(10), {})

    def late(path: Path, kind: str) -> Any:
        path.unlink()
        return look(path, kind)

    monkeypatch.setattr(store_module, "safe_open", late)
    assert store.get_arrays("lists", "a") is None
    monkeypatch.undo()
    store.put_arrays("lists", "b", arrays(10), {})
    store.path("lists", "b", ".safetensors").write_bytes(b"damaged")
    with pytest.raises(MinisubError, match="damaged"):
        store.get_arrays("lists", "b")


@pytest.fixture
def one_turn(monkeypatch: pytest.MonkeyPatch) -> Iterator[limits.Turns]:
    turns = limits.Turns(1)
    monkeypatch.setattr(limits, "_turns", turns)
    monkeypatch.setitem(live.SEEDS, "100", 100)
    yield turns
    assert turns.n_free == 1, "a turn is lost"


def test_the_playground_marks_its_lists_while_it_has_its_turn(
    one_turn: limits.Turns, tiny: Config, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    free, mark = list[int](), SeedLab.marked_lists

    def watched(lab: SeedLab, sampled: bool = False) -> Any:
        free.append(one_turn.n_free)
        return mark(lab, sampled)

    monkeypatch.setattr(SeedLab, "marked_lists", watched)
    request = {**playground.DEFAULT, "blocks": ["0", "1"], "seed": 100}
    load_notebook("00").app.run(defs={"config": tiny, "store": store, "request": request})
    assert free[0] == 0, "no turn is held"


@pytest.mark.parametrize("number", ["01", "12"])
def test_a_page_that_computes_when_it_opens_waits_for_its_turn(
    number: str,
    one_turn: limits.Turns,
    tiny: Config,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held, hold = list[int](), limits.hold_turns

    @contextmanager
    def watched(*given: Any) -> Iterator[int]:
        with hold(*given) as n:
            held.append(n)
            yield n

    monkeypatch.setattr(live, "hold_turns", watched)
    compute = inside.products

    def products(*given: Any) -> Any:
        assert one_turn.n_free == 0, "no turn is held"
        return compute(*given)

    monkeypatch.setattr(inside, "products", products)
    config = tiny.base if number == "12" else tiny
    load_notebook(number).app.run(defs={"config": config, "store": store, "seed": 100})
    assert held == [1]


def test_a_line_says_who_else_can_come_in() -> None:
    assert app.who_can_come_in("127.0.0.1", edit=False, base_url="") == ""
    with_token = app.who_can_come_in("0.0.0.0", edit=True, base_url="/course")
    assert "link with its token" in with_token
    assert "run any code" in with_token
    proxied = app.who_can_come_in("localhost", edit=False, base_url="/course")
    assert proxied.startswith(
        "--base-url /course is for a proxy, which has to ask who a visitor is"
    )
    assert "train here" in proxied


class Served:
    """Instead of marimo's server."""

    def __init__(self, command: list[str], **_: Any) -> None:
        self.command = command

    def __enter__(self) -> "Served":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def wait(self) -> int:
        return 0


def test_only_the_playground_is_prepared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared = list[int]()
    monkeypatch.setattr(app.subprocess, "Popen", Served)
    monkeypatch.setattr(app, "prepare_playground", lambda: prepared.append(1))
    for number, n in (("03", 0), ("00", 1), ("", 2)):
        assert app.serve(number, "127.0.0.1", 2718, browser=False, edit=False) == 0
        assert len(prepared) == n
    assert capsys.readouterr().err == ""
    app.serve("03", "127.0.0.1", 2718, browser=False, edit=False, base_url="/course")
    assert capsys.readouterr().err.startswith("minisub: --base-url /course is for a proxy")


def test_the_playground_finds_what_was_prepared(
    tiny: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its form as it stands at first trains no teachers and writes no lists."""
    monkeypatch.setenv("MINISUB_STORE", str(tmp_path))
    monkeypatch.setattr(app, "Config", lambda: tiny)
    app.prepare_playground()
    arm, config = playground.experiment(playground.DEFAULT, tiny)
    lab = SeedLab(config, playground.DEFAULT["seed"], CourseStore(tmp_path), [0])
    with only_stored():
        assert lab.marked_lists(arm.is_sampled).n_rows == tiny.n_lists
