"""Data of one's own: arrays and files become splits, wrong ones a sentence; and a run on them can be put to every use."""

import json

import numpy as np
import pytest

from dvae_np import InputError, Model, cli, decoder, gaussian, parameters, reconstruction
from dvae_np.check import complex_step
from dvae_np.likelihoods.columns import columns_nll, draw, mean, start
from dvae_np.train import (
    Checkpoints,
    Settings,
    classify,
    clusters,
    codes_of,
    dataset,
    decode,
    encode,
    evaluate,
    fit,
    load,
    load_run,
    read_dataset,
    worth,
)
from dvae_np.train.data_files import rows_like

RNG = np.random.default_rng(0)
SURVEY = [["red", "yes", 3], ["green", "no", 1], ["red", "no", 2], ["blue", "yes", 3]] * 10
COLUMNS = (3, 2, 4)


def settings_for(data, **kind):
    likelihood = {"unit": "bernoulli", "real": "gaussian", "counts": "poisson", "columns": "columns"}[data.pixels]
    return Settings(N=1, K=3, hidden=(5,), epochs=2, likelihood=likelihood, columns=data.columns, **kind)


KINDS = {
    "binary": RNG.random((40, 3, 4)) < 0.5, "unit": RNG.random((40, 6)), "real": 5 * RNG.standard_normal((40, 6)),
    "counts": RNG.poisson(3, (40, 6)), "categories": SURVEY,
    "symbols": ["".join(RNG.choice(list("abc"), 7)) for _ in range(40)],
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data_trains_and_is_evaluated(kind):
    data = dataset(KINDS[kind], kind, labels=["odd", "even"] * 20, name="mine")
    sizes = [len(getattr(data, part).x) for part in ("train", "validation", "test")]
    assert sizes == [28, 6, 6] and data.classes == ("even", "odd") and "mine: 28 train" in str(data)
    settings = settings_for(data)
    run = fit(data, settings)
    found = evaluate(run.params, data.test.x, model=settings.model)
    assert np.isfinite(found.negative_elbo) and found.posterior_gap >= -1e-4
    each = worth(run, data.test.x)
    assert each.method == found.method and each.log_likelihood.mean() == pytest.approx(found.log_likelihood, rel=1e-5)
    codes = codes_of(run, data.test.x)
    np.testing.assert_array_equal(codes, encode(run, data.test.x).marginals()[0].argmax(-1))
    assert decode(run, codes).shape == data.test.x.shape


def test_splits_are_disjoint_whole_and_given_ones_are_kept():
    x = np.arange(60).reshape(20, 3) / 60
    data = dataset(x, "unit", split=(0.5, 0.25, 0.25), seed=3)
    rows = np.concatenate([data.train.x, data.validation.x, data.test.x])
    np.testing.assert_allclose(np.sort(rows[:, 0]), x[:, 0].astype(np.float32))
    names = ["test"] * 5 + ["train"] * 10 + ["validation"] * 5
    given = dataset(x, "unit", split=names)
    np.testing.assert_array_equal(given.test.x, x[:5].astype(np.float32))
    np.testing.assert_array_equal(given.validation.x, x[15:].astype(np.float32))


def test_columns_are_one_hots_in_the_order_of_their_words_and_missing_fields_add_nothing():
    data = dataset(
        [*SURVEY, ["red", "", 3], ["?", "no", 1]], "categories", split=["train"] * 40 + ["validation", "test"]
    )
    assert data.columns == (3, 2, 3) and data.words[0] == ("blue", "green", "red") and data.words[2] == ("1", "2", "3")
    np.testing.assert_array_equal(data.train.x[0], [0, 0, 1, 0, 1, 0, 0, 1])
    np.testing.assert_array_equal(data.validation.x[0], [0, 0, 1, 0, 0, 0, 0, 1])
    a = RNG.standard_normal((2, 1, 8))
    whole, _ = columns_nll(a, data.train.x[:1].astype(float), data.columns)
    less, _ = columns_nll(a, data.validation.x.astype(float), data.columns)
    answer = a[:, 0, 3:5] - np.log(np.exp(a[:, 0, 3:5]).sum(-1, keepdims=True))
    np.testing.assert_allclose(whole - less, -answer[:, 1:], rtol=1e-12)


def test_the_observation_model_of_columns():
    """Probabilities of all rows sum to 1; gradient by the complex step, shared or not; its mean is what is drawn on average."""
    every = np.stack(np.meshgrid(*map(range, COLUMNS), indexing="ij"), -1).reshape(-1, 3)
    x = np.concatenate([np.eye(size)[every[:, d]] for d, size in enumerate(COLUMNS)], 1)
    for states in (1, len(x)):
        a = RNG.standard_normal((2, 1, 9)).repeat(states, 1)
        value, backward = columns_nll(a, x, COLUMNS)
        np.testing.assert_allclose(np.exp(-value).sum(1), 1, rtol=1e-12)
        weights = RNG.standard_normal(value.shape)
        loss = lambda arrays, weights=weights: (columns_nll(arrays["a"], x, COLUMNS)[0] * weights).sum()
        numeric = complex_step(loss, {"a": a})["a"]
        np.testing.assert_allclose(backward(weights)[0], numeric, rtol=1e-11, atol=1e-13)
    drawn = draw(np.random.default_rng(1), np.repeat(a[:1, :1], 40_000, 1), 9, COLUMNS)[0]
    expected = mean(a[:1, :1], 9, COLUMNS)[0, 0]
    assert (drawn.reshape(-1, 9).sum(1) == 3).all()
    assert (abs(drawn.mean(0) - expected) < 5 * (expected * (1 - expected) / 40_000) ** 0.5).all()
    best = start(drawn, 0, COLUMNS)
    slope = columns_nll(best[None, None], drawn, COLUMNS)[1](np.ones((1, len(drawn))))[0]
    assert abs(slope).max() < 0.5 * max(COLUMNS)


WRONG = [
    (dict(x=KINDS["unit"], kind="binary"), r"x: expected numbers 0 or 1, got 0\.\d+ in row 1, column 1"),
    (dict(x=2 * KINDS["unit"], kind="unit"), r"x: expected numbers in \[0, 1\], got 1"),
    (dict(x=[[1.0, np.nan]] * 9, kind="real"), "x: expected real numbers, got nan in row 1, column 2"),
    (dict(x=[[1, -1]] * 9, kind="counts"), "x: expected counts"),
    (dict(x=SURVEY, kind="real"), "x: expected real numbers, got .*: for words there are the kinds categories"),
    (dict(x=["abc", "ab"] * 5, kind="symbols"), "x: expected texts of one length, got 2 to 3 characters"),
    (dict(x=[[1, 2], [3]], kind="real"), "x: expected rows"),
    (dict(x=np.zeros(5), kind="real"), r"x: expected rows \(n, D\) or images"),
    (dict(x=np.zeros((0, 4)), kind="real"), r"x: expected rows \(n, D\) or images"),
    (dict(x=[["a", ""]] * 9, kind="categories"), "x: column 2 has no values, all 9 are missing"),
    (dict(x=KINDS["unit"], kind="grey"), "kind: expected one of binary, unit"),
    (dict(x=KINDS["unit"], kind="unit", labels=[1, 2]), "labels: expected one for each of 40 rows"),
    (dict(x=KINDS["unit"], kind="unit", labels=[np.nan] * 40), "labels: expected a class for each row, got nan"),
    (dict(x=KINDS["unit"], kind="unit", c=np.zeros(40)), r"c: expected finite numbers \(n, C\)"),
    (dict(x=KINDS["unit"], kind="unit", c=np.full((40, 2), np.nan)), "c: expected finite numbers"),
    (dict(x=KINDS["unit"], kind="unit", context="labels"), "context: expected labels, of data that have some"),
    (dict(x=KINDS["unit"], kind="unit", split=(0.5, 0.5, 0.5)), "split: expected three shares above 0 that add up to 1"),
    (dict(x=KINDS["unit"], kind="unit", split=(0.98, 0.01, 0.01)), "split: no row of 40 is left for"),
    (dict(x=KINDS["unit"], kind="unit", split=["train"] * 39 + ["exam"]), "split: expected train, validation, test for each"),
    (dict(x=KINDS["unit"], kind="unit", seed=1.5), "seed: expected at least 0, a whole number"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "words"), WRONG)
def test_data_that_do_not_fit_are_refused_in_words_about_them(given, words):
    with pytest.raises(InputError, match=f"^{words}"):
        dataset(**given)


@pytest.mark.parametrize(("data", "likelihood", "words"), [
    ("real", "bernoulli", "likelihood: expected one of gaussian for real numbers, got bernoulli"),
    ("counts", "gaussian", "likelihood: expected one of poisson"),
    ("unit", "poisson", "likelihood: expected one of bernoulli, gaussian"),
    ("categories", "bernoulli", "likelihood: expected one of columns"),
])  # fmt: skip
def test_a_model_that_is_not_for_such_data_is_refused(data, likelihood, words):
    with pytest.raises(InputError, match=words):
        fit(dataset(KINDS[data], data), Settings(N=1, K=3, epochs=1, likelihood=likelihood))


def test_columns_and_their_likelihood_go_together():
    with pytest.raises(InputError, match="columns: the likelihood columns takes some"):
        Model("columns")
    with pytest.raises(InputError, match="columns: the likelihood bernoulli takes none"):
        Model(columns=(2, 3))
    with pytest.raises(InputError, match="columns: expected x of 8 entries, 3 columns side by side"):
        columns_nll(np.zeros((1, 1, 7)), np.zeros((2, 7)), (3, 2, 3))
    with pytest.raises(InputError, match="expected one 1 in each column"):
        columns_nll(np.zeros((1, 1, 5)), np.ones((2, 5)), (3, 2))


@pytest.fixture
def files(tmp_path):
    lines = ["colour,answer,grade,kind"] + [",".join(map(str, [*row, "ab"[i % 2]])) for i, row in enumerate(SURVEY)]
    (tmp_path / "survey.csv").write_text("\n".join(lines))
    np.save(tmp_path / "images.npy", (255 * RNG.random((40, 4, 5))).astype(np.uint8))
    np.savez(
        tmp_path / "rows.npz",
        x=KINDS["real"],
        labels=np.arange(40) % 3,
        split=["train"] * 30 + ["validation", "test"] * 5,
    )
    return tmp_path


@pytest.mark.parametrize(("name", "more", "said"), [
    ("survey.csv", ["--labels", "kind"], "rows of 3 columns with 2 to 3 categories"),
    ("images.npy", [], "images of 4x5, numbers in [0, 1]"),
    ("rows.npz", [], "30 train, 5 validation, 5 test rows of 6, real numbers"),
])  # fmt: skip
def test_a_file_is_trained_on_and_every_command_works_on_the_run(name, more, said, files, capsys):
    path, run = str(files / name), str(files / "run")
    train = ["train", "--data", path, *more, "--N", "1", "--K", "3", "--hidden", "4", "--epochs", "2", "--out", run]
    assert cli.main(train) == 0 and said in capsys.readouterr().out
    for verb in ("evaluate", "show", "sample"):
        assert cli.main([verb, run]) == 0
    assert cli.main(["train", "--resume", run, "--epochs", "3"]) == 0
    data, loaded = read_dataset(path, labels="kind" if more else None), load_run(run)
    found = json.loads((files / "run" / "run.json").read_text())
    assert found["test"]["log_likelihood"] == pytest.approx(worth(loaded, data.test.x).log_likelihood.mean(), rel=1e-4)
    facts = Checkpoints(run).newest()[1]
    assert facts["data"]["sha256"] == data.source["sha256"] and facts["data"]["path"].endswith(name)
    content = (files / name).read_bytes()
    (files / name).write_bytes(
        content.replace(b"red", b"rod") if name == "survey.csv" else content[:-1] + bytes([content[-1] ^ 1])
    )
    assert cli.main(["evaluate", run]) == 2
    assert "no longer the file" in (error := capsys.readouterr().err) or "data: " in error


@pytest.mark.parametrize(("name", "content", "words"), [
    ("a.txt", "1", "--data: expected digits, bars, mnist, or a file .npy, .npz, .csv, got"),
    ("a.csv", "x,y\n1,2\n3\n", "line 3 has 1 fields, the header 2"),
    ("a.csv", "", "dvae_np: --data: "),
    ("a.npy", "no array", "dvae_np: --data: "),
    ("missing.npy", None, "missing.npy: No such file or directory"),
])  # fmt: skip
def test_a_file_that_cannot_be_read_is_one_sentence(name, content, words, tmp_path, capsys):
    if content is not None:
        (tmp_path / name).write_text(content)
    assert cli.main(["train", "--data", str(tmp_path / name), "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert words in error and "please report" not in error and error.count("\n") == 1


def test_data_given_in_python_cannot_be_found_again_by_a_command(tmp_path, capsys):
    data = dataset(KINDS["unit"], "unit", name="mine")
    fit(data, settings_for(data), checkpoints=Checkpoints(tmp_path))
    assert cli.main(["evaluate", str(tmp_path)]) == 2
    assert "'mine', were given as arrays, in Python" in capsys.readouterr().err


def test_a_class_conditional_model_tells_the_classes(tmp_path, capsys):
    run = str(tmp_path / "run")
    train = ["train", "--data", "digits", "--context", "labels", "--prior", "conditional", "--N", "1", "--K", "8",
             "--hidden", "32", "--epochs", "15", "--lr", "0.003", "--out", run]  # fmt: skip
    assert cli.main(train) == 0 and "test log p(x|c)" in capsys.readouterr().out
    assert (tmp_path / "run" / "classes.png").stat().st_size > 3000
    for verb in ("evaluate", "sample"):
        assert cli.main([verb, run]) == 0
    data = load("digits", context="labels")
    scores = classify(load_run(run), data.test.x, 10)
    assert scores.shape == (len(data.test.x), 10) and (scores.argmax(1) == data.test.labels).mean() > 0.85
    with pytest.raises(InputError, match="context: expected labels, for whole images"):
        load("bars", context="labels")


def test_rows_of_another_width_are_refused():
    data = dataset(KINDS["unit"], "unit")
    run = fit(data, settings_for(data))
    for use in (encode, worth, codes_of):
        with pytest.raises(
            InputError, match=r"x: expected rows \(n, 6\), as the run was trained on, got shape \(40, 5\)"
        ):
            use(run, KINDS["unit"][:, :5])


def test_clusters_by_hand():
    """Two codes for two classes, one example wrong; named by other examples, a code never seen there counts as wrong."""
    codes, labels = np.array([[0, 0], [0, 0], [1, 2], [1, 2]]), np.array([5, 5, 3, 5])
    found = clusters(codes, labels)
    joint = np.array([[0.5, 0], [0.25, 0.25]])
    entropy = lambda p: -(p[p > 0] * np.log(p[p > 0])).sum()
    shared = entropy(joint.sum(0)) + entropy(joint.sum(1)) - entropy(joint)
    assert found.accuracy == 0.75 and found.codes == 2
    assert found.mutual_information == pytest.approx(2 * shared / (entropy(joint.sum(0)) + entropy(joint.sum(1))))
    assert clusters(codes, labels, (np.array([[0, 0], [2, 2]]), np.array([5, 3]))).accuracy == 0.5
    perfect = clusters(np.arange(6)[:, None] % 3, np.arange(6) % 3)
    assert perfect.accuracy == 1 and perfect.mutual_information == pytest.approx(1)
    assert clusters(np.zeros((6, 1), int), np.arange(6) % 3).mutual_information == 0
    assert clusters(np.array([[7]]), np.array([0]), (np.array([[1]]), np.array([0]))).accuracy == 0  # never seen
    with pytest.raises(InputError, match="labels: expected shape"):
        clusters(codes, labels[:3])


def test_thirty_codes_name_the_digits(tmp_path, capsys):
    """One latent of 30 categories, a second of training; of seeds 0 to 3 the share is 86.0 to 90.7 per cent."""
    run = str(tmp_path / "run")
    assert cli.main(["train", "--N", "1", "--K", "30", "--epochs", "40", "--lr", "0.003", "--out", run]) == 0
    assert cli.main(["evaluate", run]) == 0 and "codes name the class of" in capsys.readouterr().out
    found = json.loads((tmp_path / "run" / "evaluation.json").read_text())["clusters"]
    assert found["accuracy"] > 0.8 and found["mutual_information"] > 0.65 and found["codes"] > 20


def test_pixels_of_a_byte_reach_from_0_to_1_and_rows_are_shuffled():
    bytes_ = np.tile(np.arange(0, 256, 51, dtype=np.uint8), (40, 1))
    assert dataset(bytes_, "unit").train.x.max() == 1 and dataset(bytes_, "unit").train.x.min() == 0
    rows = dataset(np.arange(40.0)[:, None], "real").train.x[:, 0]
    assert (np.diff(rows) < 0).any() and set(rows) != set(range(28))


def test_symbols_have_one_alphabet_wherever_they_stand():
    data = dataset(["ab", "ac", "aa"] * 10, "symbols")
    assert data.columns == (3, 3) and data.words == (("a", "b", "c"),) * 2


def test_latents_that_emit_several_symbols_each():
    """-log p(x|z) is that of the decoder and of all columns together; parts that do not fit are refused."""
    rng, columns = np.random.default_rng(4), (3,) * 4
    x = np.eye(3)[rng.integers(0, 3, (5, 4))].reshape(5, 12)
    model = Model("columns", interface="emission", columns=columns)
    theta = parameters(rng, 12, 2, 4, (), np.float64, model=model)["theta"]
    z = rng.integers(0, 4, (6, 5, 2))
    expected = columns_nll(decoder(theta, z, interface="emission")[0], x, columns)[0]
    np.testing.assert_allclose(reconstruction(theta, x, model=model)(z)[0], expected, rtol=1e-12)
    for wrong, N in (((3,) * 5, 2), ((2, 4), 2)):
        with pytest.raises(InputError, match="columns: 2 latents emit parts of columns of one size"):
            Model("columns", interface="emission", columns=wrong).part(N)


def test_codes_are_decoded_each_with_its_own_context():
    data = load("digits", context="labels")
    run = fit(data, Settings(N=1, K=3, hidden=(5,), epochs=1))
    z, c = np.array([[0], [2], [1]]), data.test.c[:3]
    whole = decode(run, z, c)
    for i in range(3):
        np.testing.assert_allclose(whole[i], decode(run, z[i : i + 1], c[i : i + 1])[0], rtol=1e-5)


def test_the_space_is_a_symbol_and_no_missing_field():
    data = dataset(["a b", "b a", "ab ", " ab"] * 10, "symbols")
    assert data.words[0] == (" ", "a", "b") and (data.train.x.reshape(-1, 3, 3).sum(-1) == 1).all()


@pytest.mark.parametrize(("lines", "kind", "words"), [
    (["a,b", "0.5,1", ",2"], None, "x: numbers, and fields that are missing: fill them, or say --kind categories"),
    (["a,b", "0.5,1", ",2"], "real", "x: expected real numbers, got nothing in row 2, column 1"),
    (["a,a", "1,2", "1,3"], None, "expected columns of different names, got a, a"),
])  # fmt: skip
def test_fields_that_are_missing_among_numbers_are_not_made_categories(lines, kind, words, tmp_path):
    (tmp_path / "a.csv").write_text("\n".join(lines))
    with pytest.raises(InputError, match=words):
        read_dataset(tmp_path / "a.csv", kind)


def test_whole_numbers_with_missing_fields_are_categories_by_the_words_of_the_file(tmp_path):
    (tmp_path / "a.csv").write_text("\n".join(["a,b", *["1,2", "3,", "1,7"] * 10]))
    data = read_dataset(tmp_path / "a.csv")
    assert data.source["kind"] == "categories" and data.words == (("1", "3"), ("2", "7"))


def test_a_run_is_evaluated_on_another_file_with_its_own_categories(files, capsys):
    run = str(files / "run")
    train = ["train", "--data", str(files / "survey.csv"), "--labels", "kind", "--N", "1", "--K", "3", "--epochs", "2"]
    assert cli.main([*train, "--hidden", "4", "--out", run]) == 0
    (files / "more.csv").write_text("colour,answer,grade,kind\nblue,no,1,a\nred,,3,b\n")
    assert cli.main(["evaluate", run, str(files / "more.csv")]) == 0
    assert "2 images of more.csv" in capsys.readouterr().out
    found = json.loads((files / "run" / "evaluation.json").read_text())
    data, loaded = read_dataset(files / "survey.csv", labels="kind"), load_run(run)
    rows = rows_like(data, files / "more.csv")
    np.testing.assert_array_equal(rows.x, [[1, 0, 0, 1, 0, 1, 0, 0], [0, 0, 1, 0, 0, 0, 0, 1]])
    np.testing.assert_array_equal(rows.labels, [0, 1])
    assert found["log_likelihood"] == pytest.approx(worth(loaded, rows.x).log_likelihood.mean(), rel=1e-5)
    for wrong, words in (("pink,no,1,a", "column 1 has the categories blue, green, red, got 'pink'"),
                         ("red,no,1,z", "labels: expected the classes a, b, got z"),
                         ("red,no,1", "fields, the header")):  # fmt: skip
        (files / "more.csv").write_text(f"colour,answer,grade,kind\n{wrong}\n")
        assert cli.main(["evaluate", run, str(files / "more.csv")]) == 2
        assert words in capsys.readouterr().err
    np.save(files / "wide.npy", np.zeros((3, 9)))
    assert cli.main(["evaluate", run, str(files / "wide.npy")]) == 2


def test_images_of_given_codes(files, capsys):
    run = str(files / "run")
    assert (
        cli.main(["train", "--data", "bars", "--N", "2", "--K", "3", "--epochs", "1", "--hidden", "4", "--out", run])
        == 0
    )
    assert cli.main(["sample", run, "--codes", "2,1", "0,0"]) == 0
    drawn = np.load(files / "run" / "samples.npz")
    np.testing.assert_array_equal(drawn["z"], [[2, 1], [0, 0]])
    np.testing.assert_allclose(drawn["mean"], decode(load_run(run), drawn["z"]), rtol=1e-5)
    for wrong in ("3,0", "1", "1,2,0"):
        assert cli.main(["sample", run, "--codes", wrong]) == 2
        assert "--codes: expected 2 numbers from 0 to 2" in capsys.readouterr().err


def test_real_numbers_far_from_zero_keep_their_digits():
    """log p(x) in float32, against the plain density in float64: at a thousand and ten thousand sigmas from 0."""
    for offset in (0.0, 1e3, 1e4):
        x = (offset + RNG.standard_normal((6, 4))).astype(np.float32)
        a = (offset + RNG.standard_normal((3, 1, 4))).astype(np.float32)
        wide = ((x[None].astype(float) - a.astype(float)) ** 2).sum(-1) / 2 + 2 * np.log(2 * np.pi)
        found, backward = gaussian(a, x, np.zeros(1, np.float32))
        np.testing.assert_allclose(found, wide, rtol=1e-4)
        da, *_ = backward(np.ones_like(found))
        np.testing.assert_allclose(da[:, 0], (a.astype(float) - x[None]).sum(1), rtol=2e-3, atol=2e-3)
        alone, _ = gaussian(np.repeat(a, 6, 1), x, np.zeros(1, np.float32))
        np.testing.assert_allclose(found, alone, rtol=1e-4)


LATE = [
    (dict(x=1e9 + RNG.standard_normal((40, 3)), kind="real"), "x: expected numbers up to 1e"),
    (dict(x=9e5 + 1e-3 * RNG.standard_normal((40, 3)), kind="real"), "x: column 1 varies too little for numbers as large"),
    (dict(x=np.full((40, 3), 2**40), kind="counts"), "x: expected numbers up to 1e"),
    (dict(x=KINDS["unit"], kind="unit", labels=["a", ""] * 20), "labels: expected a class for each row, got none in row 2"),
    (dict(x=np.eye(3), kind="real"), "split: no row of 3 is left for"),
    (dict(x=KINDS["unit"], kind="unit", split=["foo"] * 40), "split: expected train, validation, test for each .* got foo"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "words"), LATE)
def test_what_a_practitioner_met_is_refused(given, words):
    with pytest.raises(InputError, match=f"^{words}"):
        dataset(**given)


@pytest.mark.parametrize(("name", "content", "words"), [
    ("a.npy", np.arange(60, dtype=np.uint8).reshape(10, 6), "x: bytes up to 59: counts, or grey values"),
    ("a.npy", np.ones((10, 3), complex), "x: expected numbers or words, got complex128"),
    ("a.csv", "a;b\n1;2\n", "expected fields with commas between them"),
    ("a.csv", "a,b\n", "expected a header and rows, got 1 lines"),
    ("a.npy", "text", "expected arrays of numbers or text, as numpy.save writes them"),
])  # fmt: skip
def test_files_that_a_practitioner_met_are_refused(name, content, words, tmp_path):
    path = tmp_path / name
    if isinstance(content, str):
        path.write_text(content)
    else:
        np.save(path, content)
    with pytest.raises(InputError, match=words):
        read_dataset(path)


def test_a_header_may_have_spaces_and_whole_numbers_are_counts(tmp_path):
    (tmp_path / "a.csv").write_text("a, b, labels\n" + "1, 2, x\n3, 0, y\n" * 10)
    data = read_dataset(tmp_path / "a.csv")
    assert data.classes == ("x", "y") and data.train.x.shape[1] == 2
    np.save(tmp_path / "c.npy", RNG.integers(0, 9, (30, 4)))
    assert read_dataset(tmp_path / "c.npy").pixels == "counts"


def test_labels_of_a_file_may_be_its_context(files, capsys):
    run = str(files / "run")
    train = [
        "train",
        "--data",
        str(files / "rows.npz"),
        "--context",
        "labels",
        "--prior",
        "conditional",
        "--N",
        "1",
        "--K",
        "3",
    ]
    assert cli.main([*train, "--hidden", "4", "--epochs", "2", "--out", run]) == 0
    for verb in ("evaluate", "show", "sample"):
        assert cli.main([verb, run]) == 0
    assert cli.main(["evaluate", run, str(files / "rows.npz")]) == 0


def test_a_run_with_a_context_wants_one_for_each_row():
    data = dataset(KINDS["unit"], "unit", labels=[0, 1] * 20, context="labels")
    run = fit(data, settings_for(data))
    x, c = data.test.x, data.test.c
    for use, given in (
        (encode, (x,)),
        (worth, (x, c[:1])),
        (codes_of, (x, c[:, :1])),
        (decode, ([[0]],)),
        (decode, ([[0]], c)),
    ):
        with pytest.raises(InputError, match=r"^c: expected"):
            use(run, *given)
    plain = fit(dataset(KINDS["unit"], "unit"), settings_for(data))
    with pytest.raises(InputError, match=r"^c: expected no context"):
        worth(plain, x, c)
    for wrong, words in ((x * np.nan, "finite numbers"), (x + 5, r"numbers in \[0, 1\]")):
        with pytest.raises(InputError, match=rf"^x: expected {words}"):
            codes_of(run, wrong, c)
    for z, words in (([0], "shape"), ([[0.5]], "integer codes"), ([[3]], "codes from 0 to")):
        with pytest.raises(InputError, match=rf"^z: expected {words}"):
            decode(plain, z)
    with pytest.raises(InputError, match=r"^count: expected the number of classes"):
        classify(run, x, 3)


@pytest.mark.parametrize(("codes", "labels", "named_by"), [
    (np.zeros((0, 1), int), np.zeros(0, int), None), (np.zeros((3, 1)), np.zeros(3, int), None),
    (np.zeros((3, 1), int), np.array([0, -1, 1]), None),
    (np.zeros((3, 1), int), np.zeros(3, int), (np.zeros((2, 2), int), np.zeros(2, int))),
    (np.zeros((3, 1), int), np.zeros(3, int), (np.zeros((2, 1), int), np.zeros(3, int))),
])  # fmt: skip
def test_clusters_of_what_does_not_fit_are_refused(codes, labels, named_by):
    with pytest.raises(InputError, match=r"^(codes|labels): expected"):
        clusters(codes, labels, named_by)
