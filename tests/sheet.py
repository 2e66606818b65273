"""A `Browser` on a bare page, without Jupyter: what the kernel and the page say to each other goes
through Playwright.
"""

import base64
import os
import re
import shutil
from contextlib import contextmanager

HARNESS = """
const unpack = (v) => {
  if (Array.isArray(v)) return v.map(unpack);
  if (v === null || typeof v !== "object") return v;
  if ("$bytes" in v) return new DataView(Uint8Array.from(atob(v.$bytes), (c) => c.charCodeAt(0)).buffer);
  return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, unpack(x)]));
};
const pack = (b) => {
  const bytes = new Uint8Array(b);
  let text = "";
  for (let i = 0; i < bytes.length; i += 4096) text += String.fromCharCode(...bytes.subarray(i, i + 4096));
  return btoa(text);
};
window.mount = async (source, state, el) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const widget = (await import(url)).default, values = unpack(state), listeners = {};
  const tell = (name, ...rest) => (listeners[name] ?? []).slice().forEach((f) => f(...rest));
  const model = {
    get: (name) => values[name],
    on: (name, f) => (listeners[name] ??= []).push(f),
    off: (name, f) => (listeners[name] = (listeners[name] ?? []).filter((g) => g !== f)),
    send: async (content, _, buffers = []) => model.hear(await window.kernel(content, buffers.map(pack))),
    hear: (events) => {
      for (const e of events) {
        if (e.trait) { values[e.trait] = unpack(e.value); tell(`change:${e.trait}`); }
        else tell("msg:custom", e.content, unpack(e.buffers));
      }
      window.heard = performance.now();
    },
  };
  window.model = model;
  return widget.render({ model, el });
};
"""  # noqa: E501


def chromium() -> str | None:
    """Return the system's Chromium, or the one that CHROMIUM names; None where there is none, or
    CHROMIUM is empty.
    """
    if (named := os.environ.get("CHROMIUM")) is not None:
        return named or None
    return next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )


@contextmanager
def launched(playwright):
    "Chromium, which does not look for anything outside."
    browser = playwright.chromium.launch(
        executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"]
    )
    try:
        yield browser
    finally:
        browser.close()


HERE = re.compile(
    r"https?://127\.0\.0\.1:|data:|blob:|about:|https://cdn.jsdelivr.net/npm/@fortawesome/"
)


@contextmanager
def watched(chrome, **viewport):
    "A page on which nothing may fail, and which may not ask for anything outside."
    context = chrome.new_context(viewport=viewport or {"width": 1400, "height": 1000})
    context.set_default_timeout(20_000)
    page, errors, outside = context.new_page(), [], []
    # the icons of Voila's own page
    page.route("**/cdn.jsdelivr.net/npm/@fortawesome/**", lambda route: route.abort())
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.on("request", lambda r: HERE.match(r.url) or outside.append(r.url))
    try:
        yield page
    finally:
        context.close()
    assert not errors, errors
    assert not outside, outside


def packed(value):
    "What json cannot hold, the bytes, in base64."
    if isinstance(value, bytes | memoryview):
        return {"$bytes": base64.b64encode(bytes(value)).decode()}
    if isinstance(value, dict):
        return {k: packed(v) for k, v in value.items()}
    return [packed(v) for v in value] if isinstance(value, list | tuple) else value


class Canvas:
    """`widget` on `page`; `sizes` has the bytes of each message that the kernel sent."""

    def __init__(self, page, widget, style: str = "", attributes: str = ""):
        self.page, self.widget, self.sizes, self.events = page, widget, [], []
        widget.send = self._send
        widget.observe(self._changed, names=["_view", "_setup"])
        page.expose_function("kernel", self._kernel)
        page.set_content(
            f"<!doctype html><html lang=en><title>Browser</title><style>{widget._css}\n{style}</style><body {attributes}><main></main>"  # noqa: E501
        )
        page.add_script_tag(content=HARNESS)
        state = packed({"_setup": widget._setup, "_view": widget._view})
        page.evaluate(
            "([source, state]) => mount(source, state, document.querySelector('main'))",
            [widget._esm, state],
        )

    def _kernel(self, content: dict, buffers: list[str]) -> list[dict]:
        self.events = []
        self.widget._received(
            self.widget, content, [memoryview(base64.b64decode(b)) for b in buffers]
        )
        return self.events

    def _send(self, content, buffers=None):
        self._say({"content": content, "buffers": packed(list(buffers or []))})

    def _changed(self, change):
        self._say({"trait": change["name"], "value": packed(change["new"])})

    def _say(self, event: dict):
        self.events.append(event)
        self.sizes.append(measure(event))

    def push(self):
        "Bring to the page what was changed from code."
        self.page.evaluate("(events) => model.hear(events)", self.events)


def measure(event) -> int:
    "Bytes as they travel: text as it is, buffers not in base64."
    if isinstance(event, dict) and "$bytes" in event:
        return len(event["$bytes"]) * 3 // 4
    if isinstance(event, dict):
        return sum(len(k) + 3 + measure(v) for k, v in event.items()) + 2
    return sum(measure(v) + 1 for v in event) + 2 if isinstance(event, list) else len(str(event))
