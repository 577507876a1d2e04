"""Numbers that change while a run goes on: the KL's weight, the temperature and the step size."""

import math

from dvae_np.arrays import InputError, expect_choice, expect_number

KL_SCHEDULES = ("constant", "warm_up", "cyclical")


def _cosine(start, end, share):
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


CURVES = {  # (first value, last value, the share of all epochs that is done) -> the value [Eq. 18.3]
    "constant": lambda start, end, share: start,
    "linear": lambda start, end, share: start + (end - start) * share,
    "geometric": lambda start, end, share: start * (end / start) ** share,
    "cosine": _cosine,
    "restarts": lambda start, end, share: _cosine(start, end, share * RESTARTS % 1 if share < 1 else 1),
}
RESTARTS = 4  # times that "restarts" goes down (Loshchilov & Hutter 2017)


def kl_weight(settings, epochs):
    """beta after so many epochs, a fractional number [Eq. 3.17].

    constant: beta. warm_up: from 0 to beta over `schedule_epochs`, then beta (Bowman et al. 2016). cyclical: again and
    again, from 0 to beta in the first half of `schedule_epochs`, beta in the second (Fu et al. 2019).
    """
    if settings.schedule == "constant":
        return settings.beta
    share = epochs / settings.schedule_epochs
    return settings.beta * min(1.0, share if settings.schedule == "warm_up" else 2 * (share % 1))


def value_at(settings, name, start, epochs):
    """What `name`, "lr" or "tau", is after so many epochs, from `start` at first to the settings' end of it [Eq. 18.3]."""
    curve, end = getattr(settings, f"{name}_schedule"), getattr(settings, f"{name}_end")
    return start if curve == "constant" else CURVES[curve](start, end, min(epochs / settings.epochs, 1.0))


def expect_schedules(settings, tau):
    """Raise `InputError` for a curve that is none, one without an end, and for a temperature that the estimator has not."""
    for name, start in (("lr", settings.lr), ("tau", tau)):
        curve, end = getattr(settings, f"{name}_schedule"), getattr(settings, f"{name}_end")
        expect_choice(f"{name}_schedule", curve, CURVES)
        if (curve == "constant") != (end is None):
            raise InputError(f"{name}_end: a {curve} schedule has {'no' if end is not None else 'an'} end, got {end}")
        if end is not None:
            expect_number(f"{name}_end", end, "a number", above=True)
            if start is None:
                raise InputError(f"tau_schedule: {settings.estimator} has no temperature tau, got {curve}")
