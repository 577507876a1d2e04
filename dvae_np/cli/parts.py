"""What several commands share: a progress bar, Ctrl-C as a question, training with both."""

import signal

from dvae_np.train import Interrupted, fit


class Bar:
    """A progress bar on a terminal, fed with epochs; silent where standard error is no terminal."""

    def __init__(self, description, total, initial=0):
        from tqdm import tqdm

        self.bar = tqdm(desc=description, total=total, initial=initial, unit="epoch", disable=None, leave=False)

    def __call__(self, epoch, loss, validation):
        self.bar.set_postfix_str(f"loss {loss:.2f}, validation {validation:.2f} nats", refresh=False)
        self.bar.update()

    def close(self):
        """Remove the bar."""
        self.bar.close()


def progress(unit):
    """What wraps an iterable in a progress bar, which a terminal shows."""
    from tqdm import tqdm

    return lambda items: tqdm(items, unit=unit, disable=None, leave=False)


class Interruption:
    """Ctrl-C, or a request to terminate, as a question: has it been asked? A second one stops at once."""

    def __enter__(self):
        self.asked = False
        self.before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error):
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def __call__(self):
        return self.asked

    def _ask(self, number, frame):
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def fit_with_bar(words, data, settings, checkpoints, start, where, go_on):
    """`fit` with a progress bar; None where Ctrl-C stopped it, after saying that `go_on` goes on."""
    bar = Bar(words, settings.epochs, start[0]["epoch"] if start else 0)
    try:
        with Interruption() as asked_to_stop:
            return fit(data, settings, bar, checkpoints, start, asked_to_stop, where)
    except Interrupted as stopped:
        bar.close()
        print(f"{stopped}; saved in {stopped.path}\n{go_on}")
        return None
    finally:
        bar.close()
