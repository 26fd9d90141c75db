"""A headless Chromium, driven over a pipe with the DevTools protocol.

Nothing of a page reaches the network here: there is no name server for it, and every request that
it tries, every message on its console and every exception is kept in `requests` and `messages`.
"""

import base64
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

NAMES = ("chromium", "chromium-browser", "google-chrome")

FLAGS = [
    "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-extensions", "--disable-default-apps", "--mute-audio", "--hide-scrollbars",
    "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND", "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
]

KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowUp": 38,
        "ArrowRight": 39, "ArrowDown": 40, " ": 32}


def program():
    """The path of a Chromium, or None."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class BrowserError(Exception):
    pass


class Browser:
    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="sbp_browser_")
        self.messages, self.requests, self.events = [], [], []
        self.buffer, self.number = b"", 0
        flags = list(FLAGS)
        if os.geteuid() == 0:
            flags.append("--no-sandbox")  # its sandbox refuses root
        from_us, self.to_it = os.pipe()
        self.from_it, to_us = os.pipe()
        # The protocol wants descriptors 3 and 4.
        words = ["/bin/sh", "-c", f'exec "$@" 3<&{from_us} 4>&{to_us}', "sh", program(), *flags,
                 f"--user-data-dir={self.profile}", "about:blank"]
        self.process = subprocess.Popen(words, pass_fds=(from_us, to_us), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(from_us)
        os.close(to_us)
        self.session = None
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page["targetId"],
                                 flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self):
        try:
            self.session = None
            self.call("Browser.close")
        except (BrowserError, OSError):
            pass
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.to_it)
        os.close(self.from_it)
        shutil.rmtree(self.profile, ignore_errors=True)

    # ---- the protocol

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_it, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.keep(answer)

    def receive(self):
        while b"\0" not in self.buffer:
            part = os.read(self.from_it, 1 << 20)
            if not part:
                raise BrowserError("the browser ended")
            self.buffer += part
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def keep(self, event):
        method, parameters = event.get("method"), event.get("params", {})
        self.events.append(method)
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Runtime.consoleAPICalled":
            self.messages.append(str(parameters["args"]))
        elif method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.messages.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded":
            self.messages.append(parameters["entry"]["text"])

    # ---- what a person does

    def size(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)

    def media(self, media="", **features):
        """For instance media("print") or media(prefers_color_scheme="dark")."""
        self.call("Emulation.setEmulatedMedia", media=media, features=[
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()])

    def open(self, file):
        """Opens a page from disk, waits until it is drawn and answers after how many ms it was."""
        self.messages, self.requests, self.events = [], [], []
        self.call("Page.navigate", url=pathlib.Path(file).resolve().as_uri())
        for _ in range(600):
            ready = self.run("document.documentElement?.getAttribute('data-ready')")
            if ready is not None:
                return int(ready)
            if self.messages:
                raise BrowserError(f"the page failed: {self.messages}")
            time.sleep(0.05)
        raise BrowserError("the page was not ready after 30 s")

    def run(self, expression):
        """The value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise BrowserError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def press(self, key, shift=False):
        code = KEYS[key]
        text = {"Enter": "\r", " ": " "}.get(key)
        modifiers = 8 if shift else 0
        down = {"type": "keyDown" if text else "rawKeyDown", "key": key, "code": key,
                "windowsVirtualKeyCode": code, "modifiers": modifiers}
        if text:
            down["text"] = text
        self.call("Input.dispatchKeyEvent", **down)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key,
                  windowsVirtualKeyCode=code, modifiers=modifiers)

    def write(self, text):
        self.call("Input.insertText", text=text)

    def move(self, x, y):
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def screenshot(self, file, whole=True):
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole,
                         **({"clip": self.whole_page()} if whole else {}))
        pathlib.Path(file).write_bytes(base64.b64decode(shot["data"]))

    def whole_page(self):
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 9000),
                "scale": 1}

    def print_pdf(self, file):
        pdf = self.call("Page.printToPDF", printBackground=True, preferCSSPageSize=False)
        pathlib.Path(file).write_bytes(base64.b64decode(pdf["data"]))
