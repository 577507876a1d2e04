"""Training on real data: data sets, optimisers, the loop, exact evaluation."""

from dvae_np.train.data import Data, bars, bars_log_likelihood, load
from dvae_np.train.evaluation import Evaluation, evaluate
from dvae_np.train.loop import Run, Settings, fit
from dvae_np.train.optimisers import SGD, Adam

__all__ = [
    "SGD",
    "Adam",
    "Data",
    "Evaluation",
    "Run",
    "Settings",
    "bars",
    "bars_log_likelihood",
    "evaluate",
    "fit",
    "load",
]
