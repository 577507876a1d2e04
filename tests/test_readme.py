"""What the README says is what the package does; equations have one number everywhere."""

import contextlib
import io
import pkgutil
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import bugs
import numpy as np
import pytest
import sources

import dvae_np
from dvae_np import cli, records
from dvae_np.check import judge
from dvae_np.estimators import TABLE, markdown_by_lesson, markdown_table
from dvae_np.experiments import page_answer, reproduce, tour
from dvae_np.experiments.completion import VARIANTS
from dvae_np.experiments.page import headline
from dvae_np.experiments.yardsticks import Measured
from dvae_np.likelihoods import OBSERVATIONS
from dvae_np.networks import INTERFACES
from dvae_np.structure import POSTERIORS, PRIORS
from dvae_np.train import Settings, evaluate, fit, load

ROOT = Path(__file__).resolve().parents[1]
README, CONTRIBUTING, PAGE, ANSWER, EQUATIONS = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "figures/README.md",
        "figures/WHICH_ESTIMATOR.md",
        "notebooks/README.md",
    )
)
PROSE = {
    "": README + CONTRIBUTING,
    "figures": PAGE + ANSWER,
    "notebooks": EQUATIONS,
}  # by the folder that links start from


def between(name):
    return README.split(f"<!-- {name} -->\n")[1].split(f"\n<!-- end of {name} -->")[0]


def test_the_readme_is_short_and_says_what_this_is_at_once():
    assert len(README.splitlines()) <= 150 and len(README) <= 9000
    first = " ".join(re.sub(r"!\[.*?\]\(.*?\)", "", README).split()[:160])  # what a visitor reads in half a minute
    for word in ("notebook", "lesson", "course", "`git clone`"):
        assert word in first, word


def test_letters_are_explained_before_they_are_used():
    """S, B, N and K of the shapes; outside of commands, links and other code."""
    prose = re.sub(r"```.*?```|`[^`]*`", "", README, flags=re.S)
    before = prose.split("S codes for each of B examples, each with N latents of K categories")[0]
    assert before != prose and not re.findall(r"(?<![\w'-])[SBNK](?![\w'-])", before)


def test_each_command_is_one_line_that_sets_everything_up():
    install = "python3 -m venv .venv && .venv/bin/python -m pip install -r requirements.txt && .venv/bin/python -m "
    lines = re.findall(r"^python3 .*", README, re.M)
    assert lines == [install + "dvae_np tour", install + "pytest"]


def test_every_command_that_is_named_exists():
    """In all prose: python -m dvae_np VERB, with options that its parser has."""
    verbs = next(action.choices for action in cli.parser()._actions if action.choices)
    named = re.findall(r"python -m dvae_np ([a-z]+)([^`#\n|]*)", "\n".join(PROSE.values()))
    assert {verb for verb, _ in named} >= {
        "tour",
        "verify",
        "train",
        "show",
        "estimators",
        "figures",
        "complete",
        "compare",
    }
    for verb, options in named:
        taken = {option for action in verbs[verb]._actions for option in action.option_strings}
        assert set(re.findall(r"--[a-z-]+\b", options, re.I)) <= taken, (verb, options)


def test_the_table_of_estimators_is_the_packages():
    assert between("estimators") == markdown_by_lesson()
    names = re.findall(r"`(\w+)`", markdown_by_lesson())
    assert sorted(names) == sorted(TABLE)
    assert set(re.findall(r"^\| `(\w+)`", markdown_table(), re.M)) == set(TABLE)


def test_the_kinds_are_as_many_as_the_tables_have():
    words = dict(enumerate("three four five six seven eight nine".split(), 3))
    for kind, table in {
        "models of the data": OBSERVATIONS,
        "posteriors": POSTERIORS,
        "ways to feed codes to the decoder": INTERFACES,
        "priors": PRIORS,
    }.items():
        assert f"{words[len(table)]} {kind}" in " ".join(README.split()), kind


def test_the_few_numbers_are_the_recorded_ones():
    assert between("numbers") == headline()
    runs = records.read("quantised-mnist")["runs"]
    ours, theirs = (
        [run["reconstruction"] for run in runs[f"{whose}: averages, from data"]] for whose in ("VQ", "PyTorch")
    )
    assert "ranges overlap" in README and min(theirs) < max(ours) and min(ours) < max(theirs)
    assert between("answer") == page_answer.what_to_take(Measured("digits"), Measured("mnist"), short=True)


def test_the_gpu_is_said_to_be_untested_until_it_is_tested():
    assert ("has never run on a GPU" in README) != (records.FOLDER / "gpu.json").exists()


def test_the_licences_and_the_citation_are_those_of_the_package():
    citation = dict(re.findall(r"^([\w-]+): *(.+)$", (ROOT / "CITATION.cff").read_text(), re.M))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (
        citation["cff-version"] == "1.2.0"
        and citation["message"]
        and citation["title"].strip('"').startswith("dvae_np")
    )
    assert citation["version"] == project["version"] == dvae_np.__version__
    changes = re.findall(r"^## (.+)$", (ROOT / "notebooks/CHANGES.md").read_text(encoding="utf-8"), re.M)
    assert changes[:2] == ["Unreleased", project["version"]] or changes[0] == project["version"]
    assert citation["license"] == project["license"] == "MIT"
    assert f"- name: {project['authors'][0]['name']}" in (ROOT / "CITATION.cff").read_text()
    licence = (ROOT / "LICENSE").read_text()
    assert licence.startswith("MIT License") and f"Copyright (c) 2026 {project['authors'][0]['name']}" in licence
    for words in ("[MIT](LICENSE)", "CC BY 4.0", "doi.org/10.24432/C50P49"):
        assert words in README


@pytest.mark.parametrize("name", ["digits", "mnist", "mnist-rate-0.1"])
def test_a_latent_helps_in_every_run_and_a_prior_that_learns_slowly_too(name):
    """What the page of measured numbers says in words."""
    record = records.read(f"completion-{name}")
    deterministic, unconditional, conditional = (
        [run["log_likelihood"] for run in record["runs"] if run["variant"] == variant] for variant in VARIANTS
    )
    assert max(deterministic) < min(*unconditional, *conditional)
    gains = np.subtract(conditional, unconditional)
    assert (gains < 0).all() if "rate" in name else (gains > 0.25).all()


def test_reproduced_runs_name_their_command():
    paths = sorted(records.FOLDER.glob("reinmax-*.json"))
    assert len(paths) > 10
    for record in (records.read(path.stem) for path in paths):
        settings = record["settings"]
        options = (
            f"--size {settings['K']}x{settings['N']} --estimator {settings['estimator']} --seed {settings['seed']}"
        )
        options += " --first-image mean" * (settings.get("first_image") == "mean")
        assert record["command"].endswith(f"reproduce reinmax {options}")
        assert settings["epochs"] == len(record["history"]["loss"]) == reproduce.EPOCHS


def test_relaxations_reach_the_middle_error_at_a_tuned_temperature_alone():
    """What lesson 14 says of the recorded models."""
    for model in records.read("rule")["models"]:
        if model["family"] == "independent":
            for name in ("gumbel_softmax", "straight_through_gumbel"):
                cost = model[name]["costs"]["0.3"]
                assert cost["default"] is None and (cost["tau"] is None or cost["tau"] < 1)


def test_the_bug_bank_is_as_large_as_the_readme_says():
    assert f"{len(bugs.BANK)} mistakes from real code" in README


def test_as_many_packages_were_judged_as_the_readme_says():
    packages = {each["package"] for each in records.read("public-packages")["judged"]}
    assert len(packages) == 8 and "[Eight public packages](figures/README.md#public-packages)" in README


def test_the_judged_example_says_what_the_readme_says(tmp_path):
    code = re.search(r"```python\n(# my_file.*?)```", README, re.S).group(1)
    namespace = {}
    exec(code, namespace)  # the README's own example
    report = str(judge(namespace["my_estimator"]))
    assert "BIASED (-33.3% along the gradient, 33.3% in all, enumerated)" in report
    assert (
        "it is right but for a factor 1 - 1/S: the baseline includes its own sample, or S stands where S - 1 belongs"
        in report
    )


@pytest.mark.parametrize("estimator", tour.ESTIMATORS)
def test_the_recorded_numbers_are_what_training_gives(estimator):
    """The medians of three runs, again: within 0.15 nats (the rounding of other BLAS kernels moved them by up to 0.08)."""
    runs, data = records.read("tour")["trained"][estimator], load("digits")
    settings = [run["settings"] | {"hidden": tuple(run["settings"]["hidden"])} for run in runs]
    found = [vars(evaluate(fit(data, Settings(**each)).params, data.test.x)) for each in settings]
    for quantity in ("negative_elbo", "log_likelihood"):
        again, recorded = (
            np.median([test[quantity] for test in tests]) for tests in (found, [r["test"] for r in runs])
        )
        assert again == pytest.approx(recorded, abs=0.15)


def test_the_example_prints_what_it_says():
    code = re.search(r"```python\n(import numpy.*?)```", CONTRIBUTING, re.S).group(1)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    rows = [line.split("# ")[1] for line in code.splitlines() if "# [" in line]
    claimed, found = (np.array([row.strip("[]").split() for row in text], float)
                      for text in (rows, printed.getvalue().splitlines()))  # fmt: skip
    np.testing.assert_allclose(found, claimed, atol=1e-7)
    np.testing.assert_allclose(found[1], found[0], atol=0.01)


def test_links_and_figures_exist():
    for folder, text in PROSE.items():
        for target in re.findall(r"\]\(([^)#]+)", text):
            assert target.startswith("https://") or (ROOT / folder / target).exists(), target


def test_links_to_headings_lead_there():
    """As GitHub makes them: small letters, hyphens for spaces, no other signs."""
    headings = {
        folder: {re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.*)", text, re.M)}
        for folder, text in PROSE.items()
    }
    found = [(folder, target) for folder, text in PROSE.items() for target in re.findall(r"\]\(([^)]*#[^)]+)", text)]
    assert found
    for folder, target in found:
        path, _, anchor = target.partition("#")
        where = str((Path(folder) / path).parent) if path else folder
        assert anchor in headings["" if where in (".", "figures/..") else where], target


def test_the_map_names_what_exists_and_all_of_it():
    for path in re.findall(r"`((?:dvae_np|notebooks|tests|figures)/[\w./]*)`", PROSE[""]):
        assert "NN" in path or (ROOT / path).exists(), path
    for path in (ROOT / "dvae_np").iterdir():
        assert path.name[0] in "._" or f"{path.name}`" in CONTRIBUTING or f"{path.name}/`" in CONTRIBUTING, path.name


def modules():
    """All of the package; those for another framework where that is installed."""
    names = [info.name for info in pkgutil.walk_packages(dvae_np.__path__, "dvae_np.")]
    absent = {f"dvae_np.check.{framework}" for framework in ("torch", "jax") if find_spec(framework) is None}
    return [import_module(name) for name in names if not name.endswith("__main__") and name not in absent]


def test_every_equation_is_in_the_code_and_every_tag_is_an_equation():
    """The sheet's numbers, each in the source of the function that it names; and no tag in the code without a number."""
    listed = dict(re.findall(r"^\| (\d+\.\d+) \|.*\| `([\w.]+)` \|$", EQUATIONS, re.M))
    sources = {module.__name__.split(".")[-1]: Path(module.__file__).read_text() for module in modules()}
    tags = {name: set(re.findall(r"\d+\.\d+", " ".join(re.findall(r"\[Eq\. ([^]]*)\]", source))))
            for name, source in sources.items()}  # fmt: skip
    assert len(listed) >= 40
    for number, place in listed.items():
        assert number in tags[place.split(".")[0]], f"Eq. {number} is not in {place}"
    assert set().union(*tags.values()) == set(listed)


def test_formulas_render_on_github():
    for text in PROSE.values():
        assert not re.search(r"\\(operatorname|newcommand|mbox)", text)
        assert all(line.count("$") % 2 == 0 for line in text.splitlines())


def test_every_public_function_is_documented():
    for module in modules():
        assert module.__doc__, module.__name__
        for name, entry in vars(module).items():
            if ".exercises.lesson_" in module.__name__:
                continue  # answers, right and wrong: what they are stands beside them in the list
            if callable(entry) and not name.startswith("_") and getattr(entry, "__module__", "") == module.__name__:
                assert entry.__doc__, f"{module.__name__}.{name}"
    for name in dvae_np.__all__:
        assert getattr(dvae_np, name) is not None


def test_nothing_heavy_is_imported_before_it_is_used():
    heavy = "('scipy', 'matplotlib', 'tqdm', 'urllib.request')"
    code = f"import sys, dvae_np, dvae_np.cli; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_no_measured_number_of_the_readme_is_typed():
    """Its tables are generated, its code is run; what decimals remain are listed with a reason, as those of the lessons."""
    prose = re.sub(r"<!-- (\w+) -->.*?<!-- end of \1 -->", "", README, flags=re.S)
    assert sources.unlisted_decimals("README", [prose]) == []
