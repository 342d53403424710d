from .adapters import lightning_callback as lightning_callback
from .adapters import watch_trainer as watch_trainer
from .logs import csv_log as csv_log
from .logs import json_log as json_log
from .logs import tensorboard_log as tensorboard_log
