"""Training on real data: data sets, optimisers, the loop and its checkpoints, exact evaluation."""

from dvae_np.train.checkpoint import Checkpoints
from dvae_np.train.code_usage import Usage, usage
from dvae_np.train.data import Data, bars, bars_log_likelihood, load
from dvae_np.train.evaluation import Evaluation, evaluate, evaluate_on
from dvae_np.train.loop import Interrupted, Run, Training, fit
from dvae_np.train.optimisers import SGD, Adam, RAdam, adam_step, rectification
from dvae_np.train.settings import Settings, kl_weight

__all__ = [
    "SGD",
    "Adam",
    "Checkpoints",
    "Data",
    "Evaluation",
    "Interrupted",
    "RAdam",
    "Run",
    "Settings",
    "Training",
    "Usage",
    "adam_step",
    "bars",
    "bars_log_likelihood",
    "evaluate",
    "evaluate_on",
    "fit",
    "kl_weight",
    "load",
    "rectification",
    "usage",
]
