"""File names of a run folder, ``outputs/train/<date>/<time>_<data>_<model>_<balance>/``.

The folder of an evaluation has some of the same files.
"""

from __future__ import annotations

CONFIG_FILE = "config.yaml"
"""The resolved configuration."""
ENVIRONMENT_FILE = "environment.json"
"""Versions, git state and machine."""
DATA_FILE = "data.json"
"""The data set's folder, fingerprint and class counts."""
HYDRA_FOLDER = ".hydra"
"""Hydra's records: ``hydra.yaml``, ``overrides.yaml`` and its own ``config.yaml``."""

CHECKPOINTS_FOLDER = "checkpoints"
BEST_CHECKPOINT = "best.ckpt"
"""The checkpoint with the best validation metric."""
LAST_CHECKPOINT = "last.ckpt"
"""The latest checkpoint, from which a run resumes."""

ADAPTERS_SUFFIX = ".safetensors"
ADAPTERS_FILE = f"adapters{ADAPTERS_SUFFIX}"
"""What light fine-tuning has trained, without the pretrained network."""

HISTORY_FILE = "history.csv"
"""Metrics of each epoch."""
METRICS_FILE = "metrics.json"
"""Metrics of the test split."""
IMAGES_SEEN = "images_seen"
"""Key of ``metrics.json``: training images over all epochs, with repetition."""
PREDICTIONS_FILE = "predictions.parquet"
"""One row for each test image: class, prediction, probabilities."""
CALIBRATION_FILE = "calibration.json"
"""Temperature and threshold fitted on the validation split."""
OUTLIERS_FILE = "outliers.safetensors"
"""The score of photographs unlike the training images, and its threshold."""
VALIDATION_FILE = "validation.parquet"
"""The validation logits that they were fitted on."""
AUDITS_FILE = "audits.json"
"""Results of audits on the run's own test split."""
REPORT_FILE = "report.md"
"""The report of a run. It is written last, so a folder with this file is finished."""

EXPORT_FILE = "heritage.json"
"""What `heritage export` writes beside an exported network."""
CONTACT_SHEET_FILE = "contact_sheet.png"
LR_FINDER_FILE = "lr_finder.png"
NON_FINITE_FILE = "non_finite.json"
"""The batch whose loss was not finite."""
FAILURE_FILE = "failure.txt"
"""The error of a failed run: one line, then the traceback."""
LOCK_FILE = ".run.lock"
"""Locked by the process that trains in the folder."""
SWEEP_LOCK_FILE = ".sweep.lock"
"""Locked by the process that starts a sweep's jobs."""
JOB_ID_FILE = "slurm_job.txt"
"""Id of the Slurm job of a run."""


def variant_file(name: str, variant: str) -> str:
    """Return the name of a file that is kept for each variant of a prediction.

    Args:
        name: ``calibration.json`` or ``validation.parquet``.
        variant: Test-time augmentation, or several networks; empty for one network and one view.

    Example:
        >>> variant_file("calibration.json", "flip"), variant_file("calibration.json", "")
        ('calibration_flip.json', 'calibration.json')
    """
    stem, dot, suffix = name.rpartition(".")
    return f"{stem}_{variant}{dot}{suffix}" if variant else name
