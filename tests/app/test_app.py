"""The app towards others: a token, no code to run, no files to read, no training without bound."""

import http.cookiejar
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import ClassVar, Self

import pytest

from minisub.common.provenance import PACKAGE
from minisub.course import app, limits, playground
from minisub.experiment.config import Config, with_overrides
from minisub.experiment.presets import LIGHT_CONFIG


@pytest.mark.parametrize(
    ("host", "open_"),
    [
        ("127.0.0.1", False),
        ("127.8.0.1", False),
        ("localhost", False),
        ("::1", False),
        ("[::1]", False),
        ("0.0.0.0", True),
        ("::", True),
        ("192.0.2.7", True),
        ("lab.example.org", True),
    ],
)
def test_who_can_reach_an_address(host: str, open_: bool) -> None:
    assert app.is_open_to_others(host) is open_


class NoServer:
    """What `serve` starts, for the tests: it ends at once."""

    started: ClassVar[list[list[str]]] = []

    def __init__(self, command: list[str], **_: object) -> None:
        self.started.append(command)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def wait(self) -> int:
        return 7


@pytest.mark.parametrize("base_url", ["", "/course"])
@pytest.mark.parametrize("edit", [False, True])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "lab.example.org"])
def test_who_may_do_what_on_the_server(
    host: str,
    edit: bool,
    base_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Others need a token; visitors keep their session for longer than marimo's own 120 s."""
    monkeypatch.setattr(app, "prepare_playground", lambda: None)
    monkeypatch.setattr(app.subprocess, "Popen", NoServer)
    monkeypatch.setattr(NoServer, "started", [])
    assert app.serve("08", host, 2718, False, edit, base_url) == 7
    [command] = NoServer.started
    is_open = host != "127.0.0.1"
    assert ("edit" if edit else "run") in command
    assert ("--token" in command) is is_open
    assert not {"--no-token", "--token-password", "--proxy"} & set(command)
    assert ("--include-code" in command) is ("--session-ttl" in command) is not edit
    if not edit:
        assert int(command[command.index("--session-ttl") + 1]) > 120
    assert command[command.index("--host") + 1] == host
    assert ("--base-url" in command) is bool(base_url)
    if base_url:
        assert command[command.index("--base-url") + 1] == base_url
    said = capsys.readouterr().err
    may = "run any code on this machine as you" if edit else "train here, in bounds"
    assert (f"can {may}." in said) is (is_open or bool(base_url))
    assert ("with its token" in said) is is_open


@dataclass
class Served:
    address: str
    token: str
    said: str

    def get(
        self, path: str, token: bool = False, body: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """Status and page, with the cookies that the token brings."""
        opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        )
        if token:
            opener.open(f"{self.address}/?access_token={self.token}", timeout=20).close()
            with opener.open(f"{self.address}/?file=00_playground.py", timeout=20) as answer:
                found = re.search(r'"serverToken": "([^"]+)"', answer.read().decode())
            assert found, "the page has no token for its script"
            script = found[1]
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.address + path, data)
        request.add_header("content-type", "application/json")
        if token:
            request.add_header("Marimo-Server-Token", script)
            request.add_header("Marimo-Session-Id", "s_1a2b3c")
        try:
            with opener.open(request, timeout=20) as answer:
                return answer.status, answer.url + answer.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(errors="replace")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The app, open to other machines."""
    folder = tmp_path_factory.mktemp("app")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "minisub", "app", "--headless", "--host", "0.0.0.0"]
    with (folder / "said.txt").open("wb") as said:
        server = subprocess.Popen(
            [*command, "--port", str(port)],
            env={**os.environ, "MINISUB_STORE": str(folder)},
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    try:
        for _ in range(300):
            text = (folder / "said.txt").read_text()
            found = re.search(r"access_token=(\S+)", text)
            with socket.socket() as probe:
                if found and probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        assert found, text
        yield Served(f"http://127.0.0.1:{port}", found[1], text)
    finally:
        server.terminate()  # it alone: its own server is to end with it
        server.wait(20)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "marimo serves on by itself"


def test_it_says_that_others_are_let_in(served: Served) -> None:
    assert "minisub: --host 0.0.0.0 lets other machines in" in served.said


def test_no_one_gets_a_page_without_the_token(served: Served) -> None:
    assert "/auth/login" in served.get("/")[1]
    assert "/auth/login" in served.get("/?file=00_playground.py")[1]
    assert "/auth/login" not in served.get("/", token=True)[1]
    status, page = served.get("/?file=00_playground.py", token=True)
    assert status == 200
    assert "Playground" in page


@pytest.mark.parametrize(
    "path",
    [
        *("/etc/passwd", "../" * 20 + "etc/passwd"),
        *("../minisub/common/files.py", str(PACKAGE / "common/files.py")),
    ],
    ids=["/etc", "../etc", "../minisub", "minisub"],
)
def test_files_are_not_served(served: Served, path: str) -> None:
    assert (PACKAGE.parent / "notebooks" / path).exists()
    status, page = served.get(f"/?file={path}", token=True)
    assert status == 404
    assert "root:" not in page
    assert "def digest" not in page


@pytest.mark.parametrize(
    "path",
    [
        "kernel/run",
        "kernel/save",
        "kernel/scratchpad/run",
        "files/list_files",
        "files/file_details",
    ],
)
def test_visitors_run_no_code_and_read_no_files(served: Served, path: str) -> None:
    status, page = served.get(f"/api/{path}", token=True, body={"path": "/etc/passwd"})
    assert status in (401, 403), page


def test_the_token_lets_a_visitor_ask_for_the_gallery(served: Served) -> None:
    """In the same way as above, so that what is refused there is not refused for want of it."""
    asked = "/api/home/workspace_files"
    assert served.get(asked, token=True, body={"path": "/etc/passwd"})[0] == 200
    assert served.get(asked, body={"path": "/etc/passwd"})[0] == 401


def test_training_is_bounded() -> None:
    assert limits.check_limits(LIGHT_CONFIG, range(8)) is LIGHT_CONFIG
    assert limits.check_limits(with_overrides(Config(), {"teacher.training.steps": 120}))
    for name, value in (
        ("n_lists", 16001),
        ("student.batch_size", 65),
        ("n_lists", float("nan")),
        ("student.steps", 2001),
        ("teacher.training.steps", 121),
    ):
        with pytest.raises(ValueError, match="allowed"):
            limits.check_limits(with_overrides(LIGHT_CONFIG, {name: value}))
    with pytest.raises(ValueError, match="9 seeds"):
        limits.check_limits(LIGHT_CONFIG, range(9))


def test_dials_stand_where_they_are_offered() -> None:
    """Whatever a browser sends, so that the store has a few of each kind and no more."""
    made = {
        playground.experiment({**playground.DEFAULT, dial: 0.2 + i / 1e4}, LIGHT_CONFIG)[1]
        for dial in ("strength", "lists")
        for i in range(0, 8000, 7)
    }
    assert len(made) == 5 + 9 - 1
    assert LIGHT_CONFIG in made
    for value in (0.0, 1.01, float("nan"), -1):
        with pytest.raises(ValueError, match="allowed here: 0"):
            playground.experiment({**playground.DEFAULT, "strength": value}, LIGHT_CONFIG)


def no_one_waits(place: int) -> None:
    raise AssertionError(f"place {place}, though a turn is free")


def test_visitors_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never more at a time than there are turns, and an error gives its turn back."""
    monkeypatch.setattr(limits, "_turns", limits.Turns(2))
    now, most = [0], [0]

    def train() -> None:
        with limits.hold_turns(lambda place: None):
            now[0] += 1
            most[0] = max(most[0], now[0])
            time.sleep(0.03)
            now[0] -= 1

    with pytest.raises(RuntimeError), limits.hold_turns(no_one_waits):
        raise RuntimeError
    with limits.hold_turns(
        no_one_waits, 8
    ) as held:  # a study takes what is free, and gives it back
        assert held == 2
    threads = [Thread(target=train, daemon=True) for _ in range(7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert most == [2]


def test_the_queue_is_served_in_order_and_says_its_places() -> None:
    """Of four who wait, each hears its place count down, and is served before who came later."""
    turns, served = limits.Turns(1), list[int]()
    heard: list[list[int]] = [[] for _ in range(4)]
    turns.take(no_one_waits)

    def wait(who: int) -> None:
        turns.take(heard[who].append)
        served.append(who)
        turns.give_back(1)

    threads = []
    for who in range(4):
        threads.append(Thread(target=wait, args=(who,), daemon=True))
        threads[-1].start()
        deadline = time.monotonic() + 20
        while not heard[who]:
            assert time.monotonic() < deadline, "no one is told a place"
            time.sleep(0.001)
    assert [places[0] for places in heard] == [1, 2, 3, 4]
    turns.give_back(1)
    for thread in threads:
        thread.join(5)
    assert served == [0, 1, 2, 3]
    for places in heard:
        assert places[-1] == 0, "the words are taken away"
        assert places == sorted(places, reverse=True)
    assert turns.take_free(3) == 1


def test_the_installed_version_is_said() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "minisub", "--version"], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"minisub \d+\.\d+\.\d+\n", said.stdout)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_shells_get_their_completion(shell: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "minisub", "--tyro-print-completion", shell]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "reproduce" in said
    if shell == "bash":
        (tmp_path / "completion").write_text(said)
        subprocess.run(["bash", "-n", str(tmp_path / "completion")], check=True)
