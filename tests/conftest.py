"""Settings of all tests: one BLAS thread, set before NumPy is imported, and all cores for the whole suite."""

import os

import pytest

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # steady times, and the same bits every time
os.environ.pop("PYTHONUNBUFFERED", None)  # commands that tests start print as a newcomer's do


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """The whole suite goes to all cores, as with ``-n auto``, where pytest-xdist is there and nothing else was asked for.

    Named files run in one process, which starts sooner and can be debugged; so does everything with ``-n 0``.
    """
    option, whole = config.option, config.args_source is config.ArgsSource.TESTPATHS
    a_worker = hasattr(config, "workerinput")
    if whole and not a_worker and getattr(option, "numprocesses", 0) is None and not option.usepdb:
        option.numprocesses, option.dist = os.cpu_count(), "worksteal"


@pytest.fixture
def sketched(monkeypatch):
    """Pictures are composed but not laid out and rendered, which is most of a command's time, where other things are tested."""
    from matplotlib.figure import Figure

    monkeypatch.setattr(Figure, "savefig", lambda figure, file, **options: file.write(b"\x89PNG"))
