"""The house: no file of the package is long, none has another's name, imports go downward, and in no circle."""

import ast
import sys
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from dvae_np import TABLE, vae
from dvae_np.train import Adam

PACKAGE = Path(__file__).resolve().parents[1] / "dvae_np"
SOURCES = {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
LONGEST = 250  # lines
TOO_LONG = []
LAYERS = """
    starting memory arrays text
    ops coupling perturbed codebook scalar_codes laws dependent forward_backward chain padding additive emissions autoregressive
    subsets
    categorical concrete likelihoods noise
    networks structure model initial vq_vae
    estimators perturb_and_map vae thermodynamic wake_sleep dvae_np
    files device records train check
    folders bench figures experiments exercises shown lesson cli __main__
""".split()  # what stands at the top of the package (dvae_np is its __init__): each imports from those before it alone


def long(sources):
    """The files of too many lines."""
    return [file for file, source in sources.items() if len(source.splitlines()) > LONGEST]


def namesakes(sources):
    """The names that two files have; a lesson has its figures and its exercises."""
    names = Counter(PurePosixPath(file).name for file in sources)
    return [name for name, times in names.items() if times > 1 and not name.startswith(("__init__", "lesson_"))]


def module(file):
    """The module of a file below dvae_np/, as "dvae_np.train.loop"."""
    return ".".join(("dvae_np", *PurePosixPath(file).with_suffix("").parts)).removesuffix(".__init__")


def imports(sources):
    """{module: the modules of the package that it imports, anywhere in it, in functions too}."""
    found = {module(file): set() for file in sources}
    for file, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{file}: an import by dots, whose module is not seen at a glance"
                whole = [f"{node.module}.{alias.name}" for alias in node.names]
                names = [name if name in found else node.module for name in whole]
            else:
                continue
            found[module(file)] |= found.keys() & set(names)
    return found


def upward(sources):
    """Every (module, what it imports) where the second stands in a higher layer."""
    layer = lambda name: LAYERS.index(name.removeprefix("dvae_np.").split(".")[0])
    return [(name, each) for name, many in imports(sources).items() for each in many if layer(each) > layer(name)]


def circle(sources):
    """Modules of which each is imported by the next, the first being the last too; empty where there is none."""
    try:
        TopologicalSorter(imports(sources)).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_the_house_is_in_order():
    assert long(SOURCES) == TOO_LONG
    assert namesakes(SOURCES) == []
    assert upward(SOURCES) == []
    assert circle(SOURCES) == []


def test_every_file_and_folder_has_its_layer():
    top = {module(file).split(".")[1] for file in SOURCES if file != "__init__.py"}
    assert sorted(LAYERS) == sorted(top | {"dvae_np"})


@pytest.mark.parametrize(("fault", "planted", "found"), [
    (long, {"ops.py": "\n" * 251}, ["ops.py"]),
    (namesakes, {"check/loop.py": "", "train/loop.py": ""}, ["loop.py"]),
    (upward, {"ops.py": "from dvae_np import vae", "vae.py": ""}, [("dvae_np.ops", "dvae_np.vae")]),
    (upward, {"vae.py": "def f():\n    import dvae_np.check.toys as t", "check/toys.py": ""},
     [("dvae_np.vae", "dvae_np.check.toys")]),
    (upward, {"ops.py": "from dvae_np import draw", "__init__.py": ""}, [("dvae_np.ops", "dvae_np")]),
    (upward, {"__init__.py": "import dvae_np.lesson", "lesson.py": ""}, [("dvae_np", "dvae_np.lesson")]),
    (circle, {"check/a.py": "from dvae_np.check.b import x", "check/b.py": "def f():\n    from dvae_np.check import a"},
     ["dvae_np.check.a", "dvae_np.check.b", "dvae_np.check.a"]),
    (circle, {"cli/__init__.py": "from dvae_np.cli import run", "cli/run.py": "from dvae_np.cli import parser"},
     ["dvae_np.cli", "dvae_np.cli.run", "dvae_np.cli"]),
])  # fmt: skip
def test_what_is_out_of_order_is_found(fault, planted, found):
    sources = {"arrays.py": "\n" * 250, "figures/lesson_01.py": "", "exercises/lesson_01.py": "", "cli/parts.py": ""}
    assert fault(sources) == [] and fault(sources | planted) == found


def test_a_training_step_can_be_walked():
    """Of a leave-one-out step: how many functions it enters, in how many files, how deep (as Python 3.11 counts)."""
    rng = np.random.default_rng(0)
    params, row = vae.parameters(rng, 20, 3, 4, (16, 12)), TABLE["reinforce_loo"]
    optimisers, x = [Adam(params)], (rng.random((10, 20)) < 0.5).astype(np.float32)
    entered, depth = set(), [0, 0]

    def watch(frame, event, _):
        if str(PACKAGE) in frame.f_code.co_filename and event in ("call", "return"):
            depth[0] += 1 if event == "call" else -1
            depth[1] = max(depth)
            entered.add((frame.f_code.co_filename, frame.f_code.co_qualname))

    before = sys.getprofile()
    sys.setprofile(watch)
    vae.training_step(params, x, row, rng, optimisers, 2)
    sys.setprofile(before)
    assert len(entered) <= 50 and len({file for file, _ in entered}) <= 9 and depth[1] <= 8
