"""Every option of every command refuses what it cannot use: by its name, in one line, with exit status 2, before any file."""

import argparse

import pytest

from dvae_np import cli
from dvae_np.cli import options
from dvae_np.estimators import TABLE

VERBS = cli.parser()._subparsers._group_actions[0].choices
RUNS = {verb: ["run"] for verb in ("evaluate", "show", "sample")}
REQUIRED = {"reproduce": ["reinmax"], "sweep": ["--estimators", "exact"]}
TEXTS = {
    ("sweep", "estimators"),
    ("sweep", "train"),
    ("train", "set"),
    ("train", "labels"),
    ("compare", "cell"),
    *(("verify", name) for name in ("set", "beside", "data")),
}  # read by the command itself
FRACTIONS = {
    "tau",
    "beta",
    "lr",
    "free_bits",
    "scale",
    "prior_rate",
    "embedding_scale",
    "checkpoint_seconds",
    "prior_probabilities",
}
FROM_ZERO = {"seed", "seeds", "patience", "beta", "free_bits", "checkpoint_seconds", "codes"}
UNBOUNDED = {"lr"}  # training with any finite one ends in words of its own
NO_NUMBER = (
    "",
    " ",
    "x",
    "nan",
    "-nan",
    "inf",
    "-inf",
    "1e999",
    "-1",
    "-0.5",
    "0x10",
    "1,,2",
    "1;2",
    "--",
    "½",
    "1" * 5000,
)
HUGE = "99999999999999999999"
NO_PATH = ("", " ", "a\0b")


def valued(verb):
    """The actions of a command that take a value which is not one of a few names."""
    return [each for each in VERBS[verb]._actions if each.nargs != 0 and not each.choices]


def wrong(action):
    """What this action must refuse."""
    if action.type is options.path:
        return NO_PATH
    values = list(NO_NUMBER) + [] if action.dest in FROM_ZERO else [*NO_NUMBER, "0"]
    values += [] if action.dest in FRACTIONS else ["1.5", "1e3"]
    return values if action.dest in UNBOUNDED else [*values, HUGE]


CASES = [(verb, action) for verb in VERBS for action in valued(verb) if (verb, action.dest) not in TEXTS]


@pytest.mark.parametrize(("verb", "action"), CASES, ids=[f"{verb}-{action.dest}" for verb, action in CASES])
def test_nonsense_is_refused_by_name_at_the_door(verb, action, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert action.type, "an option that takes any text"
    name = action.option_strings[0] if action.option_strings else action.metavar
    for value in wrong(action):
        before = RUNS.get(verb, []) if action.option_strings or action.nargs == "?" else []
        words = [*before, f"{name}={value}" if action.option_strings else value]
        assert cli.main([verb, *REQUIRED.get(verb, []), *words]) == 2, (value, capsys.readouterr().out)
        told = capsys.readouterr()
        assert told.err.startswith("dvae_np: ") and told.err.count("\n") == 1 and name in told.err, (value, told.err)
        assert not told.out and not any(tmp_path.iterdir())


@pytest.mark.parametrize("verb", VERBS)
def test_the_defaults_are_of_the_kinds_that_are_asked_for(verb):
    """What an option says without being given, it would also take."""
    for action in valued(verb):
        if action.type and action.default not in (None, argparse.SUPPRESS, ()) and not isinstance(action.default, list):
            text = ",".join(map(str, action.default)) if isinstance(action.default, tuple) else str(action.default)
            assert action.type(text) == action.default, action


@pytest.mark.parametrize("value", ["-1,-2,-1", "1,nan", "inf,1", "0,1", "1,", "1;2", "1e308,1e308"])
def test_prior_probabilities_are_numbers_above_zero(value, capsys):
    assert cli.main(["train", "--K", "3", "--prior", "fixed", f"--prior-probabilities={value}"]) == 2
    assert capsys.readouterr().err.startswith("dvae_np: --prior-probabilities: expected numbers above 0, as 3,1,1, got")


@pytest.mark.parametrize("value", ["0x4", "4x", "x", "4x-1", "4x1.5", "nanx2", f"{HUGE}x2", "4x4x4", ""])
def test_sizes_are_two_whole_numbers(value, tmp_path, capsys):
    assert cli.main(["sweep", "--estimators", "exact", "--sizes", value, "--out", str(tmp_path / "new")]) == 2
    assert "--sizes: expected categories x latents as 8x4" in capsys.readouterr().err and not any(tmp_path.iterdir())


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "", "x", "1e999"])
@pytest.mark.parametrize("row", [row for row in TABLE.values() if row.hyper], ids=lambda row: row.name)
def test_every_hyper_parameter_is_of_the_kind_of_its_default(row, value, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in row.hyper:
        K = ["--K", "2"] if row.binary else []
        assert cli.main(["train", "--estimator", row.name, *K, "--epochs", "1", "--set", f"{name}={value}"]) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1 and name in told and not any(tmp_path.iterdir())


STUDIES = {
    "--rule": ("cell",),
    "--train digits": ("jobs", "cell"),
    "--train mnist": ("jobs", "cell", "data_dir"),
    "--encoders": (),
    "--lessons": (),
    "--quantised": (),
    "--quantised mnist": ("data_dir",),
    "--wake-sleep": (),
    "--toys": (),
}
GRADIENTS = ("problem", "evaluations", "N", "K")


@pytest.mark.parametrize("study", ["", *STUDIES])
def test_compare_refuses_every_option_that_its_study_does_not_look_at(study, tmp_path, capsys):
    """And every second study. What all of them look at stands here."""
    studies = {name.split()[0][2:].replace("-", "_") for name in STUDIES if name}
    taken = (*STUDIES.get(study, (*GRADIENTS, *studies)), "out", "all", "help")
    for action in VERBS["compare"]._actions:
        name = action.option_strings[-1]
        if action.dest in taken or name in study:
            continue
        value = [] if action.nargs == 0 else [action.choices[0] if action.choices else str(action.default or tmp_path)]
        assert cli.main(["compare", *study.split(), name, *value, "--out", str(tmp_path / "new")]) == 2, action
        told = capsys.readouterr().err
        assert told.startswith(f"dvae_np: {name}: ") and told.count("\n") == 1 and not any(tmp_path.iterdir()), told


def test_complete_refuses_a_folder_of_mnist_for_other_digits(tmp_path, capsys):
    assert cli.main(["complete", "--data-dir", str(tmp_path), "--out", str(tmp_path / "new")]) == 2
    assert "--data-dir: has an effect only with --data mnist" in capsys.readouterr().err and not any(tmp_path.iterdir())
