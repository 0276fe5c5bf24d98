"""Errors that a user can cause and fix, in one hierarchy.

A message is one line: where, what is wrong, and the remedy. The command line prints it and exits with
code 2; a traceback appears only with ``HYDRA_FULL_ERROR=1``.
"""

from __future__ import annotations

import re
from os import PathLike

# Control characters, marks and overrides of the direction of text, other invisible characters, and halves of
# surrogate pairs. U+200C and U+200D remain: Persian and many emoji need them.
HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_BLANKS = re.compile(r"\s+")


class HeritageError(Exception):
    """Base class of all errors that a user can cause and fix.

    Args:
        what: What is wrong, in a few words that name the offending value.
        where: The file, configuration key or object that is wrong.
        remedy: What to do about it.

    Example:
        >>> str(HeritageError("no such folder", where="/photographs", remedy="set data.root"))
        '/photographs: no such folder; set data.root'
    """

    def __init__(self, what: str, *, where: str | PathLike[str], remedy: str) -> None:
        self.what = what
        self.where = str(where)
        self.remedy = remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        where, what, remedy = (_shortened(part) for part in (self.where, self.what, self.remedy))
        return one_line(f"{where}: {what}; {remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        # The default loses keyword-only arguments; errors cross process boundaries in data loaders.
        return _rebuild, (type(self), self.what, self.where, self.remedy)


_LONGEST = 2000


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _rebuild(kind: type[HeritageError], what: str, where: str, remedy: str) -> HeritageError:
    return kind(what, where=where, remedy=remedy)


class ConfigError(HeritageError):
    """A key, value or combination of options that cannot run."""


class CommandError(ConfigError):
    """A command that does not exist or cannot be used in this way."""


class BusyError(ConfigError):
    """A folder that another process is using."""


class DataError(HeritageError):
    """Data on disk that are missing or wrong."""


class DatasetNotFoundError(DataError):
    """No data set at a path."""


class ManifestError(DataError):
    """A table with missing columns, missing rows or invalid values."""


class UnknownClassError(ManifestError):
    """The images of a data set are of other classes than the class list has."""


class SplitError(DataError):
    """A split that leaves a class or a subset empty."""


class ImageError(DataError):
    """An image that cannot be read or used."""


class WeightsError(HeritageError):
    """Pretrained weights that are not available or do not fit."""


class CheckpointError(HeritageError):
    """A checkpoint or run folder that is missing, damaged or of another run."""


class TrainingError(HeritageError):
    """A training run that cannot continue."""


class NonFiniteLossError(TrainingError):
    """The loss became NaN or infinite."""


class ExportError(HeritageError):
    """A network that cannot be exported, or whose export predicts something else."""


class PublishError(HeritageError):
    """A publication that its files, a licence, the hub or an archive stops."""


class ClusterError(HeritageError):
    """A batch system that is missing or rejects a job."""


class SweepError(HeritageError):
    """A sweep whose jobs did not all finish."""


class CollectionError(HeritageError):
    """A museum, ledger or licence that stops the collection."""


class DiskFullError(HeritageError):
    """A disk or quota that has no room for a file."""


class MissingDependencyError(HeritageError):
    """An optional package that is not installed."""


class ArgumentError(HeritageError, TypeError):
    """An argument of the wrong type, from Python."""


def terminal(text: object) -> str:
    r"""Return text on one line without characters that control a terminal or change the order of letters.

    Hidden characters are shown as Python writes them: ``\n``, ``\x1b``, ``\u202e``.

    Example:
        >>> terminal("vase\x1b[2J.jpg")
        'vase\\x1b[2J.jpg'
    """
    return HIDDEN.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), str(text))


def one_line(text: object) -> str:
    """Return text with each run of white space as one blank, and other hidden characters as `terminal`."""
    return terminal(_BLANKS.sub(" ", str(text)).strip())
