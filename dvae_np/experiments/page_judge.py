"""What the judge said of public packages, on the page of measured numbers."""

from dvae_np import records
from dvae_np.text import markdown_columns


def public_packages():
    """One line for each estimator that was tried, and the reasons of those that failed."""
    record = records.read("public-packages")
    rows = [("package", "what was called", "judged as", "verdict", "s")]
    reasons = []
    for each in record["judged"]:
        verdict = each["verdict"] if each["ok"] else f"**{each['verdict'].split(' (')[0]}**"
        rows.append((f"{each['package']} {each['version']}", f"`{each['called']}`", each["judged"], verdict,
                     f"{each['seconds']:.0f}"))  # fmt: skip
        if not each["ok"]:
            why = each["failures"][0].partition(": ")[2]
            reasons.append(f"- {each['package']}, `{each['called']}`: {why}.")
    own, many = len(record["judged"]), len({each["package"] for each in record["judged"]})
    return f"""\
## Public packages

{own} estimators of {many} packages, called as their users call them, before the judge: each draws its own noise, most by
PyTorch's global generator. `{record["command"]}` says what to install, and holds the calls. Seconds are of a shared machine.

{markdown_columns(rows)}

What failed, and the judge's words:

{chr(10).join(reasons)}

`OneHotCategoricalStraightThrough` is there to be seen failing: it is biased by design, and passes beside
`straight_through`. storchastic's DisARM was called with a batch of examples; a note in its source says that it does not
follow the current implementation."""
