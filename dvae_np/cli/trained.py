"""What `compare` does with --quantised, --wake-sleep, --train and --lessons: studies that train many models."""

from functools import partial

from dvae_np.files import read_record, write_record
from dvae_np.folders import alone


def train_quantised(options):
    """`compare --quantised`"""
    from dvae_np.experiments import quantised

    study = quantised.STUDIES[options.quantised]
    name = f"data/{study.record}.json"
    with alone(options.out, "figures", [name]) as out:
        out.expect_same(name, quantised.command_of(study))
        known, save = read_record(out / name), partial(write_record, out / name)
        record = quantised.quantised(study, options.data_dir, known, save, print)
    print(f"\n{quantised.quantised_table(record)}\n\nWritten to {options.out}: {name}")
    return 0


def train_wake_sleep(options):
    """`compare --wake-sleep`"""
    from dvae_np.experiments import other_objectives

    name = "data/wake-sleep.json"
    with alone(options.out, "figures", [name]) as out:
        out.expect_same(name, other_objectives.COMMAND)
        known, save = read_record(out / name), partial(write_record, out / name)
        record = other_objectives.other_objectives(known, progress("method"), save)
    print(f"{other_objectives.objectives_table(record)}\n\nWritten to {options.out}: {name}")
    return 0


def train_for_equal_time(options):
    """`compare --train`"""
    from dvae_np.experiments import equal_time, yardsticks

    name = f"data/equal-time-{options.train}.json"
    with alone(options.out, "figures", [name]) as out:
        out.expect_same(name, equal_time.command_of(options.train))
        known, save = read_record(out / name), partial(write_record, out / name)
        record = equal_time.equal_time(options.train, options.data_dir, known, save, options.jobs, print)
    print(f"\n{yardsticks.training_table(record)}\n\nWritten to {options.out}: {name}")
    return 0


def train_first_models(options):
    """`compare --lessons`"""
    from dvae_np import figures
    from dvae_np.experiments import first_model

    name, picture = "data/first-model.json", "first_model.png"
    with alone(options.out, "figures", [name, picture]) as out:
        out.expect_same(name, first_model.COMMAND)
        record = first_model.first_models(read_record(out / name), partial(write_record, out / name), print)
        figures.save(out / picture, (7.4, 3.6), figures.first_models, record)
    print(f"\nWritten to {options.out}: {picture}, {name}")
    return 0
