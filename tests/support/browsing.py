"""Pages in a real browser: how wide they are, what is in them, how well they can be read, and what they ask for."""

from __future__ import annotations

import functools
import html
import http.server
import json
import re
import shutil
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BROWSER = "chromium"
OUTSIDE = "http://outside.invalid/seen"
_FLAGS = (
    "--headless=new", "--no-sandbox", "--hide-scrollbars", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--virtual-time-budget=20000", "--window-size=1400,1000",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)  # fmt: skip
_DARK, _LIGHT = "--blink-settings=preferredColorScheme=0", "--blink-settings=preferredColorScheme=1"
_LOOK = """<!doctype html><body><script>
const pages = PAGES, widths = WIDTHS, found = [];
const shade = c => { const v = c / 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
const light = ([r, g, b]) => 0.2126 * shade(r) + 0.7152 * shade(g) + 0.0722 * shade(b);
const parts = text => text.match(/[0-9.]+/g).map(Number);
function ground(element, view) {
  for (let at = element; at; at = at.parentElement) {
    const [r, g, b, a = 1] = parts(view.getComputedStyle(at).backgroundColor);
    if (a === 1) return [r, g, b];
  }
  return [255, 255, 255];
}
function contrast(page) {
  let worst = 99, where = '';
  for (const element of page.body.querySelectorAll('*')) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!own || element.closest('.hidden')) continue;
    const two = [parts(page.defaultView.getComputedStyle(element).color), ground(element, page.defaultView)].map(light);
    const ratio = (Math.max(...two) + 0.05) / (Math.min(...two) + 0.05);
    if (ratio < worst) { worst = ratio; where = element.outerHTML.slice(0, 80); }
  }
  return [worst, where];
}
async function look(name, width) {
  const frame = document.createElement('iframe');
  frame.width = width; frame.height = 900; frame.style.border = 0; frame.src = '/' + name;
  await new Promise(done => { frame.onload = done; document.body.append(frame); });
  const page = frame.contentDocument, root = page.documentElement;
  for (const part of page.querySelectorAll('details')) part.open = true;
  const [ratio, where] = contrast(page);
  found.push({ name, width, ratio, where, scroll: root.scrollWidth, client: root.clientWidth,
    dark: frame.contentWindow.matchMedia('(prefers-color-scheme: dark)').matches, text: page.body.textContent,
    foreign: page.querySelectorAll('script, img, iframe, object, embed, form, b, base, [onerror], [style]').length
  });
  frame.remove();
}
(async () => {
  await fetch('OUTSIDE', { mode: 'no-cors' }).catch(() => 0);
  for (const name of pages) for (const width of widths) await look(name, width);
  document.body.textContent = JSON.stringify(found);
})();
</script>"""


@attrs.frozen
class Look:
    """What a browser saw of one page at one width.

    Attributes:
        name: the page, from the folder.
        width: of the window, in pixels.
        scroll, client: how wide the content and the window are; equal if nothing has to be scrolled sideways.
        text: all that the page says.
        ratio, where: the worst contrast of a text to what is behind it (WCAG), and of which element.
        dark: whether the page was asked to be dark.
        foreign: how many elements there are that run, load or send something, or could only come from hostile text.
    """

    name: str
    width: int
    scroll: int
    client: int
    text: str
    ratio: float
    where: str
    dark: bool
    foreign: int


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine; gives its address."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        @override
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def looked_at(folder: Path, pages: list[str], widths: list[int], *, dark: bool, scratch: Path) -> list[Look]:
    """Open pages in a browser and return what it saw.

    Raises:
        AssertionError: the browser is missing, or a page asked for anything outside of the folder.
    """
    assert shutil.which(BROWSER), f"{BROWSER} is missing: scripts/test installs it"
    script = _LOOK.replace("PAGES", json.dumps(pages)).replace("WIDTHS", json.dumps(widths)).replace("OUTSIDE", OUTSIDE)
    (folder / "look.html").write_text(script, "utf-8")
    log = scratch / "net.json"
    with served(folder) as address:
        words = [BROWSER, *_FLAGS, _DARK if dark else _LIGHT, f"--user-data-dir={scratch / 'profile'}"]
        words += [f"--log-net-log={log}", "--dump-dom", f"{address}/look.html"]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    (folder / "look.html").unlink()
    shutil.rmtree(scratch / "profile", ignore_errors=True)
    asked = requests_in(log.read_text("utf-8"), address)
    assert asked.pop(OUTSIDE, None), "the net log would not show a request to the outside"
    assert [url for url in asked if not url.startswith(f"{address}/")] == []
    body = re.search(r"<body>(.*)</body>", done.stdout, re.DOTALL)
    assert body, done.stderr[-500:]
    return [Look(**look) for look in json.loads(html.unescape(body[1]))]


def requests_in(text: str, origin: str) -> dict[str, int]:
    """Return what pages of an origin asked for, from a net log; what the browser itself asked for has no origin."""
    found: dict[str, int] = {}
    for line in text.splitlines():  # an event a line
        if not line.startswith('{"p'):
            continue
        event, _ = json.JSONDecoder().raw_decode(line)
        params = event.get("params") or {}
        if params.get("initiator") == origin and "url" in params:
            found[params["url"]] = found.get(params["url"], 0) + 1
    return found
