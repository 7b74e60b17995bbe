"""A browser on pages of this machine, which tells what is wrong with a page.

The browser is the Chromium of the machine, driven by playwright. Tests use the fixtures
of tests/browser/conftest.py, which skip where one of the two is missing.
"""

import contextlib
import functools
import http.server
import shutil
import threading

import pytest

WIDE, PHONE = 1400, 390  # pixels
NAMES = ("chromium", "chromium-browser", "google-chrome")
ALONE = "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"  # no other machine has an address
OVERFLOW = """() => {
    const root = document.documentElement, width = root.clientWidth;
    if (root.scrollWidth <= width) return [];
    const beyond = [...document.querySelectorAll("body *")].filter(
        (e) => e.getBoundingClientRect().right > width + 1);
    const said = (e) => `<${e.tagName.toLowerCase()} class="${e.className}">`;
    return [`${root.scrollWidth} pixels in ${width}`, ...beyond.slice(0, 4).map(said)];
}"""
BROKEN_IMAGES = """async () => {
    const images = [...document.images];
    images.forEach((image) => { image.loading = "eager"; });
    const loads = images.map((image) => image.decode().then(() => null, () => image));
    const broken = (await Promise.all(loads)).filter((image) => image);
    return broken.filter((image) => !image.naturalWidth).map((image) => image.src);
}"""


@contextlib.contextmanager
def served(folder):
    """The address under which a folder can be read, on this machine alone."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # which keeps connections

        def log_message(self, *arguments):
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def started():
    """A browser without a window, or a skip with the reason."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is missing")
    paths = [path for path in map(shutil.which, NAMES) if path]
    if not paths:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on the path")
    with api.sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", f"--host-resolver-rules={ALONE}"]
        browser = playwright.chromium.launch(executable_path=paths[0], args=options)
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """A page of a browser, and all that goes wrong on it.

    Attributes
    ----------
    page : Page
        Of playwright.
    troubles : list of str
        Errors in the console, errors of scripts, requests that fail, and requests to
        other machines, which the browser cannot reach.
    """

    def __init__(self, browser, address, width=WIDE, dark=False):
        self.address, self.troubles = address, []
        self.context = browser.new_context(
            viewport={"width": width, "height": 1000},
            color_scheme="dark" if dark else "light",
        )
        self.page = self.context.new_page()
        self.page.on("request", self._asked)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self._note("error", error))
        self.page.on("requestfailed", self._failed)
        self.page.on("response", self._answered)

    def open(self, path):
        """Go to a page; what was noted before is forgotten."""
        self.troubles.clear()
        self.page.goto(f"{self.address}/{path}", wait_until="load")

    def resize(self, width):
        self.page.set_viewport_size({"width": width, "height": 1000})

    def overflow(self):
        """By how much the page is wider than the window, and what sticks out."""
        return self.page.evaluate(OVERFLOW)

    def broken_images(self):
        return self.page.evaluate(BROKEN_IMAGES)

    def close(self):
        self.context.close()

    def _asked(self, request):
        if not request.url.startswith((self.address, "data:", "blob:")):
            self._note("leaves this machine", request.url)

    def _said(self, message):
        if message.type == "error":
            self._note("console", message.text)

    def _failed(self, request):
        if request.failure != "net::ERR_ABORTED":  # by going on to the next page
            self._note(request.failure, request.url)

    def _answered(self, response):
        if response.status >= 400:
            self._note(response.status, response.url)

    def _note(self, what, text):
        self.troubles.append(f"{what}: {text}")
