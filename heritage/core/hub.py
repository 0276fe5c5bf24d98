"""The Hugging Face hub: addresses, downloads with a bound, and its errors as one line.

``hf-hub:owner/name`` names a repository, ``hf-hub:owner/name@revision`` a branch, tag or commit of it. Before
anything is read, an address is pinned to a commit, so all files are of one state and a run can record it.
Files are data: tables, JSON and safetensors, no code. The token is the hub's own (``hf auth login`` or
``HF_TOKEN``); it is never printed and never written.

Cached files of a commit are used without any request. For others the hub is tried once with a short timeout,
since its own client would retry for minutes.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from heritage.core.escaping import one_line
from heritage.core.files import write_text
from heritage.core.hub_client import guard_client
from heritage.errors import ConfigError, HeritageError

if TYPE_CHECKING:
    from huggingface_hub.hf_api import HfApi

PREFIX = "hf-hub:"
TIMEOUT = 5.0
"""Seconds to wait for the hub's first response."""

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_FORM = f"write {PREFIX}owner/name or {PREFIX}owner/name@revision"

_LOG_IN = "log in with `hf auth login`, or set HF_TOKEN to a token that may"
_AGAIN = "run the same command again; files that were sent are not sent again"
_STATUS: dict[int, tuple[str, str]] = {
    400: ("refuses the request", "check the name of the repository, and the card's metadata"),
    401: ("does not accept the token, or there is none", f"{_LOG_IN} do this"),
    402: ("wants to be paid for this", "free some of the account's storage"),
    403: ("does not allow this to the token", f"{_LOG_IN} do this"),
    404: (
        "has no such repository, file or revision",
        "check the name; if it is private, log in (hf auth login)",
    ),
    409: ("reports a conflict: the repository was changed meanwhile", _AGAIN),
    412: ("reports a conflict: the repository was changed meanwhile", _AGAIN),
    413: ("finds a file too large", "publish a smaller network or data set"),
    429: ("limits the rate of requests", f"wait some minutes, then {_AGAIN}"),
}
"""What the hub's status codes mean, and what to do."""


class HubAddress(NamedTuple):
    """A repository on the hub, at a revision or the newest one."""

    repository: str
    revision: str | None

    def __str__(self) -> str:
        return f"{PREFIX}{self.repository}" + (f"@{self.revision}" if self.revision else "")

    @property
    def is_pinned(self) -> bool:
        """Whether the revision is a commit."""
        return self.revision is not None and bool(_COMMIT.fullmatch(self.revision))


def is_hub_address(text: object) -> bool:
    """Return whether a value names a repository of the hub, and not a file."""
    return isinstance(text, str) and text.startswith(PREFIX)


def parse_address(text: str, key: str) -> HubAddress:
    """Return the address that an option names.

    Args:
        text: ``hf-hub:owner/name``, with or without ``@revision``.
        key: The option, for messages.

    Raises:
        ConfigError: It is no address.

    Example:
        >>> parse_address("hf-hub:museum/vases@main", "ckpt")
        HubAddress(repository='museum/vases', revision='main')
    """
    repository, at, revision = text.removeprefix(PREFIX).partition("@")
    require_repository(repository, f"{key}={text}", _FORM)
    if at and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise ConfigError("not a branch, tag or commit", where=f"{key}={text}", remedy=_FORM)
    return HubAddress(repository, revision or None)


def require_repository(name: str, where: str, remedy: str = "write owner/name") -> None:
    """Check that a name is that of a repository.

    Raises:
        ConfigError: It is not.
    """
    if not _REPOSITORY.fullmatch(name) or ".." in name or "--" in name or name.endswith((".git", ".", "-")):
        raise ConfigError("not the name of a repository on the hub", where=where, remedy=remedy)


def pin(address: HubAddress, file: str, *, key: str, error: type[HeritageError], remedy: str) -> HubAddress:
    """Return an address with the commit that its revision is now.

    If the hub cannot be reached, it is the commit of the cached files, if there are any.

    Args:
        address: The address.
        file: A file that the repository must have.
        key: The option that holds the address, for messages.
        error: The class of errors to raise.
        remedy: What to do without network, for messages.

    Raises:
        HeritageError: The repository or file does not exist, or the hub cannot be reached.
    """
    if address.is_pinned:
        return address
    from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache

    guard_client()
    try:
        url = hf_hub_url(address.repository, file, revision=address.revision)
        commit = get_hf_file_metadata(url, timeout=TIMEOUT, token=hub_token()).commit_hash
    except _errors() as fault:
        cached = try_to_load_from_cache(address.repository, file, revision=address.revision)
        if isinstance(cached, str) and not _is_answered(fault):
            return address._replace(revision=Path(cached).parent.name)
        raise _not_fetched(address, file, fault, key, error, remedy) from fault
    if commit is None or not _COMMIT.fullmatch(commit):
        raise error(
            "the hub names no commit",
            where=f"{key}={address}",
            remedy="check HF_ENDPOINT; or give a local file",
        )
    _remember(address, commit)
    return address._replace(revision=commit)


def fetch(
    address: HubAddress,
    file: str,
    *,
    limit: int,
    key: str,
    error: type[HeritageError],
    remedy: str,
    required: bool = True,
) -> Path | None:
    """Return a file of a pinned address, downloaded if it is not in the cache.

    Args:
        address: The address, with a commit.
        file: The file's name in the repository.
        limit: Bytes at most.
        key: The option that holds the address, for messages.
        error: The class of errors to raise.
        remedy: What to do without network, for messages.
        required: Whether the repository must have the file.

    Returns:
        Its path in the cache; None for a file that is not required and does not exist.

    Raises:
        HeritageError: The file does not exist, is too large, or cannot be fetched.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    cached = try_to_load_from_cache(address.repository, file, revision=address.revision)
    if isinstance(cached, str):
        return Path(cached)
    guard_client()
    try:
        url = hf_hub_url(address.repository, file, revision=address.revision)
        size = get_hf_file_metadata(url, timeout=TIMEOUT, token=hub_token()).size
        if size is None or size > limit:
            raise error(
                f"{file} has {'an unknown number of' if size is None else f'{size:,}'} bytes; "
                f"at most {limit:,} are read",
                where=f"{key}={address}",
                remedy="give another repository",
            )
        path = hf_hub_download(
            address.repository,
            file,
            revision=address.revision,
            tqdm_class=_bounded_progress(limit),
            token=hub_token(),
        )
    except LocalEntryNotFoundError as fault:
        raise _not_fetched(address, file, fault, key, error, remedy) from fault
    except EntryNotFoundError as fault:
        if not required:
            return None
        raise error(
            f"the repository has no {file}",
            where=f"{key}={address}",
            remedy="give one that `heritage publish` wrote",
        ) from fault
    except _errors() as fault:
        raise _not_fetched(address, file, fault, key, error, remedy) from fault
    return Path(path)


def hub_token() -> str | None:
    """Return the token that the hub's own tools use; None if there is none."""
    from huggingface_hub import get_token

    return get_token()


def hub_api(endpoint: str | None) -> HfApi:
    """Return a client whose requests end when nothing is transferred for a minute.

    Args:
        endpoint: URL of the hub; None takes HF_ENDPOINT, or the public one.
    """
    from huggingface_hub import HfApi

    guard_client(endpoint)
    return HfApi(endpoint=endpoint)


def explain_hub_error(fault: BaseException) -> tuple[str, str]:
    """Return what an exception of the hub's client means, and a remedy; the token is never part of it."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    for cause in _causes(fault):
        if isinstance(cause, OfflineModeIsEnabled):
            return "HF_HUB_OFFLINE is set", "unset it, or work with local files"
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if isinstance(status, int):
            what, remedy = _STATUS.get(status, ("fails", f"wait a while, then {_AGAIN}"))
            detail = (
                _clean(getattr(cause, "server_message", None) or "")
                if isinstance(cause, HfHubHTTPError)
                else ""
            )
            return f"the hub {what} (status {status}{f': {detail}' if detail else ''})", remedy
    if isinstance(fault, OSError) or type(fault).__module__.startswith("httpx"):
        reason = _clean(fault.__cause__ or fault)
        return f"the hub cannot be reached ({reason})", f"check the network and HF_ENDPOINT, then {_AGAIN}"
    return f"the hub's response cannot be used ({_clean(fault)})", f"check HF_ENDPOINT, then {_AGAIN}"


def hub_errors() -> tuple[type[BaseException], ...]:
    """Return the exceptions that the hub's client raises for what happens outside this program."""
    # RuntimeError: a failed transfer; ValueError, KeyError, TypeError: a malformed response
    return (*_errors(), ValueError, KeyError, TypeError)


def _remember(address: HubAddress, commit: str) -> None:
    """Write into the cache which commit a branch is, as the hub's client does for files of a branch."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=address.repository, repo_type="model")
    with contextlib.suppress(OSError):  # a cache that cannot be written has no use for it
        write_text(folder / "refs" / (address.revision or constants.DEFAULT_REVISION), commit)


def _errors() -> tuple[type[BaseException], ...]:
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # its HTTP client's own

    return (HTTPError, OSError, RuntimeError)


def _is_answered(fault: BaseException) -> bool:
    return any(hasattr(cause, "response") for cause in _causes(fault))


def _causes(fault: BaseException | None) -> Iterator[BaseException]:
    while fault is not None:
        yield fault
        fault = fault.__cause__ or fault.__context__


def _not_fetched(
    address: HubAddress, file: str, fault: BaseException, key: str, error: type[HeritageError], remedy: str
) -> HeritageError:
    what, hint = explain_hub_error(fault)
    if not _is_answered(fault):
        what, hint = f"{file} is not in the cache, and {what}", remedy
    return error(what, where=f"{key}={address}", remedy=hint)


def _clean(text: object) -> str:
    line = one_line(text)[:200] or type(text).__name__
    token = hub_token()
    return line.replace(token, "…") if token else line


def _bounded_progress(limit: int) -> type[Any]:
    """Return a progress bar that ends a download of more bytes than were announced."""
    from huggingface_hub.utils.tqdm import tqdm

    class Bounded(tqdm):
        """Counts the bytes of a download."""

        received = 0

        def update(self, n: float | None = 1) -> bool | None:
            """Count further bytes.

            Raises:
                OSError: There are more than the limit.
            """
            self.received += int(n or 0)
            if self.received > limit:
                raise OSError(f"more than {limit:,} bytes")
            done: bool | None = super().update(n)
            return done

    return Bounded
