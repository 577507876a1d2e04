"""The loop's bookkeeping: which images reach a step, in which order, with which weights and sizes, and what is written down."""

from dataclasses import replace

import numpy as np
import pytest

from dvae_np import vae
from dvae_np.estimators import TABLE
from dvae_np.model import Model
from dvae_np.train import SGD, Adam, RAdam, Settings, Training, evaluate, evaluation, fit, kl_weight, load, loop
from dvae_np.train.data import Split

SMALL = {"N": 2, "K": 3, "hidden": (5,), "batch": 10, "epochs": 3}
ROWS = 37  # three batches of ten, and one of seven


def few(binarisation="grey", task="images"):
    """Data of which no two images are alike, in any split, with a batch that is not whole."""
    data = load("digits", binarisation, task=task)

    def cut(split, n):
        return Split(split.x[:n], split.labels[:n], None if split.c is None else split.c[:n])

    return replace(data, train=cut(data.train, ROWS), validation=cut(data.validation, 23), test=cut(data.test, 11))


@pytest.fixture
def steps(monkeypatch):
    """Every training step from here on: the images it got, its options, its step sizes and what it returned."""
    taken, step = [], vae.training_step

    def recorded(params, x, row, rng, optimisers, S=1, **options):
        rates = [optimiser.lr for optimiser in optimisers]
        loss = step(params, x, row, rng, optimisers, S, **options)
        taken.append({"x": x.copy(), "S": S, "options": options, "rates": rates, "loss": loss})
        return loss

    monkeypatch.setattr(vae, "training_step", recorded)
    return taken


def places(x, split):
    """Which rows of a split these images are; -1 for an image that is none of them."""
    index = {image.tobytes(): i for i, image in enumerate(split.x)}
    assert len(index) == len(split.x)
    return [index.get(image.tobytes(), -1) for image in x]


@pytest.mark.parametrize("batch", [1, 10, ROWS - 1, ROWS, 1000])
@pytest.mark.parametrize("task", ["images", "completion"])
def test_every_image_once_an_epoch_and_in_another_order_each_time(steps, batch, task):
    """The last batch too, which has what is left; contexts go with their images; no other split is ever trained on."""
    data = few(task=task)
    fit(data, Settings(**SMALL | {"batch": batch}))
    sizes = [len(step["x"]) for step in steps]
    whole, rest = divmod(ROWS, batch)
    assert sizes == 3 * ([batch] * whole + [rest] * (rest > 0))
    order = np.concatenate([places(step["x"], data.train) for step in steps]).reshape(3, ROWS)
    assert (np.sort(order) == np.arange(ROWS)).all()
    for one, other in ((order[0], order[1]), (order[1], order[2]), (order[0], order[2]), (order[0], np.arange(ROWS))):
        assert (one != other).mean() > 0.7  # orders drawn anew differ nearly everywhere
    for step in steps:
        assert set(places(step["x"], data.validation) + places(step["x"], data.test)) == {-1}
        c = step["options"]["c"]
        assert c is None if task == "images" else (c == data.train.c[places(step["x"], data.train)]).all()


def test_another_seed_has_another_order(steps):
    data = few()
    for seed in (0, 1):
        fit(data, Settings(**SMALL | {"epochs": 1, "seed": seed}))
    first, second = (
        np.concatenate([places(step["x"], data.train) for step in part]) for part in (steps[:4], steps[4:])
    )
    assert (first != second).mean() > 0.7


@pytest.mark.parametrize("name", ["exact", "reinforce_loo", "gumbel_softmax", "vimco"])
def test_the_history_is_the_mean_of_what_the_steps_returned(steps, name):
    """Over images, not over batches, of which the last is smaller; and the validation split's ELBO after the epoch."""
    data, settings = few(), Settings(name, **SMALL, S=TABLE[name].fewest_samples, beta=1.0 if name == "vimco" else 0.5)
    training, validation = Training(data, settings), []
    while not training.finished:
        training.step()
        if training.batch == 0:
            validation.append(evaluate(training.params, data.validation.x).negative_elbo)
    for epoch in range(3):
        own = steps[4 * epoch : 4 * epoch + 4]
        expected = {
            "loss": sum(float(step["loss"].value) * len(step["x"]) for step in own) / ROWS,
            "kl": np.concatenate([step["loss"].kl for step in own]).astype(float).mean(),
            "validation": validation[epoch],
            "beta": settings.beta,
        }
        for quantity, value in expected.items():
            assert training.history[quantity][epoch] == pytest.approx(value, rel=1e-6), quantity
        if name != "vimco":  # which has the KL in its own value
            parts = np.concatenate([step["loss"].reconstruction + 0.5 * step["loss"].kl for step in own])
            assert training.history["loss"][epoch] == pytest.approx(parts.astype(float).mean(), rel=1e-5)
    assert {name: len(values) for name, values in training.history.items()} == dict.fromkeys(training.history, 3)
    run = fit(data, settings)
    assert run.history == training.history  # the numbers that come out are these


def test_the_loss_of_a_step_is_that_of_its_images():
    """The first step's loss, computed from the start's parameters by the exact ELBO of the very images that it got."""
    data, settings = few(), Settings(**SMALL)
    training = Training(data, settings)
    params = {
        group: {name: array.copy() for name, array in arrays.items()} for group, arrays in training.params.items()
    }
    order = np.argsort(np.random.Generator(_advanced(training)).random(ROWS))
    training.step()
    chosen = evaluation.evaluate(params, data.train.x[order[:10]])
    assert training.sums[0] / 10 == pytest.approx(chosen.negative_elbo, rel=1e-5)
    assert training.sums[1] / 10 == pytest.approx(chosen.kl, rel=1e-5)


def _advanced(training):
    bits = np.random.SFC64(0)
    bits.state = training.rng.bit_generator.state
    return bits


@pytest.mark.parametrize("schedule", ["constant", "warm_up", "cyclical"])
def test_the_weight_of_the_kl_reaches_each_step_as_its_formula_says(steps, schedule):
    settings = Settings(**SMALL | {"epochs": 5}, beta=0.8, schedule=schedule, schedule_epochs=2)
    run = fit(few(), settings)
    weights = [step["options"]["beta"] for step in steps]
    share = np.arange(20) / 4 / 2  # of the two epochs, at four steps an epoch
    by_hand = {"constant": np.ones(20), "warm_up": np.minimum(1, share), "cyclical": np.minimum(1, 2 * (share % 1))}[
        schedule
    ]
    np.testing.assert_allclose(weights, 0.8 * by_hand, rtol=1e-12)
    assert weights == [kl_weight(settings, step / 4) for step in range(20)]
    assert run.history["beta"] == weights[3::4]  # that of each epoch's last step


def test_every_other_number_reaches_each_step_too(steps):
    """Samples, temperature, free bits, the kind of KL, and the step sizes: the prior's its own, the tunables' the table's."""
    options = {"S": 3, "hyper": {"tau": 0.37}, "lr": 0.02, "prior": "learned", "prior_rate": 0.25}
    fit(few(), Settings("gumbel_softmax", **SMALL, **options, kl="relaxed"))
    fit(few(), Settings("rebar", **SMALL, lr=0.02, free_bits=0.1))
    for step in steps[:12]:
        assert step["S"] == 3 and step["options"]["hyper"] == {"tau": 0.37} and step["options"]["kl"] == "relaxed"
        assert step["rates"] == [0.02, 0.005] and step["options"]["free_bits"] == 0
        assert step["options"]["model"] == Model(prior="learned")
    for step in steps[12:]:
        assert step["rates"] == [0.02, TABLE["rebar"].omega_step[1]] and step["options"]["free_bits"] == 0.1


def test_grey_images_are_drawn_anew_for_each_batch_and_with_their_own_probabilities(steps):
    data = few("dynamic")
    fit(data, Settings(**SMALL | {"batch": ROWS, "epochs": 40}, lr=1e-9))
    grey, drawn = data.train.x.mean(0), np.stack([step["x"] for step in steps])
    assert np.isin(drawn, (0, 1)).all() and len({x.tobytes() for x in drawn}) == 40
    error = (drawn.mean((0, 1)) - grey) / np.sqrt((data.train.x * (1 - data.train.x)).sum(0) / (40 * ROWS**2) + 1e-12)
    assert abs(error).max() < 5


def test_each_split_of_stochastic_pixels_has_draws_of_its_own():
    """Pixels of equal grey at the same place in two splits agree as often as independent draws do."""
    data, grey = load("digits", "stochastic"), load("digits", "grey")
    assert data.fingerprint() == load("digits", "stochastic").fingerprint()  # drawn once and for all
    parts = ("train", "validation", "test")
    for one, other in ((0, 1), (0, 2), (1, 2)):
        n = min(len(getattr(data, parts[i]).x) for i in (one, other))
        x, y = (getattr(data, parts[i]).x[:n] for i in (one, other))
        p, q = (getattr(grey, parts[i]).x[:n].astype(float) for i in (one, other))
        even = (abs(p - q) < 1e-6) & (p > 0.1) & (p < 0.9)  # with the same uniforms these pixels would all agree
        expected = (p * p + (1 - p) ** 2)[even].mean()
        assert abs((x == y)[even].mean() - expected) < 5 * (0.25 / even.sum()) ** 0.5 < 0.6 * (1 - expected)


def re_derived(kind, lr, gradients, w):
    """Parameters after each step, by the formulas of Kingma & Ba 2015 and Liu et al. 2020, with averages and not sums."""
    beta1, beta2, eps, m, v, path = 0.9, 0.999, 1e-8, 0.0, 0.0, []
    longest = 2 / (1 - beta2) - 1
    for t, g in enumerate(gradients, 1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        mean, root = m / (1 - beta1**t), np.sqrt(v / (1 - beta2**t))
        length = longest - 2 * t * beta2**t / (1 - beta2**t)
        if kind is SGD:
            w = w - lr * g
        elif kind is Adam:
            w = w - lr * mean / (root + eps)
        elif length > 5:
            r = np.sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length))
            w = w - lr * r * mean / (root + eps)
        else:
            w = w - lr * mean
        path.append((w, m, v))
    return path


@pytest.mark.parametrize("kind", [SGD, Adam, RAdam])
def test_the_optimisers_are_their_papers_step_by_step(kind):
    """Parameters and both moments after each of twelve steps, with the usual constants; gradients of many sizes."""
    rng = np.random.default_rng(0)
    start, gradients = (
        rng.standard_normal((3, 4)),
        rng.standard_normal((12, 3, 4)) * np.logspace(-6, 3, 12)[:, None, None],
    )
    params = {"theta": {"w": start.copy()}}
    optimiser = kind(params, 0.01)
    for t, (w, m, v) in enumerate(re_derived(kind, 0.01, gradients, start), 1):
        optimiser.step({"theta": {"w": gradients[t - 1]}})
        np.testing.assert_allclose(params["theta"]["w"], w, rtol=1e-11)
        if kind is not SGD:  # decaying sums, which averages are a constant multiple of
            np.testing.assert_allclose(0.1 * optimiser.sum["theta.w"], m, rtol=1e-11)
            np.testing.assert_allclose(0.001 * optimiser.squares["theta.w"], v, rtol=1e-11)


@pytest.mark.parametrize("optimiser", ["adam", "radam", "sgd"])
def test_the_loop_steps_along_the_gradients_of_its_batches(steps, optimiser):
    """All parameters after an epoch, by re-derived steps along the recorded gradients, from where they started."""
    data, settings = few(), Settings(**SMALL | {"epochs": 2}, optimiser=optimiser, lr=0.01)
    start, run = Training(data, settings).params, fit(data, settings)
    kind = {"adam": Adam, "radam": RAdam, "sgd": SGD}[optimiser]
    for group in start:
        for name, array in start[group].items():
            gradients = [step["loss"].gradients[group][name].astype(float) for step in steps]
            expected = re_derived(kind, 0.01, gradients, array.astype(float))[-1][0]
            np.testing.assert_allclose(run.params[group][name], expected, rtol=1e-4, atol=1e-6)


def test_progress_is_told_once_an_epoch():
    told = []
    run = fit(few(), Settings(**SMALL), progress=lambda *words: told.append(words))
    assert told == [(i, run.history["loss"][i], run.history["validation"][i]) for i in range(3)]
    assert loop.Training(few(), Settings(**SMALL)).batches == 4
