"""Does every page of the site load and fit? python tests/measure_site.py DIR [PAGE ...], after `python notebooks/site.py DIR`.

It needs Chromium, which visits every page, 1,280 and then 390 pixels wide, from a server of this process; nothing else is
reached. `faults` says what is wrong on a page: an error in the console, a file that does not load, a formula that was left as
it is written or that MathJax refuses, a page that is wider than its window, a table or a formula that is cut on a screen.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SCREEN, PHONE = 1280, 390  # pixels
LONGEST = 900  # seconds for all pages
PROBE = """<script>
window.told = [];
addEventListener("error", e => told.push(e.message || `${e.target.src || e.target.href} does not load`), true);
addEventListener("unhandledrejection", e => told.push(`${e.reason}`));
for (const kind of ["error", "warn"]) console[kind] = (...words) => told.push(words.join(" "));
</script>"""
VISIT = """<!doctype html><meta charset="utf-8"><body><script>
const sleep = ms => new Promise(done => setTimeout(done, ms));
const until = async there => { for (let i = 0; i < 600 && !there(); i++) await sleep(20); };
const short = (e, length = 60) => e.textContent.trim().replace(/\\s+/g, " ").slice(0, length);
const scrolls = e => ["auto", "scroll", "hidden"].includes(getComputedStyle(e).overflowX);
function inside(e, article) {  // does a box around it scroll?
  for (let at = e.parentElement; at && at !== article; at = at.parentElement) if (scrolls(at)) return true;
  return false;
}
function words(article) {  // what is read as text: no code, no formulas that were drawn
  const walk = article.ownerDocument.createTreeWalker(article, NodeFilter.SHOW_TEXT), found = [];
  for (let node; (node = walk.nextNode());)
    if (!node.parentElement.closest("pre, code, script, style, mjx-container")) found.push(node.data);
  return found.join(" ");
}
function reach(e) {  // how far left of its box a formula begins, when all that scrolls is scrolled back
  const parts = [...e.querySelectorAll("mjx-math *")].map(part => part.getBoundingClientRect()).filter(r => r.width);
  const scrolled = [e, ...e.querySelectorAll("*")].reduce((sum, at) => sum + at.scrollLeft, 0);
  return e.getBoundingClientRect().left - Math.min(...parts.map(r => r.left)) - scrolled;
}
function measured(frame, width) {
  const page = frame.contentDocument, article = page.querySelector("article") || page.body;
  const all = what => [...article.querySelectorAll(what)], over = e => e && e.scrollWidth > e.clientWidth + 1;
  const wide = all("*").filter(e => !e.closest("mjx-assistive-mml, details:not([open])") &&
    e.getBoundingClientRect().right > width + 1 && !inside(e, article));
  const box = e => { while (e && e !== article && !scrolls(e)) e = e.parentElement; return e; };
  return {
    page_width: page.documentElement.scrollWidth,
    wide: wide.map(e => `${e.tagName}.${e.className}: ${short(e, 40)}`).slice(0, 5),
    cut_tables: all("table").filter(e => over(box(e))).map(e => short(e)),
    cut_formulas: all("div.math").filter(e => over(e) || over(e.querySelector("mjx-container")))
      .map(e => short(e)),
    unreachable: all("div.math").filter(e => reach(e) > 2).map(e => short(e)),
    boxed: all("span.math").filter(e => ["auto", "scroll"].includes(getComputedStyle(e).overflowX)).map(e => short(e)),
    cut_code: all("pre").filter(over).map(e => e.textContent.split("\\n").sort((a, b) => b.length - a.length)[0]),
  };
}
async function visit(name) {
  const frame = document.createElement("iframe");
  frame.style = "border: 0; width: SCREENpx; height: 900px";
  frame.src = name;
  document.body.replaceChildren(frame);
  await new Promise(done => frame.onload = done);
  const inner = frame.contentWindow, page = frame.contentDocument;
  const drawn = page.querySelector("script[src*='mathjax'], script[src*='tex-mml-chtml']");
  if (drawn) {
    await until(() => inner.MathJax && inner.MathJax.startup && inner.MathJax.startup.promise);
    await (inner.MathJax.startup || {}).promise;
  }
  if (name.startsWith("search.html?")) await until(() => page.querySelector("#search-results li"));
  for (const picture of page.images) {
    picture.loading = "eager";
    try { await picture.decode(); } catch { inner.told.push(`${picture.src} is no picture`); }
  }
  await sleep(50);
  const article = page.querySelector("article") || page.body, left = words(article);
  const formulas = [...article.querySelectorAll(".math")];
  const found = {
    page: name, told: inner.told, title: page.title, formulas: formulas.length,
    undrawn: formulas.filter(e => !e.querySelector("mjx-container")).map(e => short(e)),
    refused: [...article.querySelectorAll("mjx-merror, [data-mjx-error]")].map(e => e.dataset.mjxError || short(e)),
    sources: left.match(/.{0,20}(\\$|\\\\tag|\\\\frac|\\\\mathrm|\\\\\\(|\\\\\\[).{0,20}/g) || [],
    results: [...page.querySelectorAll("#search-results li")].map(e => short(e)),
    screen: measured(frame, SCREEN),
  };
  frame.style.width = "PHONEpx";
  await sleep(100);
  found.phone = measured(frame, PHONE);
  return found;
}
(async () => {
  const all = [];
  for (const name of PAGES) {
    try { all.push(await visit(name)); } catch (error) { all.push({page: name, broken: `${error}`}); }
  }
  await fetch("/found", {method: "POST", body: JSON.stringify(all)});
})();
</script>"""


class Server(SimpleHTTPRequestHandler):
    """The site, each page with the probe in its head; the page that visits all of them; and what it found."""

    def __init__(self, *arguments, visitor, found, **options):
        self.visitor, self.found = visitor, found
        super().__init__(*arguments, **options)

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        if self.path == "/visit":
            self.answer(self.visitor)
        elif path.suffix == ".html" and path.is_file():
            self.answer(path.read_text(encoding="utf-8").replace("<head>", "<head>" + PROBE, 1))
        else:
            super().do_GET()

    def do_POST(self):
        self.found.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer("")
        self.found.append(None)

    def answer(self, text):
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def browser():
    """Chromium's path, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def visited(folder, pages):
    """What the browser found on each of the pages: a list of dicts. Raises SystemExit without Chromium, or if it is silent."""
    if not browser():
        raise SystemExit("expected Chromium")
    visitor = (
        VISIT.replace("SCREEN", str(SCREEN)).replace("PHONE", str(PHONE)).replace("PAGES", json.dumps(list(pages)))
    )
    found = []
    with (
        ThreadingHTTPServer(
            ("127.0.0.1", 0), partial(Server, directory=folder, visitor=visitor, found=found)
        ) as server,
        tempfile.TemporaryDirectory() as profile,
    ):
        server.handle_error = lambda *_: None  # a page that was left before all of it came
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/visit"
        command = [browser(), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
                   f"--window-size={SCREEN},900", "--remote-debugging-port=0", address]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            waiting = threading.Event()
            for _ in range(10 * LONGEST):
                if len(found) > 1 or process.poll() is not None:
                    break
                waiting.wait(0.1)
        finally:
            process.terminate()
            process.wait()
            server.shutdown()
    if not found:
        raise SystemExit(f"{folder}: the browser has said nothing")
    return found[0]


def faults(found):
    """In words, what is wrong on a page."""
    if "broken" in found:
        return [found["broken"]]
    told = [f"console: {words}" for words in found["told"]]
    told += [f"a formula is not drawn: {words}" for words in found["undrawn"]]
    told += [f"a formula is refused: {words}" for words in found["refused"]]
    told += [f"source of a formula in the text: {words}" for words in found["sources"]]
    told += [f"a table is cut: {words}" for words in found["screen"]["cut_tables"]]
    told += [f"a formula is cut: {words}" for words in found["screen"]["cut_formulas"]]
    told += [f"a formula in a sentence has a box of its own: {words}" for words in found["screen"]["boxed"]]
    told += [f"no scrolling shows all of a formula: {words}" for words in found["phone"]["unreachable"]]
    for width, where in ((SCREEN, found["screen"]), (PHONE, found["phone"])):
        if where["page_width"] > width:
            told.append(f"{where['page_width']} pixels wide in a window of {width}: {'; '.join(where['wide'])}")
        elif where["wide"]:
            told.append(f"beyond the edge of a window of {width}: {'; '.join(where['wide'])}")
    return told


def pages_of(folder):
    """The pages of a site, by their places."""
    return sorted(
        path.relative_to(folder).as_posix() for path in Path(folder).rglob("*.html") if "_static" not in path.parts
    )


def main(folder, *pages):
    """Visit the pages, all where none is named; returns whether something is wrong."""
    wrong, formulas, lines = 0, 0, 0
    for found in visited(folder, pages or pages_of(folder)):
        formulas += found.get("formulas", 0)
        lines += len(found.get("screen", {}).get("cut_code", ()))
        for words in faults(found):
            wrong += 1
            print(f"{found['page']}: {words}")
    print(f"{wrong} faults; {formulas} formulas drawn; {lines} blocks of code scroll")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
