"""Commands about the package as a whole: tour, verify, figures, estimators."""

from dvae_np.cli.options import add_out
from dvae_np.cli.parts import Bar, progress
from dvae_np.estimators import markdown_table
from dvae_np.files import write_text
from dvae_np.folders import alone


def add_tour(verbs):
    """The parser of `tour`."""
    command = verbs.add_parser(
        "tour",
        help="verify everything, then train on the embedded digits by four estimators (about a minute, offline)",
        description="Verifies every gradient pair and every estimator and prints the table; trains the VAE on 8x8 digits by "
        "exact marginalisation and by three estimators, with three seeds each; prints the exact test negative ELBO, the "
        "exact log-likelihood and the seconds; writes a page with all of it and its figures. Needs no network.",
    )
    add_out(command, "runs/tour")
    command.set_defaults(run=tour)


def tour(options):
    """`tour`"""
    from dvae_np.experiments.tour import WRITTEN, tour

    with alone(options.out, "figures", WRITTEN) as out:
        return 0 if tour(out, progress=Bar, checks=progress("check")) else 1


def add_figures(verbs):
    """The parser of `figures`."""
    command = verbs.add_parser(
        "figures",
        help="draw every figure again, and write the page of measured numbers",
        description="Draws all figures: those of measured numbers from the records that come with the package, those of the "
        "lessons by computing what they show; and writes beside them the page of all measured numbers, README.md, and the one "
        "that says which estimator to take. Deterministic; half a minute. The repository's own are written by --out figures.",
    )
    add_out(command, "runs/figures", "folder for the figures and the page")
    command.set_defaults(run=figures)


def figures(options):
    """`figures`"""
    from dvae_np.experiments.gallery import PAGES, WRITTEN, drawings
    from dvae_np.figures import save

    with alone(options.out, "figures", WRITTEN) as out:
        found = drawings()
        for name, text in PAGES.items():
            write_text(out / name, text())
        for name in progress("figure")(found):
            save(out / name, *found[name])
    print(f"Written to {options.out}: {', '.join([*PAGES, *found])}")
    return 0


def add_estimators(verbs):
    """The parser of `estimators`."""
    command = verbs.add_parser("estimators", help="the table of estimators, in Markdown")
    command.set_defaults(run=estimators)


def estimators(options):
    """`estimators`"""
    print(markdown_table())
    return 0
