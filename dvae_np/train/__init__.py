"""Training on real data: data sets, optimisers, the loop and its checkpoints, exact evaluation."""

from dvae_np.train.checkpoint import Checkpoints
from dvae_np.train.code_usage import Clusters, Usage, clusters, usage
from dvae_np.train.data import Data, bars, bars_log_likelihood, load
from dvae_np.train.data_files import read_dataset
from dvae_np.train.evaluation import Evaluation, evaluate, evaluate_each, evaluate_on
from dvae_np.train.loop import Interrupted, Run, Training, fit
from dvae_np.train.optimisers import SGD, Adam, RAdam, adam_step, rectification
from dvae_np.train.own_data import dataset
from dvae_np.train.runs import classify, codes_of, decode, encode, load_run, worth
from dvae_np.train.schedules import kl_weight, value_at
from dvae_np.train.settings import Settings

__all__ = [
    "SGD",
    "Adam",
    "Checkpoints",
    "Clusters",
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
    "classify",
    "clusters",
    "codes_of",
    "dataset",
    "decode",
    "encode",
    "evaluate",
    "evaluate_each",
    "evaluate_on",
    "fit",
    "kl_weight",
    "load",
    "load_run",
    "read_dataset",
    "rectification",
    "usage",
    "value_at",
    "worth",
]
