"""Does every slide fit 1280 x 720? python tests/measure_slides.py DIR, by hand, after `python notebooks/build.py --slides DIR`.

It needs Chromium. The pages load reveal.js, MathJax, jQuery and require.js from the network; where there is none, a second
argument names a folder with these packages unpacked, as `npm pack` gets them. Fails where a slide is higher or wider than its
page.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

WIDTH, HEIGHT = 1280, 720
SHOWN = """<style>
.reveal .slides section { display: block !important; visibility: visible !important; }
</style>
"""  # before formulas are set: in what is hidden they have no size
MEASURE = """
<script>
const wait = setInterval(() => {
  if (!document.querySelector(".reveal.ready") || !window.MathJax || !MathJax.Hub) return;
  clearInterval(wait);
  MathJax.Hub.Queue(() => {
    const found = [...document.querySelectorAll(".reveal .slides section")]
      .filter(s => !s.querySelector("section")).map(s => {
        const wrong = s.querySelectorAll(".MathJax_Error").length;
        const parts = [...s.querySelectorAll("pre, table, .MJXc-display")];
        const cut = parts.filter(part => part.scrollWidth > part.clientWidth + 1).length;
        return [s.querySelector("h1, h2").innerText, s.scrollWidth, s.scrollHeight, wrong, cut];
      });
    const out = document.createElement("pre"); out.id = "measured"; out.innerText = JSON.stringify(found);
    document.body.appendChild(out);
  });
}, 100);
</script>
"""
START = r"https://[^\s\"']+"  # of an address, up to the library's name
PACKAGES = {r"/reveal\.js@[\d.]+": "reveal.js-4*", r"/mathjax/[\d.]+": "mathjax-2*", r"/jquery/[\d.]+": "jquery-2*/dist",
            r"/require\.js/[^\s\"']+": "requirejs-2*/require.js"}  # fmt: skip


def offline(html, packages):
    """The page with its libraries from a folder."""
    for address, pattern in PACKAGES.items():
        (place,) = Path(packages).resolve().glob(pattern)
        html = re.sub(START + address, place.as_uri(), html)
    return html


def measured(page):
    """[(title, width, height, wrong formulas, parts that are cut)] of the slides of a page."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser:
        raise SystemExit("expected Chromium")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={WIDTH},{HEIGHT}", "--dump-dom",
               "--allow-file-access-from-files", "--virtual-time-budget=60000", page.as_uri()]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, timeout=300).stdout
    found = re.search(r'<pre id="measured">(.*?)</pre>', dom, re.S)
    if not found:
        raise SystemExit(f"{page.name}: the slides were not shown; is there a network?")
    return json.loads(found[1].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))


def main(folder, packages=None):
    """Measure all pages; returns 1 where a slide does not fit."""
    wrong = 0
    for path in sorted(Path(folder).glob("*.slides.html")):
        html = path.read_text(encoding="utf-8").replace("</head>", SHOWN + "</head>", 1)
        html = html.replace("</body>", MEASURE + "</body>", 1)
        with tempfile.TemporaryDirectory() as place:
            page = Path(place) / path.name
            page.write_text(offline(html, packages) if packages else html, encoding="utf-8")
            slides = measured(page)
        for number, (title, width, height, errors, cut) in enumerate(slides, 1):
            if width > WIDTH or height > HEIGHT or errors or cut:
                wrong += 1
                words = f"{errors} formulas with errors, {cut} formulas, tables or lines of code cut"
                print(f"{path.name}, slide {number}, {title!r}: {width} x {height}, {words}")
        print(f"{path.name}: {len(slides)} slides, the highest {max(each[2] for each in slides)} of {HEIGHT} pixels")
    print("every slide fits" if not wrong else f"{wrong} slides do not fit")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
