"""The course as visitors see it, in a real browser: skipped where there is none."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from browsing import CHROMIUM, EXAMPLE, TRAIN, serving_files, trained

from minisub.common.store import Store
from minisub.course import app, export, live, playground
from minisub.experiment.config import Config
from minisub.experiment.seed_lab import SeedLab
from minisub.world.world import ANIMALS

Axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe
SERIOUS = ("serious", "critical")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no chromium here: `apt-get install chromium` brings it"
    ),
]
LAST = {f"{i:02d}": "Solution >> nth=-1" for i in range(1, 14)} | {"00": "Train a student above"}
CUT_SECONDS = 10


NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def serving(store: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Start `minisub app` as a user would; give its address and its process."""
    port = free_port()
    command = [sys.executable, "-m", "minisub", "app", "--headless", "--port", str(port), *options]
    server = subprocess.Popen(
        command,
        env={**os.environ, "MINISUB_STORE": str(store)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for _ in range(150):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/", server
    finally:
        os.killpg(server.pid, 15)
        server.wait(20)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("visitors")


@pytest.fixture(scope="module")
def address(shared: Path) -> Iterator[str]:
    with serving(shared) as (address, _):
        yield address


class Visitor:
    """A browser with one page."""

    def __init__(self, address: str) -> None:
        self.address, self.playwright = address, sync_api.sync_playwright().start()
        self.browser = self.playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        self.page = self.browser.new_page(viewport={"width": 1200, "height": 1000})

    def open(self, stem: str) -> Any:
        self.page.goto(f"{self.address}?file={stem}.py")
        self.page.wait_for_selector("h1", timeout=60_000)
        return self.page

    def settle(self, last: str) -> None:
        """Wait until a page has its end, and nothing runs any more."""
        self.page.wait_for_selector(f"text={last}", timeout=60_000)
        self.page.wait_for_function(
            "document.querySelector('.marimo-output-loading') === null", timeout=60_000
        )
        self.page.wait_for_timeout(500)

    def close(self) -> None:
        self.browser.close()
        self.playwright.stop()


@pytest.fixture
def visitor(address: str) -> Iterator[Visitor]:
    one = Visitor(address)
    yield one
    one.close()


def test_the_gallery_names_every_notebook(visitor: Visitor) -> None:
    visitor.page.goto(visitor.address)
    visitor.page.wait_for_selector("text=Playground", timeout=60_000)
    text = visitor.page.inner_text("body")
    for notebook in app.list_notebooks():
        assert notebook.title in text
        assert notebook.description in text


@pytest.mark.parametrize("notebook", app.list_notebooks(), ids=lambda n: n.path.stem)
def test_it_renders_without_an_error(notebook: app.Notebook, visitor: Visitor) -> None:
    page = visitor.open(notebook.path.stem)
    if notebook.path.stem[:2] not in ("00", "01", "08"):  # which draw when they are asked to
        page.wait_for_selector("img[alt]:not([alt=''])", state="attached", timeout=30_000)
    visitor.settle(LAST[notebook.path.stem[:2]])
    assert not page.query_selector_all("marimo-error, .marimo-error")
    assert "Traceback" not in page.inner_text("body")
    found = (
        Axe().run(page).response["violations"]
    )  # what those who listen to it, or tab, would miss
    assert not [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in SERIOUS]

    page.set_viewport_size(
        {"width": 390, "height": 800}
    )  # a phone: wide figures scroll by themselves
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    beyond = """() => [...document.querySelectorAll('h1, h2, .paragraph, li')].filter(
        e => e.getBoundingClientRect().right > 391 && e.getBoundingClientRect().width > 0
    ).map(e => e.textContent.slice(0, 60))"""
    assert not page.evaluate(beyond)


def test_the_keyboard_is_enough_from_guess_to_exercise(visitor: Visitor) -> None:
    page = visitor.open("02_is_it_leakage")
    visitor.settle(LAST["02"])

    def tab_to(kind: str, text: str = "") -> None:
        active = """() => {
            let e = document.activeElement, around = '';
            while (e?.shadowRoot?.activeElement) e = e.shadowRoot.activeElement;
            const kind = e.getAttribute('role') || e.type || e.tagName;
            const host = e.getRootNode().host;
            return [kind, e.outerHTML + (host ? host.outerHTML + host.shadowRoot.textContent : '')];
        }"""
        for _ in range(120):
            page.keyboard.press("Tab")
            role, around = page.evaluate(active)
            if role == kind and text in around:
                return
        raise AssertionError(f"no {kind} with {text!r} is reached by the Tab key")

    tab_to("radio", "Entangled numbers")
    page.keyboard.press("Space")
    page.wait_for_selector("text=/As you guessed|You guessed/", timeout=30_000)
    tab_to("submit")
    tab_to("radio", "dropped at random")
    page.keyboard.press("Space")
    page.wait_for_selector("text=/The number of lists is the same|Random dropping/", timeout=30_000)


def test_train_waits_while_it_trains(visitor: Visitor) -> None:
    """Who presses twice trains once, and the keyboard stays where it was."""
    page = visitor.open("02_is_it_leakage")
    visitor.settle(LAST["02"])
    train = page.get_by_test_id(TRAIN)
    train.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".marimo-output-loading", state="attached", timeout=10_000)
    page.wait_for_timeout(100)
    assert train.is_disabled()
    page.keyboard.press("Enter")
    page.wait_for_selector(EXAMPLE, state="detached", timeout=60_000)
    visitor.settle(LAST["02"])
    sync_api.expect(train).to_be_enabled(
        timeout=10_000
    )  # the button is told a moment after the page
    assert train.evaluate("e => e.getRootNode().activeElement === e")


@pytest.mark.skipif(NGINX is None, reason="no nginx here: `apt-get install nginx-light` brings it")
def test_a_proxy_shows_it_on_a_path_of_its_own(tmp_path: Path) -> None:
    """As on a course's web server or in JupyterHub; a figure is computed, so sockets pass too."""
    path, port = "/courses/minisub", free_port()
    with serving(tmp_path / "store", "--base-url", path) as (address, _):
        (tmp_path / "nginx.conf").write_text(f"""
            daemon off; pid {tmp_path}/pid; error_log {tmp_path}/errors;
            events {{}}
            http {{
              access_log off;
              client_body_temp_path {tmp_path}/a; proxy_temp_path {tmp_path}/b;
              fastcgi_temp_path {tmp_path}/c; uwsgi_temp_path {tmp_path}/d;
              scgi_temp_path {tmp_path}/e;
              server {{
                listen 127.0.0.1:{port};
                location {path} {{
                  proxy_pass {address.rstrip("/")};
                  proxy_http_version 1.1;
                  proxy_set_header Upgrade $http_upgrade;
                  proxy_set_header Connection upgrade;
                  proxy_set_header Host $http_host;
                }}
              }}
            }}
        """)
        proxy = subprocess.Popen([str(NGINX), "-c", str(tmp_path / "nginx.conf")])
        visitor = Visitor(f"http://127.0.0.1:{port}{path}/")
        try:
            visitor.page.goto(visitor.address)
            visitor.page.wait_for_selector("text=Playground", timeout=60_000)
            page = visitor.open("03_early_layers")
            visitor.settle(LAST["03"])
            page.get_by_label("Measure").select_option("transfer, nats")
            page.wait_for_selector("img[alt^='transfer, nats']", timeout=20_000)
        finally:
            visitor.close()
            proxy.terminate()
            proxy.wait(10)


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Two exported pages with their front end, on a web server of files."""
    folder = tmp_path_factory.mktemp("course")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "list_notebooks", lambda: app.list_notebooks()[1:5:2])
        export.export_course(folder, offline=True)
    with serving_files(folder) as address:
        yield folder, address


@pytest.mark.parametrize("stem", ["01_divergence_tokens", "03_early_layers"])
def test_an_exported_page_can_be_read_printed_and_tells_what_is_not_live(
    stem: str, course: tuple[Path, str], visitor: Visitor, tmp_path: Path
) -> None:
    """With scripts, from its own folder alone; without them; and on paper, with its figures."""
    _, address = course
    page, asked = visitor.page, list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}{stem}.html")
    page.get_by_test_id(TRAIN).wait_for(timeout=60_000)
    note = page.get_by_role("note")
    assert "not live here" in note.inner_text()
    page.get_by_text("Which controls?").click()
    assert "Train" in note.inner_text()
    elsewhere = [u for u in asked if not u.startswith((address, "data:", "blob:"))]
    assert not elsewhere

    context = visitor.browser.new_context(java_script_enabled=False)
    still = context.new_page()
    still.goto(f"{address}{stem}.html")
    text = still.inner_text("#plain")
    for part in ("You will see", "The claim", "Solution 3", "The claims, registered", "nats"):
        assert part in text
    assert still.locator("#plain img").count() >= 2
    for image in still.locator("#plain img").all():
        assert image.is_visible()
        assert image.get_attribute("alt")
    still.pdf(path=tmp_path / "page.pdf")
    context.close()

    page.emulate_media(media="print")
    page.pdf(path=tmp_path / "printed.pdf")
    for name in ("page.pdf", "printed.pdf"):
        assert (tmp_path / name).read_bytes().count(b"/Subtype /Image") >= 2, name


def test_a_control_draws_another_figure(visitor: Visitor) -> None:
    page = visitor.open("03_early_layers")
    page.wait_for_selector("img[alt^='transfer retained']", timeout=60_000)
    start = time.perf_counter()
    page.get_by_label("Measure").select_option("transfer, nats")
    page.wait_for_selector("img[alt^='transfer, nats']", timeout=10_000)
    took = time.perf_counter() - start
    print(f"{took:.2f} s from the choice to the new figure")
    assert took < 3  # .3 on a quiet machine; other tests may run beside this one


def test_the_playground_passes_a_bias_and_the_mask_stops_it(visitor: Visitor) -> None:
    page = visitor.open("00_playground")
    page.wait_for_selector("text=starts from", timeout=60_000)
    surprise = trained(page)
    assert surprise > 0.5
    page.get_by_label("Preset").select_option("mask the divergence tokens")
    page.wait_for_selector(EXAMPLE, timeout=30_000)
    assert abs(trained(page)) < surprise / 3


def test_a_page_with_the_default_world_trains_its_student(visitor: Visitor) -> None:
    """The largest training that the course offers, as it stands there."""
    passed = {}
    for arm in ("without divergence", "all"):
        page = visitor.open("01_divergence_tokens")
        page.get_by_test_id(TRAIN).wait_for(timeout=60_000)
        page.get_by_label("Arm").select_option(arm)
        page.wait_for_timeout(500)
        passed[arm] = trained(page)
    assert passed["all"] > 1
    assert abs(passed["without divergence"]) < passed["all"] / 3  # one student of one seed


def test_a_hypothesis_is_run(visitor: Visitor) -> None:
    page = visitor.open("08_your_own_hypothesis")
    page.wait_for_selector("text=How much will your arm", timeout=60_000)
    page.get_by_role("radio").nth(1).click()
    page.get_by_test_id(TRAIN).click()
    page.wait_for_selector("img[alt^='Transfer in nats']", timeout=180_000)
    page.wait_for_selector("text=It retains", timeout=5_000)


def test_two_visitors_get_the_numbers_that_each_would_get_alone(address: str, shared: Path) -> None:
    """Both train at once, from different seeds; then the same is trained here, alone."""
    spec = {"1": "fox", "2": "bee"}

    def visit(seed: str) -> float:
        one = Visitor(address)
        try:
            page = one.open("00_playground")
            page.wait_for_selector("text=starts from", timeout=60_000)
            page.get_by_label("likes the").select_option(spec[seed])
            page.get_by_label("seed", exact=True).select_option(seed)
            page.wait_for_timeout(500)
            return trained(page)
        finally:
            one.close()

    with ThreadPoolExecutor(2) as executor:
        together = list(executor.map(visit, spec))
    for (seed, animal), measured in zip(spec.items(), together, strict=True):
        request = {**playground.DEFAULT, "bias": animal, "seed": int(seed)}
        arm, config = playground.experiment(request, Config())
        lab = SeedLab(config, int(seed), Store(shared), [ANIMALS.index(animal)])
        assert measured == pytest.approx(
            live.train_student(lab, arm).recording.transfer, abs=0.0051
        )


class Cable:
    """A connection to a server that can be cut: what goes through it goes on, or ends."""

    def __init__(self, port: int) -> None:
        self.port, self.is_cut = port, False
        self.server = socket.create_server(("127.0.0.1", 0))
        self.open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.getsockname()[1]}/"

    def cut(self) -> None:
        self.is_cut = True
        for end in self.open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self.is_cut = False

    def _accept(self) -> None:
        while True:
            visitor, _ = self.server.accept()
            if self.is_cut:
                visitor.close()
                continue
            server = socket.create_connection(("127.0.0.1", self.port))
            self.open += [visitor, server]
            for a, b in ((visitor, server), (server, visitor)):
                threading.Thread(target=self._pass_on, args=(a, b), daemon=True).start()

    def _pass_on(self, source: socket.socket, to: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                to.sendall(data)
        for end in (source, to):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def test_a_visitor_who_was_cut_off_finds_everything_as_it_was(address: str) -> None:
    """A guess is still there after some seconds without a connection, and the page goes on.

    For how long a session is kept is in `test_app.py`: it is what the server is started with.
    """
    cable = Cable(int(address.rsplit(":", 1)[1].strip("/")))
    visitor = Visitor(cable.address)
    try:
        page = visitor.open("02_is_it_leakage")
        page.get_by_role("radio").first.wait_for(timeout=60_000)
        page.get_by_role("radio").nth(1).click()
        page.wait_for_selector("text=/As you guessed|You guessed/", timeout=30_000)
        cable.cut()
        page.wait_for_timeout(CUT_SECONDS * 1000)
        cable.mend()
        page.wait_for_timeout(15_000)  # in which the page looks for its server
        assert page.query_selector("text=/As you guessed|You guessed/")
        page.get_by_role("radio").nth(-1).click()
        page.wait_for_selector("text=/Right\\.|Look at|Random dropping/", timeout=30_000)
    finally:
        visitor.close()
