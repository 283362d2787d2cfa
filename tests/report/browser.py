"""Pages as headless Chromium shows them: what goes wrong, what is drawn, what is too wide."""

import base64
import hashlib
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""
"""Path of the browser; empty where there is none."""

# Frames, since the window itself cannot be as narrow as a phone; they report to the page that holds them.
_WATCH = """
(function () {
  var errors = [], tries = 0;
  addEventListener("error", function (event) { errors.push(event.message); });
  addEventListener("securitypolicyviolation", function (event) { errors.push("policy: " + event.violatedDirective); });
  console.error = function () { errors.push(Array.from(arguments).join(" ")); };
  function paths(plot) {
    var drawn = plot.querySelector("svg.main-svg");
    return drawn && drawn.clientWidth ? plot.querySelectorAll(".cartesianlayer path").length : 0;
  }
  function tell() {
    var page = document.documentElement, plots = Array.from(document.querySelectorAll(".plot"));
    var next = plots.find(function (plot) { return !paths(plot) && !plot.dataset.seen; });
    if (next) {
      /* Figures are drawn when they come near. */
      scrollTo(0, next.getBoundingClientRect().top + scrollY - 100);
      if (tries++ % 20 === 19) next.dataset.seen = "in vain";
      requestAnimationFrame(function () { setTimeout(tell, 50); });
      return;
    }
    var counts = Object.fromEntries(plots.map(function (plot) { return [plot.id, paths(plot)]; }));
    var excess = page.scrollWidth - page.clientWidth;
    parent.postMessage({ name: window.name, errors: errors, plots: counts, excess: excess }, "*");
  }
  addEventListener("load", function () { setTimeout(tell, 200); });
})();
"""
_HOLD = """
var found = [];
addEventListener("message", function (event) {
  found.push(event.data);
  if (found.length === document.querySelectorAll("iframe").length) console.log("found " + JSON.stringify(found));
});
"""
_SECONDS = 60
"""After so many a browser that says nothing is given up."""


def look(pages: Mapping[str, tuple[str, int]], folder: Path) -> dict[str, dict[str, Any]]:
    """Open ``pages`` (by name: the page, the width of its frame in pixels) beside each other, in one browser.

    Return by name: ``errors``, messages; ``plots``, by the figure's id the number of paths drawn; ``excess``, pixels
    that the page is wider than its frame. ``folder`` takes the files.
    """
    frames = ""
    for name, (page, width) in pages.items():
        file = folder / f"{name}.html"
        file.write_text(_watched(page), encoding="utf-8")
        style = f"flex:none;border:0;width:{width}px;height:1000px"
        frames += f'<iframe name="{name}" src="{file.as_uri()}" style="{style}"></iframe>'
    holder = folder / "holder.html"
    holder.write_text(f'<script>{_HOLD}</script><div style="display:flex">{frames}</div>', encoding="utf-8")
    size = f"{sum(width for _, width in pages.values())},1200"
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr"]
    command = [CHROMIUM, *options, f"--user-data-dir={folder / 'profile'}", f"--window-size={size}", holder.as_uri()]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as browser:
        assert browser.stderr is not None
        stop = threading.Timer(_SECONDS, os.killpg, (browser.pid, signal.SIGKILL))
        stop.start()
        # Its console goes to the log.
        told = next((line for line in browser.stderr if '"found [' in line), "")
        stop.cancel()
        os.killpg(browser.pid, signal.SIGKILL)
    assert told, f"no answer of {CHROMIUM} within {_SECONDS} seconds"
    found = json.loads(told.split('"found ', 1)[1].rsplit('", source:', 1)[0])
    return {one.pop("name"): one for one in found}


def _watched(page: str) -> str:
    """The page with the watching script, which its policy then allows too."""
    digest = base64.b64encode(hashlib.sha256(_WATCH.encode()).digest()).decode()
    assert "script-src " in page
    page = page.replace("script-src ", f"script-src 'sha256-{digest}' ", 1)
    return page.replace("<title>", f"<script>{_WATCH}</script><title>", 1)
