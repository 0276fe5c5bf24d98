"""The files of a run folder; every name is written here and nowhere else.

A run folder is ``outputs/train/<date>/<time>_<data>_<model>_<balance>/``. An evaluation's folder holds some
of the same files.
"""

from __future__ import annotations

CONFIG_FILE = "config.yaml"
"""The resolved configuration."""
ENVIRONMENT_FILE = "environment.json"
"""Versions, git state and machine."""
DATA_FILE = "data.json"
"""The data set's folder, fingerprint and class counts."""
HYDRA_FOLDER = ".hydra"
"""What Hydra records: ``hydra.yaml``, ``overrides.yaml`` and its own ``config.yaml``."""

CHECKPOINTS_FOLDER = "checkpoints"
BEST_CHECKPOINT = "best.ckpt"
"""The checkpoint of the best validation."""
LAST_CHECKPOINT = "last.ckpt"
"""The newest checkpoint, which a run resumes from."""

HISTORY_FILE = "history.csv"
"""Metrics of each epoch."""
METRICS_FILE = "metrics.json"
"""Metrics of the test split."""
IMAGES_SEEN = "images_seen"
"""The key of ``metrics.json`` for the number of images that training showed."""
PREDICTIONS_FILE = "predictions.parquet"
"""One row for each test image: class, prediction, probabilities."""
CALIBRATION_FILE = "calibration.json"
"""Temperature and threshold fitted on the validation split."""
AUDITS_FILE = "audits.json"
"""Results of the audits on the run's own test split."""
REPORT_FILE = "report.md"
"""The report of a run, written last: a folder that has it is finished."""

CONTACT_SHEET_FILE = "contact_sheet.png"
LR_FINDER_FILE = "lr_finder.png"
NON_FINITE_FILE = "non_finite.json"
"""The batch whose loss was not finite."""
FAILURE_FILE = "failure.txt"
"""Why a run failed: one line, then a traceback."""
LOCK_FILE = ".run.lock"
"""Held by the process that trains in the folder."""
JOB_ID_FILE = "slurm_job.txt"
"""The Slurm job that a run was submitted as."""
