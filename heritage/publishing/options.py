"""The options of `heritage publish`, checked before anything is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from heritage.core.hub import require_repository
from heritage.core.hub_client import require_endpoint
from heritage.core.licences import open_licence
from heritage.errors import ConfigError

Refused = Literal["error", "leave_out", "manifest"]
"""What to do about photographs whose licence does not permit publication."""
LicenceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9.+-]+$")]
Creator = Annotated[str, Field(min_length=1, pattern=r"^[^\r\n]*$")]

_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ORCID = re.compile(r"\d{4}-\d{4}-\d{4}-\d{3}[\dX]")


@dataclass(frozen=True)
class PublishOptions:
    """Options of `heritage publish`.

    Attributes:
        ckpt: The run folder or checkpoint to publish; None for a data set.
        data: ``root``, the data-set folder to publish; None for a network.
        repo: ``owner/name`` on the hub; None uploads nothing.
        archive: The ``.zip`` to write; None writes none.
        private: Whether a repository that is created is private.
        revision: The branch; None for main.
        overwrite: Whether other content of the repository or another archive may be replaced.
        plan: Whether to list what would be published, and do nothing.
        licence: Of the weights; or of the photographs of a data set that records none.
        refused: What to do about photographs whose licence does not permit publication.
        title: The title; None takes the data set's or the run's.
        creators: Names for the archive, ``Family, Given`` or ``Family, Given; ORCID``.
        dataset: ``owner/name`` of the data set that a network was trained on, if that is on the hub.
        endpoint: URL of the hub; None takes HF_ENDPOINT, or the public one.
        trusted: Functions or classes of the user's own that the checkpoint may name.
    """

    ckpt: str | None
    data: Mapping[str, Any]
    repo: str | None
    archive: str | None
    private: bool
    revision: str | None
    overwrite: bool
    plan: bool
    licence: LicenceName | None
    refused: Refused
    title: Creator | None
    creators: list[Creator]
    dataset: str | None
    endpoint: str | None
    trusted: list[str]

    @property
    def root(self) -> Path | None:
        """The data-set folder."""
        root = self.data.get("root")
        return None if root is None else Path(str(root)).expanduser()

    def check(self) -> None:
        """Check what can be checked without reading anything.

        Raises:
            ConfigError: The options are incomplete or contradict each other.
        """
        if (self.ckpt is None) == (self.root is None):
            raise ConfigError(
                "publishes a network or a data set",
                where="heritage publish",
                remedy="give ckpt=<run folder>, or data=<data-set folder>",
            )
        if self.repo is None and self.archive is None:
            raise ConfigError(
                "there is no place to publish to",
                where="heritage publish",
                remedy="give repo=owner/name for the hub, archive=<file>.zip for Zenodo, or both",
            )
        if self.repo is not None:
            require_repository(self.repo, f"repo={self.repo}")
        if self.dataset is not None:
            require_repository(self.dataset, f"dataset={self.dataset}")
        if self.revision is not None and (not _REVISION.fullmatch(self.revision) or ".." in self.revision):
            raise ConfigError(
                "not a branch", where=f"revision={self.revision}", remedy="give a name such as v1.0"
            )
        self._check_archive()
        if self.root is not None and self.licence is not None and open_licence(self.licence) is None:
            raise ConfigError(
                "not a licence that permits publication",
                where=f"licence={self.licence}",
                remedy="use CC0-1.0, CC-BY-4.0 or CC-BY-SA-4.0",
            )
        if self.repo is not None:
            require_endpoint(self.endpoint)

    def _check_archive(self) -> None:
        if self.archive is None:
            return
        if not self.archive.endswith(".zip"):
            raise ConfigError("not a .zip", where=f"archive={self.archive}", remedy="give archive=<name>.zip")
        if not self.creators:
            raise ConfigError(
                "Zenodo requires the names of the creators",
                where="creators=[]",
                remedy="give creators='[\"Family, Given\"]'",
            )
        for creator in self.creators:
            name, mark, orcid = (part.strip() for part in creator.partition(";"))
            if not name or (mark and not _ORCID.fullmatch(orcid)):
                raise ConfigError(
                    "not a name, or a name and an ORCID",
                    where=f"creators: {creator}",
                    remedy="write Family, Given or Family, Given; 0000-0000-0000-0000",
                )
