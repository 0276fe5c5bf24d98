"""Upload a publication to a Hugging Face hub: one state of a repository, or nothing.

What the repository has already is compared first, by size and checksum. The same content makes no request
that changes anything; other content is replaced only with ``overwrite=true``, in a new commit, so the earlier
state stays in the history. An upload that was interrupted continues: files that arrived are not sent again.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from heritage.core.hub import explain_hub_error, hub_api, hub_errors, hub_token
from heritage.errors import HeritageError, PublishError
from heritage.publishing.publication import Publication, PublishedFile

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete
    from huggingface_hub.hf_api import DatasetInfo, HfApi, ModelInfo

_OF_HUB = frozenset({".gitattributes"})
"""Files that the hub itself puts into a new repository."""
_PER_COMMIT = 5_000
"""Files in a commit; the hub takes 25,000."""
_LAST = ("dataset.json", "manifest.parquet", "README.md", "config.json", "heritage_run.json")
"""Without these a repository is no data set or network: they are in the last commit of several."""


@dataclass(frozen=True)
class Uploaded:
    """The state of a repository after an upload.

    Attributes:
        url: Its page.
        commit: Its commit.
        changed: Number of files that were sent or removed; 0 if the repository had this content already.
    """

    url: str
    commit: str
    changed: int


def upload(
    publication: Publication,
    repo: str,
    *,
    private: bool,
    revision: str | None = None,
    overwrite: bool = False,
    endpoint: str | None = None,
) -> Uploaded:
    """Upload a publication.

    Args:
        publication: What to upload.
        repo: ``owner/name``; it is created if it does not exist.
        private: Whether only its owner may see it. An existing public repository is refused if it is set.
        revision: A branch; it is created from main if it does not exist. None is main.
        overwrite: Whether other content may be replaced.
        endpoint: URL of the hub; None takes HF_ENDPOINT, or the public one.

    Raises:
        PublishError: There is no token, the hub refuses or fails, or the repository has other content.
        KeyboardInterrupt: Ctrl-C; the same command continues.
    """
    with _explained(repo):
        return _Upload(publication, repo, revision, hub_api(endpoint)).run(
            private=private, overwrite=overwrite
        )


def require_token(repo: str) -> None:
    """Check that there is a token for the hub.

    Raises:
        PublishError: There is none.
    """
    if hub_token() is None:
        raise PublishError(
            "there is no token for the hub",
            where=f"repo={repo}",
            remedy="log in with `hf auth login`, or set HF_TOKEN to a token that may write",
        )


@contextlib.contextmanager
def _explained(repo: str) -> Iterator[None]:
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    try:
        require_token(repo)
        yield
    except HeritageError:
        raise
    except hub_errors() as fault:
        what, remedy = explain_hub_error(fault)
        raise PublishError(what, where=f"repo={repo}", remedy=remedy) from fault


class _Upload:
    """An upload to one branch of a repository."""

    def __init__(self, publication: Publication, repo: str, revision: str | None, api: HfApi) -> None:
        self._publication, self._repo, self._revision, self._api = publication, repo, revision, api
        self._kind = publication.kind

    def run(self, *, private: bool, overwrite: bool) -> Uploaded:
        from huggingface_hub.errors import RepositoryNotFoundError

        try:
            info = self._info(None)
        except RepositoryNotFoundError:
            self._api.create_repo(self._repo, repo_type=self._kind, private=private, exist_ok=True)
            info = self._info(None)
        if private and info.private is False:
            raise PublishError(
                "the repository is public",
                where=f"repo={self._repo}",
                remedy="private=false publishes into it; or choose another name",
            )
        if self._revision is not None:
            self._api.create_branch(self._repo, repo_type=self._kind, branch=self._revision, exist_ok=True)
            info = self._info(self._revision)
        present = _remote_files(info)
        new = [file for file in self._publication.files if not _is_same(file, present.get(file.name))]
        old = sorted(present.keys() - {file.name for file in self._publication.files} - _OF_HUB)
        commit = str(info.sha)
        if not new and not old:
            return Uploaded(self._url, commit, 0)
        if not overwrite:
            self._refuse_other(new, old, present)
        return Uploaded(self._url, self._commit(new, old, commit), len(new) + len(old))

    @property
    def _url(self) -> str:
        folder = "datasets/" if self._kind == "dataset" else ""
        branch = "" if self._revision is None else f"/tree/{self._revision}"
        return f"{self._api.endpoint}/{folder}{self._repo}{branch}"

    def _info(self, revision: str | None) -> ModelInfo | DatasetInfo:
        if self._kind == "dataset":
            return self._api.dataset_info(self._repo, revision=revision, files_metadata=True)
        return self._api.model_info(self._repo, revision=revision, files_metadata=True)

    def _refuse_other(
        self,
        new: Sequence[PublishedFile],
        old: Sequence[str],
        present: dict[str, tuple[int | None, str | None]],
    ) -> None:
        """Raise an error if files of the repository would be removed or replaced.

        A repository whose files are some of the publication's is an upload that was interrupted.
        """
        if replaced := [*old, *(file.name for file in new if file.name in present)]:
            raise PublishError(
                f"the repository has other content ({', '.join([*replaced[:3], '…'][: len(replaced)])})",
                where=f"repo={self._repo}",
                remedy="overwrite=true replaces it in a new commit, revision=<branch> publishes beside it",
            )

    def _commit(self, new: Sequence[PublishedFile], old: Sequence[str], parent: str) -> str:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        ordered = sorted(new, key=lambda file: (file.name in _LAST, file.name))
        adding = [CommitOperationAdd(file.name, file.source) for file in ordered]
        parts: list[list[CommitOperationAdd | CommitOperationDelete]] = [
            list(adding[first : first + _PER_COMMIT]) for first in range(0, len(adding), _PER_COMMIT)
        ]
        parts = parts or [[]]
        parts[-1] += [CommitOperationDelete(name, is_folder=False) for name in old]
        for number, part in enumerate(parts, start=1):
            of = f" ({number} of {len(parts)})" if len(parts) > 1 else ""
            done = self._api.create_commit(
                self._repo,
                part,
                commit_message=f"Publish with heritage{of}",
                repo_type=self._kind,
                revision=self._revision,
                parent_commit=parent,
            )
            parent = str(done.oid)
        return parent


def _remote_files(info: ModelInfo | DatasetInfo) -> dict[str, tuple[int | None, str | None]]:
    """Return size and checksum of each file of a repository: SHA-256 of large files, else git's."""
    files = {}
    for sibling in info.siblings or ():
        lfs = sibling.lfs
        files[sibling.rfilename] = (sibling.size, sibling.blob_id if lfs is None else f"sha256:{lfs.sha256}")
    return files


def _is_same(file: PublishedFile, remote: tuple[int | None, str | None] | None) -> bool:
    if remote is None or remote[0] != file.size or remote[1] is None:
        return False
    digest = remote[1]
    return digest == (f"sha256:{file.sha256}" if digest.startswith("sha256:") else file.git_id)
