"""What each command of the command line does. Heavy imports stand in the command that needs them."""

import json
import os
from functools import partial

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.estimators import TABLE, markdown_table
from dvae_np.estimators.estimate import expect_few_states


class Bar:
    """A progress bar on a terminal, fed with epochs; silent where standard error is no terminal."""

    def __init__(self, description, total, initial=0):
        from tqdm import tqdm

        self.bar = tqdm(desc=description, total=total, initial=initial, unit="epoch", disable=None, leave=False)

    def __call__(self, epoch, loss, validation):
        self.bar.set_postfix_str(f"loss {loss:.2f}, validation {validation:.2f} nats", refresh=False)
        self.bar.update()

    def close(self):
        """Remove the bar."""
        self.bar.close()


def make_folder(out):
    """Make the folder of --out, before any work is done; raises `InputError` where it could not be written to."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / ".write").touch()
        (out / ".write").unlink()
    except OSError as error:
        raise InputError(
            f"--out: expected a folder that can be written to, got {str(out)!r} ({error.strerror})"
        ) from None


def expect_folder(file):
    """Raise `InputError`, before any work is done, where a file could not be written after it."""
    if file is not None and (file.is_dir() or not os.access(file.resolve().parent, os.W_OK)):
        raise InputError(f"--json: expected a file in a folder that can be written to, got {str(file)!r}")


def tour(options):
    """`tour`"""
    from dvae_np.experiments.tour import tour

    make_folder(options.out)
    return 0 if tour(options.out, progress=Bar) else 1


def verify(options):
    """`verify`"""
    from dvae_np.check import judging, suite
    from dvae_np.check.report import Report

    expect_folder(options.json)
    if (options.samples is None) != (options.exact is None) or (options.samples and options.estimator):
        raise InputError("verify: expected --samples and --exact together, or FILE.py:FUNCTION, or neither")
    if options.samples:
        draws, exact = judging.load_array(options.samples, "samples"), judging.load_array(options.exact, "exact")
        report = judging.judge_samples(draws, exact)
    elif options.estimator:
        report = judging.judge(judging.load_function(options.estimator))
    else:
        report = Report(suite.results())
    print(report)
    if options.json:
        options.json.write_text(report.json() + "\n")
    return 1 if report.failed else 0


def compare(options):
    """`compare`"""
    from tqdm import tqdm

    from dvae_np import figures
    from dvae_np.experiments import compare, rule

    if options.evaluations < 2 or options.N < 1 or options.K < 2:
        raise InputError(
            f"compare: expected E >= 2, N >= 1 and K >= 2, got {options.evaluations}, {options.N}, {options.K}"
        )
    expect_few_states("compare", options.N, options.K, 1, 4096)
    make_folder(options.out)

    def progress(rows):
        return tqdm(rows, unit="model" if options.rule else "estimator", disable=None, leave=False)

    if options.rule:
        record = rule.practical_rule(progress)
        for error in rule.ERRORS:
            print(f"Milliseconds for a gradient of 100 digits with relative error {error:g}:\n")
            print(rule.rule_table(record, error) + "\n")
        drawings = {"rule.png": ((11, 4.2), figures.practical_rule, record)}
    else:
        record = compare.compare(options.problem, options.evaluations, options.N, options.K, progress)
        print(
            f"{record['problem']}; about {record['evaluations']} evaluations of f for each gradient; errors are relative\n"
        )
        print(compare.comparison_table(record))
        print(
            "\nExact variance on a toy (cubic f, N=1, K=3; binary rows N=2), before and after learning the tunables:\n"
        )
        print(compare.learned_table(record))
        drawings = {
            "compare.png": ((11, 5.2), figures.comparison, record),
            "sweep.png": ((8, 5.2), figures.sweep, record),
        }
    name = "rule.json" if options.rule else "compare.json"
    (options.out / "data").mkdir(exist_ok=True)
    (options.out / "data" / name).write_text(json.dumps(record, indent=1) + "\n")
    for picture, drawing in drawings.items():
        figures.save(options.out / picture, *drawing)
    print(f"\nWritten to {options.out}: {', '.join(drawings)}, data/{name}")
    return 0


def complete(options):
    """`complete`"""
    from tqdm import tqdm

    from dvae_np import figures
    from dvae_np.experiments.completion import completion, completion_table
    from dvae_np.figures import models

    make_folder(options.out)
    bar = partial(tqdm, unit="run", disable=None, leave=False)
    record, images = completion(options.data, options.data_dir, options.hidden, bar)
    print(f"{record['data']}\nexact, median (and range) of three seeds:\n\n{completion_table(record)}")
    (options.out / "data").mkdir(exist_ok=True)
    name = "-".join(["completion", options.data, *map(str, options.hidden or ())])
    (options.out / "data" / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    np.savez_compressed(options.out / "data" / f"{name}.npz", images=(255 * images).astype(np.uint8))
    figures.save(options.out / f"{name}.png", (8.8, 5.4), models.completions, images)
    print(f"\nWritten to {options.out}: {name}.png, data/{name}.json, data/{name}.npz")
    return 0


def figures(options):
    """`figures`"""
    from tqdm import tqdm

    from dvae_np.experiments.gallery import gallery

    make_folder(options.out)
    names = gallery(options.out, options.records, partial(tqdm, unit="figure", disable=None, leave=False))
    print(f"Written to {options.out}: {', '.join(names)}")
    return 0


def estimators(options):
    """`estimators`"""

    print(markdown_table())
    return 0


def sweep(options):
    """`sweep`"""
    from tqdm import tqdm

    from dvae_np.experiments import sweep

    if options.jobs < 1:
        raise InputError(f"--jobs: expected at least 1, got {options.jobs}")
    unknown = [name for name in options.estimators if name not in TABLE]
    if unknown:
        raise InputError(f"--estimators: expected names among {', '.join(TABLE)}, got {unknown[0]!r}")
    make_folder(options.out)
    runs = sweep.plan(options.out, options.estimators, options.seeds, options.sizes, options.S, options.train)
    finished = sum(run.record is not None for run in runs)
    print(f"{len(runs)} runs, {finished} of them finished; {options.jobs} at a time")
    with tqdm(total=len(runs), initial=finished, unit="run", disable=None, leave=False) as bar:

        def progress(words):
            bar.set_postfix_str(words, refresh=False)
            bar.update()

        try:
            failed = sweep.carry_out(runs, options.jobs, progress)
        except KeyboardInterrupt:
            print("stopped; all runs are saved, and the same command goes on with them")
            return 130
    print(sweep.sweep_table(runs))
    sweep.write_csv(options.out / "sweep.csv", runs)
    print(f"written to {options.out}: sweep.csv, and a folder for each run")
    for run, words in failed.items():
        print(f"failed: {run.folder.name}: {words}")
    return 1 if failed else 0


def bench(options):
    """`bench`"""
    from tqdm import tqdm

    from dvae_np import figures
    from dvae_np.bench import measure, report

    if options.runs < 1:
        raise InputError(f"--runs: expected at least 1, got {options.runs}")
    make_folder(options.out)
    sections = options.section or list(report.SECTIONS)
    record = measure.measure(sections, options.runs, partial(tqdm, unit="case", disable=None, leave=False))
    path = options.out / "data" / "bench.json"
    record = measure.renewed(path, record, sections)
    print(f"{record['machine']}; {options.runs} rounds, medians\n")
    for heading, table in report.tables(record).values():
        print(f"{heading}\n\n{table}\n")
    print(report.targets(record))
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    written = ["data/bench.json"]
    if record["growth"]:
        written.append(figures.save(options.out / "bench.png", *figures.BENCH, record).name)
    print(f"\nWritten to {options.out}: {', '.join(written)}")
    return 0
