"""What notices a mistake? One line of the package at a time is made wrong, in a copy, and the first check that fails is noted.

    OPENBLAS_NUM_THREADS=1 nice python tests/mutations.py           all that the table has no answer for
    OPENBLAS_NUM_THREADS=1 nice python tests/mutations.py train/    the same, of files with this in their path
    OPENBLAS_NUM_THREADS=1 nice python tests/mutations.py --quick   without the last of the checks below, which is slow
    python tests/mutations.py --list                                the table, as text

The checks, from the quickest to the slowest: the verification, stopped at its first failure; the tests of that module
(`TESTS`); all tests. A test counts only if it passes on the copy without the mistake. The table, `mutations.json`, is written
after each mistake, so a stopped run goes on; a mistake whose text has changed is tried again. What nothing notices is either
a gap, to be closed by a new check, or no mistake at all: then `why` says so.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from itertools import zip_longest
from pathlib import Path

from mutants import MUTATIONS

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "tests" / "mutations.json"
NOTICED = ("verify", "module tests", "all tests")
LONGEST = dict(zip(NOTICED, (240, 600, 2400), strict=True))  # seconds; what takes longer counts as noticed
LATE = "late"  # in place of an exit status
VERIFY = """
import sys
from dvae_np.check.suite import results
for result in results():
    if not result.ok:
        print(f"level {result.level}: {result.subject}: {result.check}")
        sys.exit(1)
print(*sorted(name for name in sys.modules if name.split(".")[0] == "dvae_np"))
"""

TESTS = {  # by the beginning of the file's path, the longest that fits: the tests of that module, without "test_" and ".py"
    "ops": "ops likelihoods categorical",
    "categorical": "categorical ops estimators",
    "laws": "laws categorical estimators device",
    "forward_backward": "chain laws structured",
    "chain": "chain laws structured",
    "subsets": "subsets laws structured",
    "perturb_and_map": "subsets device",
    "padding": "chain",
    "codebook": "codebook",
    "text": "screens",
    "experiments/quantised": "quantised",
    "experiments/other_objectives": "wake_sleep",
    "experiments/encoder_gaps": "encoder_gaps",
    "experiments/again": "again",
    "experiments/page_answer": "answer figures",
    "experiments/page_larger": "answer yardsticks figures",
    "experiments/page_limits": "answer yardsticks figures",
    "experiments/yardsticks": "yardsticks answer",
    "vq_vae": "vq_vae",
    "scalar_codes": "codebook",
    "check/grouped": "ops additive",
    "check/structure_cases": "ops",
    "dependent": "chain autoregressive laws",
    "additive": "additive emissions",
    "emissions": "emissions",
    "autoregressive": "autoregressive laws",
    "structure": "starts vae conditional emissions autoregressive",
    "model": "own_networks own_data recipes vae",
    "perturbed": "categorical ops estimators",
    "concrete": "categorical vae ops",
    "coupling": "categorical estimators",
    "likelihoods/": "likelihoods starts pictures conditional",
    "likelihoods/columns": "own_data",
    "networks": "starts vae train conditional reproduce",
    "initial": "starts",
    "vae": "vae likelihoods train conditional loop",
    "thermodynamic": "wake_sleep",
    "wake_sleep": "wake_sleep pictures",
    "arrays": "arguments ops options estimators",
    "noise": "categorical estimators arguments",
    "device": "device",
    "files": "files",
    "folders": "folders files",
    "lesson": "checkers exercises",
    "shown": "shown",
    "check/structured": "structured",
    "estimators/": "estimators arguments vae",
    "estimators/row": "estimators arguments options experiments",
    "estimators/table": "laws estimators experiments",
    "check/": "checkers check backward strangers bugs",
    "check/backward": "backward checkers bugs",
    "check/own_objective": "own_objective",
    "check/observations": "likelihoods checkers check",
    "check/enumeration": "subsets checkers check strangers bugs",
    "check/posteriors": "laws subsets",
    "check/levels": "estimators checkers check",
    "check/trial": "backward",
    "check/slopes": "backward",
    "check/analytic": "backward",
    "check/hints": "check bugs judge",
    "check/judging": "checkers strangers bugs judge",
    "check/samples": "samples",
    "check/bias": "samples",
    "check/likeness": "judge",
    "check/exactly": "published_toys site",
    "check/own_noise": "judge",
    "check/stranger": "judge bugs",
    "check/variances": "judge",
    "check/report": "judge checkers cli",
    "check/mistakes": "checkers bugs",
    "train/": "train loop data checkpoint",
    "train/optimisers": "loop train",
    "train/beginning": "own_networks loop starts train conditional",
    "train/loop": "loop train conditional schedules",
    "train/resuming": "checkpoint",
    "train/code_usage": "conditional own_data",
    "train/own_data": "own_data",
    "train/data_files": "own_data",
    "train/runs": "own_data schedules own_networks",
    "train/schedules": "schedules starts conditional",
    "train/settings": "conditional loop starts train arguments options",
    "train/data": "data loop",
    "train/mnist": "data",
    "train/checkpoint": "checkpoint files",
    "train/evaluation": "conditional train arguments own_networks",
    "experiments/gaps": "emissions",
    "experiments/": "experiments reproduce readme figures conditional",
    "experiments/page": "readme figures",
    "experiments/sweep": "experiments sweep",
    "experiments/tuning": "experiments cli",
    "experiments/published_toys": "published_toys",
    "experiments/best_weights": "published_toys",
    "experiments/page_toys": "figures published_toys",
    "figures/published": "published_toys figures",
    "exercises/": "exercises",
    "bench/": "bench readme figures",
    "figures/": "pictures figures conditional",
    "cli/": "options cli",
}


def read_table():
    """{key: line} of the table."""
    return json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.exists() else {}


def write_table(table):
    """The lines of the mistakes that are still listed, in their order; whole or not at all."""
    lines = {each.key: table[each.key] for each in MUTATIONS if each.key in table}
    part = TABLE.with_suffix(".part")
    part.write_text(json.dumps(lines, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, TABLE)


def answered(mutation, table):
    """Has the table a line that says what notices it, or is it explained?"""
    line = table.get(mutation.key)
    return (
        line is not None
        and line["change"] == mutation.change
        and (line["by"] in NOTICED or (line["by"] == "nothing" and bool(mutation.why)))
    )


def tests_of(file):
    """The paths of that module's tests."""
    names = TESTS[max((start for start in TESTS if file.startswith(start)), key=len)]
    return [f"tests/test_{name}.py" for name in names.split()]


class Copy:
    """The tree in a temporary folder, into which mistakes are put."""

    def __init__(self, folder):
        self.folder, self.sound = Path(folder), {}
        ignored = shutil.ignore_patterns(".git", ".venv", "__pycache__", "runs", "*.part", ".pytest_cache")
        shutil.copytree(ROOT, self.folder, ignore=ignored, dirs_exist_ok=True)

    def run(self, level, *arguments):
        """(exit status, output) of Python in the copy."""
        environment = os.environ | {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, *arguments]
        process = subprocess.Popen(command, cwd=self.folder, env=environment, text=True, errors="replace",
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip
        try:
            output, _ = process.communicate(timeout=LONGEST[level])
            return process.returncode, output
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.communicate()
            return LATE, ""

    def verified(self):
        """What the verification says: ("", the modules that it loads), or (the first failure, "")."""
        status, output = self.run("verify", "-c", VERIFY)
        if status == 0:
            return "", output.split()
        if status == LATE:
            return f"it takes more than {LONGEST['verify']} seconds", ""
        last = output.strip().splitlines()[-1] if output.strip() else f"exit status {status}"
        return last if last.startswith("level ") else f"raises {last}"[:200], ""

    def tested(self, level, files, deselected=()):
        """The name of the first test that fails, or ""."""
        options = ["-x", "-n", "0", "-m", "not notebooks", "-p", "no:cacheprovider", "--tb=no"]
        for name in (*deselected, "tests/test_mutations.py"):  # a test, or a file that cannot be read
            options.append(f"--deselect={name}" if "::" in name else f"--ignore={name}")
        files = [file for file in files if file not in deselected]
        status, output = self.run(level, "-m", "pytest", *options, *files)
        failed = re.findall(r"^(?:FAILED|ERROR) (tests/\S+(?:\[[^\n]*?\])?)(?: - .*)?$", output, re.M)
        if status == LATE:
            return f"more than {LONGEST[level]} seconds"
        if not failed and status not in (0, 5):
            raise ValueError(f"pytest ends with status {status}: {output[-200:]}")
        return failed[0] if failed else ""

    def noticed(self, mutation, loaded, levels):
        """(by what, by which) of these levels a mistake is noticed; ("nothing", "") where it is not."""
        path = self.folder / "dvae_np" / mutation.file
        right = path.read_text(encoding="utf-8")
        wrong = mutation.applied(right)
        module = "dvae_np." + mutation.file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        try:
            path.write_text(wrong, encoding="utf-8")
            for level in levels:
                if level == "verify":
                    failure = self.verified()[0] if module in loaded else ""
                else:
                    failure = self.tested_soundly(level, mutation.file, path, right, wrong)
                if failure:
                    return level, failure
            return "nothing", ""
        finally:
            path.write_text(right, encoding="utf-8")

    def tested_soundly(self, level, file, path, right, wrong):
        """The first test that fails with the mistake and passes without it, or ""."""
        files = tests_of(file) if level == "module tests" else ["tests"]
        while failure := self.tested(level, files, [name for name, sound in self.sound.items() if not sound]):
            if not failure.startswith("tests/"):
                return failure
            if failure not in self.sound:
                path.write_text(right, encoding="utf-8")
                self.sound[failure] = not self.tested("module tests", [failure])
                path.write_text(wrong, encoding="utf-8")
            if self.sound[failure]:
                return failure
        return ""


def in_turn():
    """The first mistake of each file, then the second of each: a run that is stopped has looked everywhere."""
    by_file = {}
    for mutation in MUTATIONS:
        by_file.setdefault(mutation.file, []).append(mutation)
    return [each for several in zip_longest(*by_file.values()) for each in several if each]


def go_through(part="", slow=True):
    """Try what the table has no answer for: all by the quick checks, then by all tests what these do not notice."""
    table, broken = read_table(), []
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(folder)
        failure, loaded = copy.verified()
        if failure:
            raise SystemExit(f"the verification fails without any mistake: {failure}")
        for levels in (NOTICED[:2], NOTICED[2:])[: 1 + slow]:
            for mutation in in_turn():
                if part not in mutation.file or answered(mutation, table):
                    continue
                started = time.perf_counter()
                try:
                    by, which = copy.noticed(mutation, loaded, levels)
                except ValueError as error:  # it does not stand there once, or the tests were killed by something else
                    broken += [f"{mutation.key}: {error}"]
                    continue
                seconds = round(time.perf_counter() - started, 1)
                table[mutation.key] = {"change": mutation.change, "by": by, "which": which, "seconds": seconds}
                table[mutation.key] |= {"why": mutation.why} if mutation.why else {}
                write_table(table)
                print(f"{by}: {mutation.key}: {which} ({seconds} s)", flush=True)
    print("\n".join([*broken, summary(read_table())]))
    return 1 if broken else 0


def summary(table):
    """How many were noticed by what."""
    return ", ".join(f"{count} {by}" for by, count in Counter(line["by"] for line in table.values()).most_common())


if __name__ == "__main__":
    if sys.argv[1:] == ["--list"]:
        for key, line in read_table().items():
            print(f"{line['by']:<20}{key}: {line['which']}")
        print(summary(read_table()))
    else:
        slow = "--quick" not in sys.argv
        sys.exit(go_through(*(word for word in sys.argv[1:] if word != "--quick"), slow=slow))
