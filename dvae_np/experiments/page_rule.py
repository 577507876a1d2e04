"""The page's sections on the practical rule: what a gradient of a given error costs, and what training for equal time gives."""

from dvae_np import records
from dvae_np.experiments import equal_time, first_model, rule, yardsticks

FAMILIES = {
    "independent": "Independent latents",
    "chain": "Chains under a decoder that sees all codes: the exact gradient visits every code",
    "rows": "Chains that emit a row of pixels each: the exact gradient is dynamic programming",
}


def practical_rule():
    """Which estimator is the cheapest, by the number of joint states."""
    record = records.read("rule")
    tables = "\n\n".join(
        f"{words}, relative error {error:g}:\n\n{_tables(record, error, family)}"
        for family, words in FAMILIES.items()
        for error in record["errors"]
    )
    lost = [
        f"`{name}` at its default temperature: {default} of the {best} models that it reaches at its best one"
        + (f", {times:.2g} times as dear there (median)" if times else "")
        for name, (default, best, times) in rule.lost_by_defaults(record, 0.3).items()
        if best
    ]
    rebar = [model["rebar"]["tuning_milliseconds"] for model in record["models"] if "rebar" in model]
    return f"""\
## Which estimator when

`{record["command"]}`: milliseconds for the gradient of {record["batch"]} digits with a given relative error, on trained
models of growing size ([lesson 14](../notebooks/14_which_estimator_when.ipynb)), at the best of {len(record["taus"])}
temperatures up to {max(record["taus"]):g}, which stands in brackets, and of two numbers of samples. "never": the bias alone
is larger than the error at each of them. VIMCO is measured on its own bound, another objective, and is not ranked. The exact
gradient decodes each joint state once for the whole batch; a sampling estimator decodes S codes for every example. To measure
one of them anew, beside its record: `{record["command"]} --cell "{rule.SHOWN} reinmax"`.

{tables}

![Milliseconds to a given relative error against the number of joint states, for independent latents and for chains](rule.png)

What the defaults lose, at an error of 0.3: {"; ".join(lost)}. To find a temperature by training takes a run for each that is
tried. REBAR's tunables took {min(rebar):,.0f} to {max(rebar):,.0f} ms to learn, which is not counted above.

Bias, deviation of one gradient and cosine of its mean with the exact gradient, for 4 independent latents of 8 categories:

{rule.settings_table(record, rule.SHOWN, markdown=True)}"""


def _tables(record, error, family):
    """The table of one error, in two where it has more columns than a page is wide."""
    names = rule.FAMILIES[family][1]
    parts = [names[:6], names[6:]] if len(names) > 9 else [names]
    return "\n\n".join(rule.rule_table(record, error, markdown=True, family=family, names=part) for part in parts)


def training():
    """Which estimator trains the best model in equal time, by two yardsticks."""
    parts = map(_trained_on, yardsticks.data_sets())
    return f"""\
## Which estimator trains best in equal time

`python -m dvae_np compare --train digits` (or `mnist`): every estimator gets the same seconds, that is as many steps as fit
into them by the milliseconds of a step on one core, measured once and recorded (to a twentieth, as epochs are whole). Training
draws the pixels anew for each batch. One of four step sizes is chosen by trials with seed 0 on validation images. A
temperature is chosen first, at a step size of {equal_time.FIRST["lr"]}, and then the step size at that temperature:
{_temperatures("gumbel_softmax")} for Gumbel-Softmax and its straight-through form, {_temperatures("reinmax")} for ReinMax and
straight-through. A trial on MNIST has a fifth of the steps. The numbers are medians and ranges of seeds 1 to 3 on test images,
at most {equal_time.MOST_IMAGES:,}.
Two yardsticks: the negative ELBO, and -log p(x), exact where all codes can be visited or summed, else bounded by
{equal_time.BOUNDS[-1]:,} samples ("doubling S" is the change from half of them). VIMCO is trained
on its own bound, and stopped and chosen by log p(x), or a bound of 100 samples on it; the others by the ELBO. A run that has
not become better for {equal_time.PATIENCE:.0%} of its epochs is stopped, unless its temperature falls. To train one of them
anew, beside its record:
`python -m dvae_np compare --train digits --cell "independent 2x8 exact"`.

{(chr(10) * 2).join(parts)}"""


def _temperatures(name):
    """'0.2, 0.5 to 0.1 or 1 to 0.3': those that are tried."""
    *first, last = map(yardsticks.tau_in_words, equal_time.TEMPERATURES[name])
    return f"{', '.join(first)} or {last}"


def _trained_on(name):
    record = records.read(f"equal-time-{name}")
    cells = equal_time.cells_of(equal_time.SIZES[name])
    left = equal_time.runs_left(record, cells)
    finished = len(yardsticks.finished(record))
    so_far = f" Finished sizes: {finished}; {left} of {equal_time.runs_of(cells)} runs are left." if left else ""
    return f"""\
{name}, {record["seconds"]} seconds.{so_far}

{yardsticks.answers(record, markdown=True)}

![For each size, a line for each estimator from -log p(x) to the negative ELBO](equal-time-{name}.png)

{yardsticks.training_table(record, markdown=True)}"""


def lessons():
    """The model of lesson 00, trained by what the lessons teach."""
    record = records.read("first-model")
    return f"""\
## The model of lesson 00

`{record["command"]}` trains the model of [lesson 00](../notebooks/00_why_discrete.ipynb) by what each lesson teaches:
{first_model.STEPS} steps, all images at once, {first_model.EVALUATIONS} evaluations of f for each image and step where it is
sampled. Step size and temperature are chosen on validation images.

{first_model.first_models_table(record, markdown=True)}

![Test loss against steps, a line for each estimator](first_model.png)"""
