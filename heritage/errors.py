"""Everything that can go wrong because of what a person gave us, in one tree.

HeritageError
├── ConfigError             a key, value or combination of options that cannot run
│   ├── CommandError        a command that does not exist or may not be used this way
│   └── BusyError           a folder that another process is at work in
├── DataError               what is on disk, or missing from it
│   ├── DatasetNotFoundError    no data set at that path
│   ├── ManifestError           a table that lacks columns, rows or sense
│   ├── SplitError              a split that leaves a class or a part empty
│   └── ImageError              an image that cannot be read, or must not be
├── WeightsError            pretrained weights that cannot be had or do not fit
├── CheckpointError         a checkpoint or run folder that is missing, foreign or damaged
├── TrainingError           a run that cannot go on
│   └── NonFiniteLossError      the loss became NaN or infinite
├── ExportError             an exported network that cannot be made or does not agree
├── ClusterError            a batch system that refuses a job, or is not there
├── SweepError              a sweep whose jobs did not all finish
├── CollectionError         a museum, ledger or licence that stops the collector
└── MissingDependencyError  a package only this feature needs is not installed

A message is one line: what is wrong, where, and the remedy. The command line prints it and
exits with code 2; a traceback appears only with ``HYDRA_FULL_ERROR=1``.
"""

from __future__ import annotations


class HeritageError(Exception):
    """Base of all errors a user can cause and mend.

    Args:
        what: What is wrong, in a few words that name the offending value.
        where: The file, key or object it was found in.
        remedy: What to do about it.
    """

    def __init__(self, what: str, *, where: object = None, remedy: str | None = None) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.remedy = remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        cure = f"; {self.remedy}" if self.remedy else ""
        return " ".join(f"{place}{self.what}{cure}".split())

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments are lost by the default; errors cross process boundaries in loaders.
        return _rebuild, (type(self), self.what, self.where, self.remedy)


def _rebuild(kind: type[HeritageError], what: str, where: str | None, remedy: str | None) -> HeritageError:
    return kind(what, where=where, remedy=remedy)


class ConfigError(HeritageError):
    """A key, value or combination of options that cannot run."""


class CommandError(ConfigError):
    """A command that does not exist or may not be used this way."""


class BusyError(ConfigError):
    """A folder that another process is at work in."""


class DataError(HeritageError):
    """What is on disk, or missing from it."""


class DatasetNotFoundError(DataError):
    """No data set at that path."""


class ManifestError(DataError):
    """A table that lacks columns, rows or sense."""


class SplitError(DataError):
    """A split that leaves a class or a part empty."""


class ImageError(DataError):
    """An image that cannot be read, or must not be."""


class WeightsError(HeritageError):
    """Pretrained weights that cannot be had or do not fit."""


class CheckpointError(HeritageError):
    """A checkpoint or run folder that is missing, foreign or damaged."""


class TrainingError(HeritageError):
    """A run that cannot go on."""


class NonFiniteLossError(TrainingError):
    """The loss became NaN or infinite."""


class ExportError(HeritageError):
    """An exported network that cannot be made, or does not agree with the one it was made of."""


class ClusterError(HeritageError):
    """A batch system that refuses a job, or is not there."""


class SweepError(HeritageError):
    """A sweep whose jobs did not all finish."""


class CollectionError(HeritageError):
    """A museum, ledger or licence that stops the collector."""


class MissingDependencyError(HeritageError):
    """A package only this feature needs is not installed."""
