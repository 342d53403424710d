"""What a headless Chromium that can resolve no host sees of a page: sizes, pictures, requests and its log."""

import json
import os
import re
import shutil
import subprocess

import pytest

MEASURES = """<script>window.addEventListener('load', () => {
const all = [...document.querySelectorAll('body *')];
const told = all.filter(e => [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim()));
const framed = e => e.closest('.scroll') !== null;
parent.postMessage(JSON.stringify({
 width: innerWidth, page: document.documentElement.scrollWidth,
 beyond: all.filter(e => !framed(e) && e.getBoundingClientRect().right > innerWidth + 1).length,
 images: [...document.images].map(i => i.complete ? i.naturalWidth : 0), shown: [...document.images].map(i => i.width),
 small: Math.min(...told.map(e => parseFloat(getComputedStyle(e).fontSize))),
 cells: Math.max(...[...document.querySelectorAll('table')].map(t => t.scrollWidth - t.parentElement.clientWidth)),
 fetched: performance.getEntriesByType('resource').map(r => r.name).filter(n => !n.startsWith('data:'))}), '*')});
</script>"""
FRAME = """<!doctype html><link rel="icon" href="data:,"><body style="margin:0"><script>
onmessage = e => document.body.dataset.seen = e.data</script>
<iframe src="{name}" style="border:0;width:{width}px;height:900px"></iframe>"""  # a window is no narrower than 500 pixels
BROWSER = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--virtual-time-budget=5000",
    "--enable-logging=stderr",
    "--window-size=1400,1000",
    "--hide-scrollbars",
)


def chromium():
    """Return the browser; skip without it, but fail in CI."""
    found = shutil.which("chromium")
    if found is None:
        message = "chromium is not installed (apt-get install chromium)"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    return found


def browse(folder, *flags, attempts=3):
    """Run the browser with a fresh profile in `folder`; one that crashes or hangs, as it does under load, is started again."""
    for attempt in range(attempts):
        try:
            ran = subprocess.run(
                [chromium(), *BROWSER, f"--user-data-dir={folder / f'profile{attempt}'}", *flags],
                capture_output=True,
                timeout=120,
                text=True,
            )
        except subprocess.TimeoutExpired:  # it sits idle, as it does on a machine that is too busy
            if attempt == attempts - 1:
                raise
            continue
        if ran.returncode >= 0:  # not killed by a signal of its own
            break
    ran.check_returncode()
    return ran


def seen_in_a_browser(path, folder, width):
    """Return what a headless Chromium sees of a page at a width, and its log; `folder` holds what the page refers to."""
    (folder / "probed.html").write_text(path.read_text().replace("</body>", f"{MEASURES}</body>"))
    frame = folder / "frame.html"
    frame.write_text(FRAME.format(name="probed.html", width=width))
    ran = browse(folder, "--dump-dom", frame.as_uri())
    seen = re.search(r'data-seen="([^"]*)"', ran.stdout)[1]
    return json.loads(seen.replace("&quot;", '"')), ran.stderr
