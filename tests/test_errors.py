"""The message of an error: one line with its place and a remedy, and the check that the whole suite runs."""

from __future__ import annotations

import pickle

import pytest

from heritage.config.faults import FaultyConfigError
from heritage.core.taxonomy import class_of_id
from heritage.errors import DataError, HeritageError, ManifestError
from tests.error_messages import faults_of


def test_a_message_is_one_line() -> None:
    error = DataError("no such\nfolder", where="/photographs", remedy="set data.root")
    assert str(error) == "/photographs: no such folder; set data.root"


@pytest.mark.parametrize(
    "error",
    [
        DataError("no such folder", where="/photographs", remedy="set data.root"),
        FaultyConfigError(["data.batch_size=0: too small", "model.dpeth: no such key"]),
    ],
)
def test_an_error_crosses_process_boundaries(error: HeritageError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  our own bytes
    assert type(copy) is type(error)
    assert str(copy) == str(error)


@pytest.mark.parametrize(
    ("what", "where", "remedy", "fault"),
    [
        ("", "a", "b", "no what"),
        ("wrong", "", "b", "no where"),
        ("wrong", "None", "b", "no where"),
        ("wrong", "a", " ", "no remedy"),
        ("unknown class {name}", "a", "b", "placeholder"),
        ("the value is None", "a", "b", "Python's None"),
        ("wrong <name>", "a", "b", "placeholder"),
        ("wrong <object object at 0x7f675e4bbc40>", "a", "b", "repr"),
        (f"wrong {KeyError('jobs')!r}", "a", "b", "repr"),
        ("wrong", "PosixPath('a')", "b", "repr"),
        ("expected typing.Any", "a", "b", "internals"),
    ],
)
def test_an_incomplete_message_is_found(what: str, where: str, remedy: str, fault: str) -> None:
    assert fault in " ".join(faults_of(HeritageError(what, where=where, remedy=remedy)))


@pytest.mark.parametrize("line", ["is not valid", "model.depth=0: typing.Any", "model.depth=0: two\nlines"])
def test_an_incomplete_line_of_several_is_found(line: str) -> None:
    assert faults_of(FaultyConfigError(["data.batch_size=0: should be at least 1", line]))


def test_a_complete_message_is_accepted() -> None:
    assert faults_of(HeritageError("wrong", where="a", remedy="resume with resume=<run folder>")) == []


def test_errors_of_the_package_are_recorded(error_messages: list[HeritageError]) -> None:
    with pytest.raises(ManifestError):
        class_of_id(9, ["egyptian"])
    assert [error.where for error in error_messages] == ["class id 9"]
