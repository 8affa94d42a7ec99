"""A headless Chromium that is spoken to over two pipes, in the DevTools protocol; nothing is installed for it."""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import time

FLAGS = [
    "--headless=new",
    "--no-sandbox",  # the tests may run as root; the only page is our own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-quic",
    "--remote-debugging-pipe",
]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
KEYS = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Backspace": 8, "Enter": 13}
PATIENCE = 120  # seconds: a loaded machine is slow, and nothing here measures time


def where():
    """Return the path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One Chromium with a profile of its own, and one page in it."""

    def __init__(self, profile):
        asked, self._ask = os.pipe()
        self._answers, answer = os.pipe()
        # the child finds them as 3 and 4; both are moved out of the way first, so that neither is written over
        high = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (asked, answer)]

        def places():
            for end, number in zip(high, (3, 4), strict=True):
                os.dup2(end, number)

        self._process = subprocess.Popen(
            [where(), *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=places,
            pass_fds=(3, 4),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (asked, answer, *high):
            os.close(end)
        self._number, self._left, self.events = 0, b"", []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = None
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    _session = None

    def call(self, method, **parameters):
        """Call a method and return its result; events that come first are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._ask, json.dumps(message).encode() + b"\0")
        while (said := self._read()).get("id") != self._number:
            self.events.append(said)
        if "error" in said:
            raise RuntimeError(f"{method}: {said['error']}")
        return said["result"]

    def _read(self):
        until = time.monotonic() + PATIENCE
        while b"\0" not in self._left:
            if not select.select([self._answers], [], [], max(0, until - time.monotonic()))[0]:
                raise TimeoutError("Chromium does not answer")
            more = os.read(self._answers, 1 << 20)
            if not more:
                raise RuntimeError("Chromium ended")
            self._left += more
        message, _, self._left = self._left.partition(b"\0")
        return json.loads(message)

    def open(self, url):
        """Go to a page; ``until`` says when it is ready."""
        self.call("Page.navigate", url=url)

    def js(self, text):
        """Return the value of an expression in the page, promises awaited."""
        found = self.call("Runtime.evaluate", expression=text, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"])
        return found["result"].get("value")

    def until(self, text):
        """Wait until an expression holds, and return its value."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(RuntimeError):  # between two pages there is none
                if value := self.js(text):
                    return value
            time.sleep(0.02)
        raise TimeoutError(f"never true: {text}; the page says {self.js('document.body.innerText')!r}")

    def press(self, key):
        """Press and release a key, as a person does."""
        code = KEYS.get(key, ord(key.upper()[0]))
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **(text if kind == "keyDown" else {}))

    def type(self, text):
        """Type a text into what has the focus."""
        self.call("Input.insertText", text=text)

    def click(self, selector):
        """Click the middle of an element with the mouse."""
        box = self.js(
            f"(() => {{ const b = document.querySelector({selector!r}).getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; }})()"
        )
        x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self, width=1280, height=800, dark=False):
        """Return the page as PNG."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def close(self):
        """End it."""
        self._session = None
        with contextlib.suppress(Exception):
            self.call("Browser.close")
        for end in (self._ask, self._answers):
            os.close(end)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
