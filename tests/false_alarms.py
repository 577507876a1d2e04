"""How often `from_samples` calls a right estimator biased, by simulation; its table is dvae_np/records/false-alarms.json.

    python tests/false_alarms.py                    # some minutes of one core; stopped and started again, it goes on

Each run is R draws of an estimator whose law is known: every outcome of its codes has a probability, so R draws are counts of
outcomes, one multinomial number each, and a run of 60,000 draws costs no more than one of 100. The laws are those of
REINFORCE with one sample and of leave-one-out with two, on 200 problems (N = 2, K = 3) with normal logits times a scale and
f a normal table or a cubic polynomial. In a second set of runs the estimator is 3/4 of what it should be: the power.
A test that could only have seen a bias of more than 5 % counts as a test here, or few draws would all be INCONCLUSIVE.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from dvae_np.check import enumeration, from_samples, lookup_table, polynomial
from dvae_np.estimators import TABLE

TABLE_FILE = Path(__file__).parent.parent / "dvae_np" / "records" / "false-alarms.json"
LEVELS, SCALES, DRAWS = (0.1, 0.01, 0.001), (1, 3, 8), (100, 1000, 60_000)
ESTIMATORS = {"reinforce": 1, "reinforce_loo": 2}  # and the samples that each takes
PROBLEMS, RUNS, RUNS_OF_POWER = 200, 20_000, 2000
FACTOR = 0.75  # of the wrong estimator


def law(name, scale, problem):
    """Every draw that the estimator may give (T, N, K), its probability (T,), and the exact gradient (N, K)."""
    rng = np.random.default_rng(problem)
    logits = scale * rng.standard_normal((1, 2, 3))
    if problem % 2:
        f = polynomial(0.5 * rng.standard_normal((2, 2, 3)), 3)
    else:
        f = lookup_table(rng.standard_normal((3, 3)))
    z, weights = enumeration.every_code(logits, ESTIMATORS[name])
    draws = TABLE[name].estimate(enumeration.tiled(logits, len(weights)), f, z).dlogits
    return draws, weights / weights.sum(), TABLE["exact"].estimate(logits, f).dlogits[0]


def cell(name, scale, R, runs=RUNS, runs_of_power=RUNS_OF_POWER, problems=PROBLEMS, levels=LEVELS):
    """The shares of runs that are called biased, at each level, and that are inconclusive."""
    found = {level: {"false_alarms": 0, "inconclusive": 0, "power": 0} for level in levels}
    for problem in range(problems):
        draws, weights, exact = law(name, scale, problem)
        rng = np.random.default_rng([problem, R])
        for run, counts in enumerate(rng.multinomial(R, weights, runs // problems)):
            came = counts > 0
            for level, share in found.items():
                options = {"false_alarm": level, "worth_seeing": np.inf, "counts": counts[came]}
                kind = from_samples(draws[came], exact, **options).kind
                share["false_alarms"] += (kind == "BIASED") / runs
                share["inconclusive"] += (kind == "INCONCLUSIVE") / runs
                if run < runs_of_power // problems:
                    biased = from_samples(FACTOR * draws[came], exact, **options).kind == "BIASED"
                    share["power"] += biased / runs_of_power
    return [
        {
            "estimator": name,
            "scale": scale,
            "draws": R,
            "level": level,
            **{what: round(x, 6) for what, x in share.items()},
        }
        for level, share in found.items()
    ]


def main():
    """Every cell that the table lacks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=TABLE_FILE, metavar="FILE", help="the table (%(default)s)")
    out = parser.parse_args().out
    table = {"command": "python tests/false_alarms.py", "runs": RUNS, "runs_of_power": RUNS_OF_POWER, "factor": FACTOR}
    table |= {"problems": PROBLEMS, "cells": []}
    if out.exists():
        table = json.loads(out.read_text())
    for name in ESTIMATORS:
        for scale in SCALES:
            for R in DRAWS:
                if any((c["estimator"], c["scale"], c["draws"]) == (name, scale, R) for c in table["cells"]):
                    continue
                table["cells"] += cell(name, scale, R)
                part = out.with_suffix(".part")
                part.write_text(json.dumps(table, indent=1) + "\n")
                part.replace(out)
                for each in table["cells"][-len(LEVELS) :]:
                    print(*(f"{what} {x}" for what, x in each.items()), sep=", ", flush=True)


if __name__ == "__main__":
    main()
