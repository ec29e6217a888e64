"""A headless Chromium, driven by the DevTools protocol through two pipes.

Pipes need no port and no library for web sockets: messages are JSON, each with a zero byte at its
end. chromedevtools.github.io/devtools-protocol has the methods.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.support.process import PATIENCE

NAMES = ("chromium-headless-shell", "chromium")

# As root and without a GPU; nothing of a profile is kept, and nothing asks the network.
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-pipe",
)

# Modifiers of Input.dispatchKeyEvent.
SHIFT = 8

KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "Space": 32, "End": 35, "Home": 36}

Message = dict[str, Any]  # whatever the protocol has


def program() -> str | None:
    """The browser's program, or None."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Node(NamedTuple):
    """One of the accessibility tree. ``properties`` by name."""

    role: str
    name: str
    description: str
    properties: dict[str, Any]


class Chromium:
    """The browser; a context manager."""

    def __init__(self, profile: Path) -> None:
        self.complaints: list[str] = []
        found = program()
        assert found is not None
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        self._log = (profile / "stderr").open("wb")
        words = [found, *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        # The protocol's pipes are descriptors 3 and 4.
        script = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, "bash", *words],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
            env={**os.environ, "HOME": str(profile), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._in, self._out = ours_in, ours_out
        self._rest = b""
        self._number = 0
        self._listeners: dict[str, Callable[[Message], None]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.send("Browser.close")
        self._process.wait(PATIENCE)
        os.close(self._in)
        os.close(self._out)
        self._log.close()

    def listen(self, session: str, hear: Callable[[Message], None]) -> None:
        """``hear`` gets the events of a session."""
        self._listeners[session] = hear

    def send(self, method: str, session: str | None = None, **params: Any) -> Message:
        """Call a method, and return its result. Fails the test where it has failed."""
        self._number += 1
        number = self._number
        message: Message = {"id": number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        for answer in self._messages(method):
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: Message = answer["result"]
                return result
        raise AssertionError("unreachable")

    def _messages(self, why: str) -> Iterator[Message]:
        """Answers; events go to their listeners."""
        end = time.monotonic() + PATIENCE
        while True:
            *whole, self._rest = self._rest.split(b"\0")
            for position, each in enumerate(whole):
                message = json.loads(each)
                if "id" in message:
                    # What came behind an answer is for the next call.
                    self._rest = b"\0".join([*whole[position + 1 :], self._rest])
                    yield message
                    break
                hear = self._listeners.get(message.get("sessionId", ""))
                if hear is not None:
                    hear(message)
            else:
                assert time.monotonic() < end, f"no answer: {why}"
                assert select.select([self._in], [], [], PATIENCE)[0], f"no answer: {why}"
                piece = os.read(self._in, 1 << 20)
                assert piece, f"the browser has ended: {why}"
                self._rest += piece

    def open(self, url: str, *, width: int = 1280, height: int = 900) -> "Page":
        """A page of its own, without anybody's cookies."""
        context = self.send("Target.createBrowserContext")["browserContextId"]
        target = self.send("Target.createTarget", url="about:blank", browserContextId=context)
        page = Page(self, target["targetId"], context)
        page.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        page.goto(url)
        return page


class Page:
    """One page. ``complaints``: errors of its console, of scripts and of what it loads."""

    def __init__(self, browser: Chromium, target: str, context: str) -> None:
        self.complaints: list[str] = []
        self._browser = browser
        self._target = target
        self._context = context
        attached = browser.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session: str = attached["sessionId"]
        browser.listen(self._session, self._hear)
        for domain in ("Page", "Runtime", "Log", "Accessibility", "DOM"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Message:
        """One method of the protocol, for this page."""
        return self._browser.send(method, self._session, **params)

    def _hear(self, event: Message) -> None:
        params = event["params"]
        match event["method"]:
            case "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                said = details.get("exception", {}).get("description", "")
                self.complaints.append(f"{details['text']} {said}")
            case "Runtime.consoleAPICalled" if params["type"] in {"error", "assert", "warning"}:
                words = [str(a.get("value", a.get("description"))) for a in params["args"]]
                self.complaints.append(f"console.{params['type']}: {' '.join(words)}")
            case "Log.entryAdded" if params["entry"]["level"] in {"error", "warning"}:
                entry = params["entry"]
                self.complaints.append(f"{entry['text']} {entry.get('url', '')}")
            case "Page.javascriptDialogOpening":
                self.complaints.append(f"dialog: {params['message']}")

    def goto(self, url: str) -> None:
        """Load it."""
        self.call("Page.navigate", url=url)
        self.wait(f"document.readyState === 'complete' && location.href === {json.dumps(url)}", url)

    def eval(self, script: str) -> Any:
        """The value of an expression, of a promise what it resolves to."""
        result = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in result, f"{script}: {result['exceptionDetails']}"
        return result["result"].get("value")

    def wait(self, script: str, what: str = "") -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.eval(f"Boolean({script})"):
            assert time.monotonic() < end, f"never: {what or script}\n{self.text()}"
            time.sleep(0.02)

    def text(self) -> str:
        """All that can be read."""
        return str(self.eval("document.body.innerText"))

    def has(self, text: str) -> None:
        """Wait for a text."""
        inside = f"(document.body?.innerText ?? '').includes({json.dumps(text)})"
        self.wait(inside, f"the text {text!r}")

    def settled(self) -> None:
        """Wait until nothing is being read."""
        self.wait(
            "document.querySelector('main')?.dataset.at === location.hash"
            " && document.querySelector('h2') && !document.querySelector('[aria-busy]')"
            " && !document.querySelector('.busy')",
            "the view is there",
        )

    def click(self, selector: str) -> None:
        """Press the mouse on the middle of an element."""
        found = json.dumps(selector)
        self.wait(f"document.querySelector({found})", f"an element {selector}")
        x, y = self.eval(
            f"(() => {{ const e = document.querySelector({found});"
            "e.scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'});"
            "const r = e.getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str, modifiers: int = 0) -> None:
        """One key, by its name or its letter."""
        code = KEYS.get(key, 0)
        text = {"Enter": "\r", "Space": " "}.get(key, "" if code else key)
        name = " " if key == "Space" else key
        for kind in ("keyDown" if text else "rawKeyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=name,
                code=key,
                windowsVirtualKeyCode=code,
                modifiers=modifiers,
                text=text if kind == "keyDown" else "",
            )

    def type(self, text: str) -> None:
        """Into what has the focus."""
        self.call("Input.insertText", text=text)

    def focused(self) -> str:
        """The key, or the text, of what has the focus."""
        return str(
            self.eval(
                "document.activeElement.dataset.key || document.activeElement.ariaLabel"
                " || document.activeElement.textContent"
            )
        )

    def nodes(self) -> list[Node]:
        """The accessibility tree, without what is ignored."""
        found = self.call("Accessibility.getFullAXTree")["nodes"]
        return [
            Node(
                node["role"]["value"],
                str(node.get("name", {}).get("value", "")),
                str(node.get("description", {}).get("value", "")),
                {each["name"]: each["value"].get("value") for each in node.get("properties", [])},
            )
            for node in found
            if not node.get("ignored")
        ]

    def screenshot(self, path: Path) -> None:
        """What is seen, as a PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        """Close it, and forget its cookies."""
        self._browser.send("Target.closeTarget", targetId=self._target)
        self._browser.send("Target.disposeBrowserContext", browserContextId=self._context)
