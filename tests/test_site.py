"""The course site: no link leads nowhere, every equation, estimator and mistake has its place, every page loads and fits."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import bugs
import measure_site
import numpy as np
import pytest
import site_bugs
import site_build
import site_code
import site_estimators
import site_facts
import site_toy
from site_pages import PLACES, ROOT, Site, label, labelled

from dvae_np import records
from dvae_np.estimators import TABLE
from dvae_np.noise import draw

SHEET = (ROOT / "notebooks/README.md").read_text(encoding="utf-8")
EQUATIONS = re.findall(r"^\| (\d+\.\d+) \|", SHEET, re.M)
RECORDS = records.read("compare"), records.read("rule")
sphinx = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("sphinx", "myst_nb", "sphinx_book_theme")),
    reason=site_build.MISSING,
)
chromium = pytest.mark.skipif(not measure_site.browser(), reason="Chromium is not here")


@cache
def known_of(name):
    """What the site says of an estimator on the toy."""
    return site_toy.found(TABLE[name])


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


@pytest.fixture(scope="module")
def code():
    return site_code.Code(ROOT)


# Links and equations


def test_a_link_leads_to_the_page_of_its_file_or_to_a_copy_of_it(site):
    assert site.link("notebooks/SYMBOLS.md", "README.md") == "glossary.md"
    assert site.link("../figures/README.md#public-packages", "notebooks/RECIPES.md") == "numbers.md#public-packages"
    assert site.link("05_score_function.ipynb", "notebooks/06_baselines.ipynb") == "05_score_function.ipynb"
    assert site.link("../dvae_np/estimators/rebar.py", "notebooks/06_baselines.ipynb") == "../estimators/rebar.md"
    assert site.link("../tests/gpu.py", "figures/README.md") == "path:downloads/tests/gpu.py"
    assert (site.folder / "downloads/tests/gpu.py").exists()
    assert site.link("../dvae_np/records", "figures/README.md") is None
    assert site.markdown("see [the bank](../dvae_np/records)", "figures/README.md") == "see the bank"
    assert site.markdown("![a](tour.png)", "figures/README.md") == "![a](downloads/figures/tour.png)"


def test_a_link_to_nothing_is_refused(site):
    with pytest.raises(SystemExit, match=r"README.md: links to notebooks/99_x.ipynb, which is not there"):
        site.markdown("see [lesson 99](notebooks/99_x.ipynb)", "README.md")


def test_an_equation_is_linked_and_an_unknown_one_refused(site):
    text = "so [Eq. 5.2, 6.1] and Eq. 2.4, not `[Eq. 5.2]` nor $[Eq. 5.2]$"
    linked = "so [Eq. 5.2](#eq-5-2), [6.1](#eq-6-1) and [Eq. 2.4](#eq-2-4), not `[Eq. 5.2]` nor $[Eq. 5.2]$"
    assert site.markdown(text, "README.md") == site.references(text, "README.md") == linked
    assert site.references("````python\n[Eq. 99.1]\n````", "README.md") == "````python\n[Eq. 99.1]\n````"
    for change in (site.markdown, site.references):
        with pytest.raises(SystemExit, match=r"README.md: Eq. 99.1 is in no lesson"):
            change("by [Eq. 99.1]", "README.md")
    with pytest.raises(SystemExit, match=r"Eq. 99.1 is in no lesson"):
        site_estimators.formula("99.1", site)


def test_every_equation_of_the_sheet_is_displayed_in_its_lesson_and_gets_one_label(site):
    assert sorted(site.formulas) == sorted(EQUATIONS)
    labels = []
    for stem, book in site.books.items():
        for cell in book["cells"]:
            if cell["cell_type"] == "markdown":
                labels += re.findall(r"^\((eq-[\d-]+)\)=$", labelled("".join(cell["source"]), stem), re.M)
    assert sorted(labels) == sorted(label("eq", tag) for tag in EQUATIONS)
    assert labelled("$$a \\tag{10.4}$$", "11_relax") == "\n$$a \\tag{10.4}$$"  # shown again: the label is lesson 10's


def test_the_name_of_an_estimator_leads_to_its_page_and_one_of_a_variable_does_not(site):
    text = "# `rebar`\nby `rebar` of `logits` [`rebar`](README.md) ```rebar```"
    assert site.markdown(text, "README.md") == (
        "# `rebar`\nby [`rebar`](#estimator-rebar) of `logits` [`rebar`](index.md) ```rebar```"
    )


def test_long_names_in_the_heads_of_tables_may_be_broken(site):
    text = "| a_b | `a_b` |\n| --- | --- |\n| c_d | e |"
    assert site.markdown(text, "README.md") == "| a_<wbr>b | `a_b` |\n| --- | --- |\n| c_d | e |"


def test_a_lesson_has_its_downloads_its_pictures_words_and_its_code(site, code):
    site.lesson("06_baselines", code.sheet(SHEET))
    text = (site.folder / "lessons/06_baselines.ipynb").read_text(encoding="utf-8")
    for words in ("this lesson](path:../downloads/notebooks/06_baselines.ipynb)", "[exercises](path:", "[solutions](path:",
                  "(eq-6-5)=", "| [6.5](#eq-6-5) | [`reinforce_loo.reinforce_loo`](#estimator-reinforce_loo) |",
                  '"mystnb": {"image": {"alt": "Three clouds'):  # fmt: skip
        assert words in text, words
    assert (site.folder / "downloads/notebooks/solutions/06_baselines.ipynb").exists()


def test_every_page_that_the_site_has_is_there():
    assert all((ROOT / path).exists() for path in PLACES)


# Code


def test_every_name_of_the_sheet_is_in_the_code_and_another_is_refused(code):
    assert sorted(code.sheet(SHEET)) == sorted(EQUATIONS)
    assert code.link("laws.Independent.kl", "x") == "[`laws.Independent.kl`](#code-laws-class-independent)"
    assert code.link("relax.relax", "x") == "[`relax.relax`](#estimator-relax)"
    for name in ("laws.Dependent", "networks.prior", "nothing"):
        with pytest.raises(SystemExit, match=f"the sheet: names {name}, which is not in the package"):
            code.link(name, "the sheet")


def test_no_two_pieces_of_code_have_one_label(code):
    labels = [site_code.code_label(module, top) for module, tops in code.tops.items() for top in tops]
    assert len(labels) == len(set(labels)) > 500
    assert (
        site_code.code_label("a", "Usage") != site_code.code_label("a", "usage") != site_code.code_label("a", "USAGE")
    )


def test_a_module_is_cut_into_pieces_and_nothing_is_lost():
    source = '"""It."""\n\nimport x\n\nA = 1\n\n\n# of f\n@x\ndef f():\n    pass\n\n\nclass C:\n    b = 2\n'
    first, named = site_code.parts(source)
    assert first == '"""It."""\n\nimport x'
    assert named == [("A", "A = 1"), ("f", "# of f\n@x\ndef f():\n    pass"), ("C", "class C:\n    b = 2")]
    assert site_code.parts('"""It."""\n') == ('"""It."""', [])


def test_public_names_lead_to_the_modules_that_define_them(code):
    assert code.link_public("judge", "check") == "[`judge`](#code-judging-judge)"
    assert code.link_public("TABLE", "dvae_np") == "[`TABLE`](#code-table-constant-table)"
    assert code.link_public("rebar", "dvae_np") == "[`rebar`](#estimator-rebar)"
    assert code.link_public("no_such_name", "dvae_np") == "`no_such_name`"


def test_the_page_of_a_module_leads_from_its_code_to_the_lessons(site, code):
    page = code.page("ops", site)
    piece = page.partition("(code-ops-softmax)=")[2].partition("(code-ops-")[0]
    assert "[Eq. 2.2](#eq-2-2)" in piece and "````python\ndef softmax" in piece


# Estimators


@pytest.mark.parametrize("name", TABLE)
def test_the_page_of_an_estimator_has_all_that_is_promised(site, code, name):
    row, known = TABLE[name], known_of(name)
    results = [SimpleNamespace(level=2, check="a mean", verdict="UNBIASED (enumerated, 1e-16)")]
    page = site_estimators.page(row, site, code, known, "some words", results, RECORDS, ["[a mistake](#bug-a)"])
    source = (ROOT / f"dvae_np/estimators/{name}.py").read_text(encoding="utf-8").rstrip()
    stem = next(stem for stem in site.books if stem.startswith(f"{row.lesson:02}"))
    due = [f"(estimator-{name})=", f"````python\n{source}\n````", site_facts.escaped(row.paper), f"/{stem}.ipynb"]
    due += [
        f"| evaluations of f | {row.evaluations.words} |",
        f"| bias | {known.bias} |",
        f"{known.variance:.4g} nats²",
    ]
    due += ["UNBIASED", "[a mistake](#bug-a)", f"![some words](../pictures/estimators/{name}.png)", "(#level-2)"]
    assert [words for words in due if words not in page] == []
    for tag in site_facts.tags(row):
        assert site.formulas[tag] in page and f"[Eq. {tag}](#{label('eq', tag)})" in page
    milliseconds = [line["milliseconds"] for line in RECORDS[0]["lines"] if line["estimator"] == name]
    assert all(f"| {time:.1f} |" in page for time in milliseconds)
    assert "[Eq. " not in re.sub(r"(`{4}).*?\1|\[Eq\. [\d.]+\]\(#", "", page, flags=re.S)  # each is a link


def test_what_is_said_follows_from_the_row():
    good, bad = (
        {name: "\n".join(told(row, known_of(name), *RECORDS)) for name, row in TABLE.items()}
        for told in (site_facts.strengths, site_facts.weaknesses)
    )
    for name, row in TABLE.items():
        first, second = good[name], bad[name]
        assert ("Its mean is the exact gradient" in first) == (row.unbiased and not row.owns_kl)
        assert ("It is biased" in second) == (not row.unbiased)
        assert ("Latents must be binary" in second) == row.binary
        assert ("values* of f alone" in first) == (row.gradient_of_f == "none")
        assert "number" not in first or "number" not in second  # one place, in one half
    assert "cheapest" in good["exact"] and "no variance at all" in good["local_expectation"]
    assert (
        "exactly 2 samples" in bad["disarm"]
        and "3 S evaluations" in bad["rebar"]
        and "out of its reach" in bad["reinmax"]
    )


def test_places_are_counted_among_estimators_of_one_problem():
    record = {"lines": [{"estimator": name, "bias": bias, "variance": variance} for name, bias, variance in
                        (("reinforce", 0, 4), ("reinmax", 1, 1), ("arm", 0, 1), ("exact", 0, 0))]}  # fmt: skip
    assert site_facts.place_of(TABLE["reinmax"], record) == (1, 2)
    assert site_facts.place_of(TABLE["reinforce"], record) == (2, 2)
    assert site_facts.place_of(TABLE["arm"], record) == (1, 1)
    assert [site_facts.place_of(TABLE[name], record) for name in ("vimco", "exact", "rebar")] == [None] * 3


def test_every_kind_of_noise_has_its_words_and_text_is_shown_as_it_is():
    assert site_facts.noises().keys() >= {name for row in TABLE.values() for name in row.noise}
    assert (
        site_facts.noise_of(TABLE["gumbel_rao"]).count("10 times") == 1
        and site_facts.noise_of(TABLE["exact"]) == "none"
    )
    assert site_facts.escaped("K**N <= x_1, *all* of\n`K**N` [Eq. 5.2]") == (
        r"K\*\*N \<\= x\_1, *all* of `K**N` [Eq. 5.2]"
    )


@pytest.mark.parametrize("name", TABLE)
def test_the_toys_numbers_are_those_of_draws(name):
    """Mean and variance of 20,000 draws, a few standard errors wide."""
    row, known, R = TABLE[name], known_of(name), 20_000
    logits, f = site_toy.problem(row)
    many = site_toy.enumeration.tiled(logits, R)
    hyper = site_toy.defaults(row, *logits.shape[1:])
    noise = draw(np.random.default_rng(1), many, known.S, row.noise)
    draws = np.broadcast_to(row.estimate(many, f, *noise, **hyper).dlogits, many.shape)
    deviation = draws.std(0)
    assert (abs(draws.mean(0) - known.mean) <= 5 * deviation / R**0.5 + 1e-12).all()
    squares = ((draws - known.mean) ** 2).sum((-1, -2))
    assert abs(squares.mean() - known.variance) <= 5 * squares.std() / R**0.5 + 1e-12
    assert (known.bias == "none") == row.unbiased
    if row.name in RECORDS[0]["learned"]:  # of one sample there, where one is enough
        assert known.variance * known.S / row.samples(1) == pytest.approx(RECORDS[0]["learned"][name][0])


def test_a_biased_estimator_that_claims_to_be_none_is_seen_and_a_failed_check_refused():
    loo = TABLE["reinforce_loo"].estimate
    shrunk = replace(TABLE["reinforce_loo"], estimate=lambda q, f, z: (
        found := loo(q, f, z))._replace(dq=found.dlogits * (1 - 1 / len(z))))  # fmt: skip
    assert site_toy.found(shrunk).bias == "−50.0% along the gradient, 50.0% in all"
    with pytest.raises(SystemExit, match=r"reinforce_loo: .*mean"):
        site_estimators.checks(shrunk)


@pytest.mark.parametrize("name", ["reinforce", "gumbel_softmax", "exact", "disarm"])
def test_a_picture_is_drawn_and_told(tmp_path, name):
    words = site_toy.picture(tmp_path / "a.png", TABLE[name], known_of(name))
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert name in words and ("away from" in words) == (not TABLE[name].unbiased)


def test_the_overview_leads_to_every_estimator_and_the_levels_to_the_code(site, code):
    page = site_estimators.overview(site, {name: known_of(name) for name in TABLE}, RECORDS[0])
    assert all(f"[`{name}`](#estimator-{name})" in page and f"\n{name}\n" in page for name in TABLE)
    results = {name: [SimpleNamespace(level=2, ok=True)] for name in TABLE}
    levels = site_estimators.levels(site, code, results)
    assert all(f"(level-{level})=" in levels for level in range(7)) and "(bugs.md)" in levels
    assert all(f"[`{name}`](#estimator-{name})" in levels for name in TABLE) and "#code-enumeration" in levels


# The bug bank


def test_every_mistake_of_the_bank_is_told_by_the_check_that_catches_it(site):
    page = site_bugs.page(site, site_bugs.bank(ROOT))
    for bug in bugs.BANK:
        assert f"({label('bug', bug.name)})=" in page and site_facts.escaped(bug.seen_in) in page
    assert len({label("bug", bug.name) for bug in bugs.BANK}) == len(bugs.BANK)
    assert "def own_sample" in page and "includes its own sample" in page and "(numbers.md#public-packages)" in page


def test_a_mistake_that_no_check_catches_is_refused():
    right = bugs.Bug("none", "nowhere", 2, lambda: bugs.enumerated_mean(TABLE["reinforce_loo"].estimate))
    right = replace(right, caught=lambda: SimpleNamespace(ok=True))
    with pytest.raises(SystemExit, match="none is not caught"):
        list(site_bugs.told(right, {}))


def test_mistakes_stand_on_the_pages_of_their_estimators():
    known = site_bugs.sources(site_bugs.bank(ROOT))
    assert "VIMCO without the derivative of the weights" in str(site_bugs.mistakes_of("vimco", bugs, known))
    assert "missing 1/S" in str(site_bugs.mistakes_of("reinforce_loo", bugs, known))
    assert site_bugs.mistakes_of("local_expectation", bugs, known) == site_bugs.mistakes_of("exact", bugs, known) == []


# The command


def test_mathjax_is_found_where_it_was_unpacked_and_missed_where_it_is_not(tmp_path):
    (tmp_path / "package/es5").mkdir(parents=True)
    with pytest.raises(SystemExit, match="expected MathJax 3"):
        site_build.mathjax_of(tmp_path)
    (tmp_path / "package/es5/tex-mml-chtml.js").write_text("")
    assert site_build.mathjax_of(tmp_path) == site_build.mathjax_of(tmp_path / "package") == tmp_path / "package/es5"


def test_without_sphinx_a_sentence_says_what_to_install_and_without_mathjax_another(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(site_build.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r'python -m pip install -e "\.\[site\]" installs it'):
        site_build.main([str(tmp_path / "site")])
    assert capsys.readouterr().out.count("\n") == 1 and not (tmp_path / "site").exists()


def test_a_folder_with_anything_else_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(SystemExit, match="expected an empty folder"):
        site_build.build(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(SystemExit):
        site_build.main(["--nothing"])


@pytest.mark.parametrize("options", [[], ["-Xfrozen_modules=off"]])
def test_the_commands_name_takes_nothing_from_python(options):
    """It has that of Python's own `site`, which an interpreter loads at its start, from PYTHONPATH if it is there."""
    told = subprocess.run([sys.executable, *options, "-c", "import numpy, site; print(site.ENABLE_USER_SITE)"], text=True,
                          env=os.environ | {"PYTHONPATH": str(ROOT / "notebooks")}, capture_output=True)  # fmt: skip
    assert told.returncode == 0 and told.stdout.strip() in ("True", "False", "None"), told.stderr


def test_the_workflows_say_that_they_are_untried_and_the_extra_is_no_requirement():
    site, tests = ((ROOT / f".github/workflows/{name}.yml").read_text() for name in ("site", "tests"))
    assert site.startswith("# Untried") and "python notebooks/site.py" in site and "deploy-pages" in site
    assert tests.startswith("# Untried") and all(
        f"{system}-latest" in tests for system in ("ubuntu", "macos", "windows")
    )
    assert "sphinx" not in (ROOT / "requirements.txt").read_text()


# The site as it is made


class Links(HTMLParser):
    """The links, the pictures and scripts, and the places on a page that links can lead to."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loaded, self.places = [], [], {""}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.places |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        self.loaded += [found[name] for name in ("src", "href") if tag in ("img", "script", "link") and found.get(name)]


def faults_of_links(folder):
    """Links that lead to no file or to no place in it, and what a page loads that is not in the folder."""
    pages = {
        path: Links(path.read_text(encoding="utf-8"))
        for path in Path(folder).rglob("*.html")
        if "_static" not in path.parts
    }
    found = []
    for path, page in pages.items():
        for target in [*page.links, *page.loaded]:
            if re.match(r"(https?:)?//", target) and target in page.links and target not in page.loaded:
                continue
            file, _, anchor = target.partition("#")
            to = (path.parent / unquote(file.partition("?")[0])).resolve() if file else path
            if (
                re.match(r"[a-z]+:|//", target)
                or not to.exists()
                or (to in pages and unquote(anchor) not in pages[to].places)
            ):
                found.append(f"{path.name}: {target}")
    return found


def test_a_broken_link_is_seen(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="b.html#x">b</a><a href="https://x.org">x</a><p id="y"><a href="#y">y</a>'
    )
    (tmp_path / "b.html").write_text(
        '<p id="x"><img src="c.png"><a href="a.html#z">z</a><script src="https://x.org/y.js">'
    )
    assert faults_of_links(tmp_path) == ["b.html: a.html#z", "b.html: c.png", "b.html: https://x.org/y.js"]


@sphinx
@pytest.mark.filterwarnings("default")  # those of its own code are its own matter
def test_a_warning_of_sphinx_is_an_error(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        site_build, "write_sources", lambda folder: (folder / "index.md").write_text("# A\n\n[b](#eq-99-1)")
    )
    with pytest.raises(SystemExit, match="Sphinx has warned"):
        site_build.build(tmp_path / "site")
    assert "'myst' cross-reference target not found: 'eq-99-1'" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, str(ROOT / "notebooks/site.py"), str(folder)]
    told = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert told.returncode == 0 and re.search(r"site: \d+ pages, \d+ MB, in \d+ s", told.stdout), (
        told.stdout + told.stderr
    )
    return folder


@sphinx
def test_the_site_has_a_page_for_everything_and_no_link_leads_nowhere(made):
    names = {path.relative_to(made).as_posix() for path in made.rglob("*.html")}
    assert names >= {f"lessons/{path.stem}.html" for path in (ROOT / "notebooks").glob("[0-9]*.ipynb")}
    assert names >= {f"estimators/{name}.html" for name in TABLE}
    assert names >= {place.replace(".md", ".html") for place in PLACES.values()}
    assert faults_of_links(made) == [] or not site_build.mathjax_of()
    kept = {path.name for path in made.rglob("*.ipynb")}
    assert kept >= {path.name for path in (ROOT / "notebooks/exercises").glob("*.ipynb")}
    assert 'data-mode="auto"' in (made / "index.html").read_text(encoding="utf-8") or "theme-switch" in (
        made / "index.html"
    ).read_text(encoding="utf-8")


@sphinx
@chromium
def test_every_page_loads_without_an_error_and_fits_a_screen_and_a_phone(made):
    if not site_build.mathjax_of():
        pytest.skip("no copy of MathJax is here, and the network is not asked")
    pages = [*measure_site.pages_of(made), "search.html?q=leave-one-out"]
    visits = measure_site.visited(made, pages)
    assert {visit["page"]: told for visit in visits if (told := measure_site.faults(visit))} == {}
    assert sum(visit["formulas"] for visit in visits) > 1500
    assert any("reinforce_loo" in words or "Baselines" in words for words in visits[-1]["results"])


@chromium
def test_the_browser_sees_what_is_wrong(tmp_path):
    """A page with a fault of each kind; the style of its boxes is that of the theme."""
    style = "<style>.box, div.math { overflow: auto; width: 300px } div.math { height: 20px } pre { overflow: auto }</style>"
    shutil.copy(ROOT / "figures/tour.png", tmp_path)
    (tmp_path / "right.html").write_text(
        f"<head>{style}</head><body><article>a<img src='tour.png' style='width: 9px'></article>"
    )
    (tmp_path / "wrong.html").write_text(f"""<head>{style}<script src="missing.js"></script></head><body><article>
        <script>console.error("oh"); nothing.there</script> a price of $x$ and \\tag{{1}} <img src="missing.png">
        <div class="box"><table><tr><td style="min-width: 900px">wide</td></tr></table></div>
        <div style="width: 2000px">far</div><div class="math">\\[x\\]</div>
        <p>so <span class="math" style="display: inline-block; overflow: auto">f</span></p>
        <mjx-merror data-mjx-error="Undefined control sequence"></mjx-merror></article>""")
    right, wrong = (
        measure_site.faults(visit) for visit in measure_site.visited(tmp_path, ["right.html", "wrong.html"])
    )
    assert right == []
    told = (
        "console: oh",
        "nothing is not defined",
        "missing.js does not load",
        "missing.png is no picture",
        "a formula is not drawn",
        "a formula is refused: Undefined control sequence",
        "source of a formula",
        "a table is cut: wide",
        "a formula in a sentence has a box of its own: f",
        "pixels wide in a window of 1280: DIV",
        "in a window of 390",
    )
    for words in told:
        assert any(words in each for each in wrong), (words, wrong)
