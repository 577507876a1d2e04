"""The verification as a table: for a terminal, a notebook, or a file."""

import html
import json
import math
from dataclasses import asdict, dataclass

from dvae_np.check.bias import Measured
from dvae_np.estimators import TABLE
from dvae_np.text import columns

LEVELS = {
    0: "shapes, dtype, purity, independent examples",
    1: "complex step, central differences, Taylor remainder",
    2: "enumeration of the estimator's own sample space",
    3: "quadrature over the Gumbel noise",
    4: "identities",
    5: "statistics",
}


@dataclass(frozen=True)
class Result:
    """One line of the table."""

    level: int
    subject: str  # what is verified
    check: str  # against what
    verdict: str
    ok: bool
    error: float | None = None
    explanation: str = ""
    point: str = ""  # of the problems at which estimators may break; "" is the mild one
    measured: Measured | None = None  # of a mean, beside the exact gradient


def joined(level, subject, check, comparisons):
    """One result for several arrays: the worst of them."""
    worst = max(comparisons, key=lambda comparison: comparison.error)
    wrong = "; ".join(str(comparison) for comparison in comparisons if not comparison.ok)
    return Result(level, subject, check, f"error {worst.error:.0e}", not wrong, worst.error, wrong)


def judged(level, subject, check, verdict):
    """The line that says a `Verdict`."""
    text = f"{verdict.kind} ({verdict.detail})"
    return Result(
        level, subject, check, text, verdict.ok, verdict.error, verdict.explanation, measured=verdict.measured
    )


def of_op(subject, found, accepted=("right",)):
    """Two lines, one for each method, that say an `OpVerdict`. accepted: the kinds that pass."""
    words = ": " + ", ".join(f"d{name}" for name in found.gradients)
    words += f" (data: {', '.join(found.data)})" * bool(found.data)
    ok = found.kind in accepted
    told = "" if ok else str(found)
    for method in ("complex step", "central differences"):
        error = found.error(method)
        compared = any(how == method for how, _ in found.comparisons)
        verdict = f"error {error:.0e}" if ok and compared else str(found) if ok else found.kind
        yield Result(1, f"op {subject}", method + words, verdict, ok, error, told)


class Report:
    """All results of a verification; prints as a table. It is true (`ok`) where nothing failed; `failed` lists what did."""

    def __init__(self, results):
        self.results = list(results)

    @property
    def failed(self):
        return [result for result in self.results if not result.ok]

    @property
    def ok(self):
        return not self.failed

    def __bool__(self):
        return self.ok

    def __repr__(self):
        """One short line, which a failed ``assert judge(f)`` shows whole: how many failed, and why the first did."""
        words = "; ".join(dict.fromkeys(r.explanation or f"{r.check}: {r.verdict}" for r in self.failed))
        text = f"{len(self.failed)} of {len(self.results)} checks failed" + (f": {words}" if words else "")
        return f"<Report: {text if len(text) <= 220 else text[:217] + '...'}>"

    def __str__(self):
        rows = [("level", "what", "checked against", "verdict")]
        rows += [(str(r.level), r.subject, r.check, r.verdict) for r in self.results]
        return "\n".join([columns(rows, math.inf), *self.measurements(), *self.failures(), self.summary()])

    def measurements(self):
        """Of one estimator: a line on bias and variance, for the first means that are off; else for the last z-test."""
        known = [r for r in self.results if r.measured] if len({r.subject for r in self.results}) == 1 else []
        told = [r for r in known if not r.ok][:3] or [r for r in known if r.measured.draws][-1:]
        return [f"measured  {r.check}: {r.measured}" for r in told]

    def condensed(self):
        """What fits a screen: a line for each estimator, one for all ops, the objectives, and the rest: how many checks, the
        largest complex-step error, the gradient's verdict; and all failures."""
        rows, groups = [("what", "checks", "complex step", "verdict on the gradient")], {}
        for result in self.results:
            groups.setdefault(group_of(result.subject), []).append(result)
        for words, own in groups.items():
            errors = [r.error for r in own if r.level == 1 and r.error is not None and "complex step" in r.check]
            means = [r.verdict for r in own if r.level in (2, 3) and "dlogits" in r.check] or ["ok"]
            found = means[-1].replace(" along the gradient", " along").removesuffix(", as the table says")
            verdict = next((f"FAILED: {r.verdict}"[:90] for r in own if not r.ok), found)
            rows.append((words, str(len(own)), f"{max(errors):.0e}" if errors else "", verdict))
        return "\n".join([columns(rows), *self.failures(), self.summary()])

    def failures(self):
        """A line for everything that failed; what fails for one reason has one line.

        Of means that are off those without an explanation are left to the table where another of the same subject has one.
        """
        alike = {}
        for r in self.failed:
            alike.setdefault((r.subject, r.explanation or r.level), []).append(r)
        told = {r.subject for r in self.failed if r.explanation and r.level >= 2}
        more = lambda same: f" (and {len(same) - 1} more)" if len(same) > 1 else ""
        return [f"FAILED  {same[0].subject}, {same[0].check}{more(same)}: {same[0].explanation or same[0].verdict}"
                for same in alike.values()
                if same[0].explanation or same[0].level < 2 or same[0].subject not in told]  # fmt: skip

    def raise_if_failed(self):
        """For a test suite, `judge(f).raise_if_failed()`: AssertionError with the whole report where anything failed."""
        if self.failed:
            raise AssertionError(f"\n{self}")

    def summary(self):
        """One sentence: how many checks, how many failed, and the largest error of the gradient pairs."""
        errors = [r.error for r in self.results if r.level == 1 and r.error is not None and "complex step" in r.check]
        worst = f"; largest complex-step error {max(errors):.1e}" if errors else ""
        return f"{len(self.results)} checks, {len(self.failed)} failed{worst}"

    def json(self):
        """The report as a JSON text; a number that is not finite becomes null."""
        results = [finite(asdict(result)) for result in self.results]
        return json.dumps({"ok": self.ok, "levels": LEVELS, "results": results}, indent=1, ensure_ascii=False)

    def _repr_html_(self):
        cells = "".join(
            f"<tr><td>{r.level}</td><td>{html.escape(r.subject)}</td><td>{html.escape(r.check)}</td>"
            f"<td style='color:{'#1b7837' if r.ok else '#b2182b'}'>{html.escape(r.verdict)}</td>"
            f"<td>{html.escape(r.explanation)}</td></tr>"
            for r in self.results
        )
        head = "<tr><th>level</th><th>what</th><th>checked against</th><th>verdict</th><th></th></tr>"
        return f"<table>{head}{cells}</table><p>{html.escape(self.summary())}</p>"


def group_of(subject):
    """The line that a subject belongs to in the condensed table."""
    if subject in TABLE:
        return subject
    return {"op": "ops", "objective": "whole objectives"}.get(subject.partition(" ")[0], "laws, samplers, identities")


def finite(value):
    """The same dicts and lists, with None for each number that is not finite."""
    if isinstance(value, dict):
        return {name: finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
