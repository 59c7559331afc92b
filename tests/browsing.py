"""What the tests in a browser share."""

import functools
import http.server
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
EXAMPLE = "text=An example, trained before"
TRAIN = "marimo-plugin-form-submit-button"


class Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving_files(folder: Path) -> Iterator[str]:
    """Serve a folder as any static host would; give its address."""
    handler = functools.partial(Files, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def trained(page: Any) -> float:
    """Press Train and read the verdict, in nats."""
    page.get_by_test_id(TRAIN).click()
    page.wait_for_selector(EXAMPLE, state="detached", timeout=30_000)
    page.wait_for_selector("text=/has passed: .*nats|nats: not more than/", timeout=120_000)
    text = page.inner_text("body")
    found = re.search(r"([+-]\d+\.\d+) nats(?:\.|: not more than)", text)
    assert found, text
    return float(found[1])
