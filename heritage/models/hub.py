"""Weights from the Hugging Face hub through its cache: timm's ImageNet weights, and published networks.

For some of timm's networks an installed package holds the same weights (`heritage.core.packaged_weights`).

Cached files are used without any request, so a compute node without network starts immediately. For other
files the hub is tried once with a short timeout; its own client would retry for minutes.
"""

from __future__ import annotations

import logging
from pathlib import Path

import timm
from huggingface_hub import (
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError is its HTTP client's own
    EntryNotFoundError,
    HTTPError,
    LocalEntryNotFoundError,
)
from timm.models import get_pretrained_cfg

from heritage.core.hub import TIMEOUT, HubAddress, is_hub_address
from heritage.core.hub_client import guard_client
from heritage.core.packaged_weights import EXTRA, PACKAGED, packaged_file
from heritage.core.taxonomy import suggestion
from heritage.errors import ConfigError, WeightsError
from heritage.models.weight_licences import InitialWeights
from heritage.runs.published import fetch_published_weights, pinned_address

_log = logging.getLogger(__name__)

FILES = ("model.safetensors", "pytorch_model.bin")
_OTHER_WAYS = (
    "give model.weights=<file> (safetensors, or checkpoints/best.ckpt of a run of this model), or train from "
    "scratch with model.weights=none"
)


def pretrained_cfg(name: str) -> timm.models.PretrainedCfg:
    """Return timm's record of a model's pretrained weights and their input.

    Args:
        name: ``architecture`` or ``architecture.tag``.

    Raises:
        ConfigError: timm has no such architecture or tag.
    """
    architecture, dot, tag = name.partition(".")
    if dot and not tag:
        raise ConfigError(
            "ends in a dot", where=f"model.name={name}", remedy="add a tag, or leave the dot out"
        )
    known = timm.list_models()  # without deprecated names, which timm still builds
    if architecture not in known:
        raise ConfigError(
            f"timm {timm.__version__} has no model '{architecture}'",
            where="model.name",
            remedy=suggestion(architecture, known, "timm.list_models() lists them"),
        )
    if tag and tag not in (tags := _tags(architecture)):
        raise ConfigError(
            f"timm {timm.__version__} has no weights '{tag}' for {architecture}",
            where="model.name",
            remedy=suggestion(tag, tags),
        )
    return get_pretrained_cfg(name)


def fetch_weights(name: str) -> Path:
    """Return the file of a model's pretrained weights, downloaded if it is not in the cache.

    A licence that restricts their use is logged first.

    Args:
        name: ``architecture.tag``; the tag identifies one of several trainings.

    Raises:
        ConfigError: timm has no such model, or the tag is missing.
        WeightsError: There are no such weights, or the hub is not reachable.
    """
    address = _address(name)
    if notice := InitialWeights.of(name, pretrained_cfg(name).license).notice:
        _log.warning("%s", notice)
    for file in FILES:
        # Not hf_hub_download(local_files_only=True), which may still send a request.
        cached = try_to_load_from_cache(address.repository, file, revision=address.revision)
        if isinstance(cached, str):
            return Path(cached)
    if (packaged := packaged_file(name)) is not None:
        return packaged
    guard_client()
    for file in FILES:
        try:
            # One request without retries, before the download with the client's many.
            url = hf_hub_url(address.repository, file, revision=address.revision)
            get_hf_file_metadata(url, timeout=TIMEOUT)
            return Path(hf_hub_download(address.repository, file, revision=address.revision))
        except LocalEntryNotFoundError as error:
            raise _not_fetched(name, error) from error
        except EntryNotFoundError:
            continue
        except (HTTPError, OSError, RuntimeError) as error:  # RuntimeError: a failed transfer of hf_xet
            raise _not_fetched(name, error) from error
    raise WeightsError(
        f"{address.repository} has none of {', '.join(FILES)}", where=f"model.name={name}", remedy=_OTHER_WAYS
    )


def weights_file(weights: str) -> Path:
    """Return the file that ``model.weights`` names: a local one, or one on the hub, which is downloaded.

    Args:
        weights: A path, or ``hf-hub:owner/name`` with or without ``@revision``.

    Raises:
        ConfigError: It is no address of the hub.
        WeightsError: The repository does not exist, has no safetensors, or cannot be fetched.
    """
    if is_hub_address(weights):
        return fetch_published_weights(weights, "model.weights", WeightsError)
    return Path(weights).expanduser()


def pinned_weights(weights: str | None, saved: str | None = None) -> str | None:
    """Return ``model.weights`` with the commit of a repository on the hub; other values as they are.

    Args:
        weights: The value.
        saved: The value that a run which resumes has recorded: its commit is kept.

    Raises:
        ConfigError: It is no address of the hub.
        WeightsError: The hub does not have it or cannot be reached.
    """
    if weights is None or not is_hub_address(weights):
        return weights
    if saved is not None and saved.startswith(f"{weights}@"):
        return saved
    return str(pinned_address(weights, "model.weights", WeightsError))


def _tags(architecture: str) -> list[str]:
    return [name.partition(".")[2] for name in timm.list_models(f"{architecture}.*", pretrained=True)]


def _address(name: str) -> HubAddress:
    cfg = pretrained_cfg(name)
    architecture, _, tag = name.partition(".")
    tags = _tags(architecture)
    if not tag and tags:
        raise ConfigError(
            f"{name} has weights of several trainings",
            where="model.name",
            remedy=f"add its tag: {', '.join(f'{architecture}.{known}' for known in tags)}",
        )
    if not cfg.hf_hub_id:
        place = f" but at {cfg.url}" if cfg.url else ""
        raise WeightsError(f"there are no weights{place}", where=f"model.name={name}", remedy=_OTHER_WAYS)
    repository, _, revision = cfg.hf_hub_id.partition("@")
    return HubAddress(repository, revision or None)


def _not_fetched(name: str, error: Exception) -> WeightsError:
    reason = (str(error.__cause__ or error) or type(error).__name__).strip().partition("\n")[0]
    if constants.HF_HUB_OFFLINE:
        reason = "HF_HUB_OFFLINE is set"
    extra = f"{EXTRA}; or " if name in PACKAGED else ""
    return WeightsError(
        f"its weights are not in {constants.HF_HUB_CACHE} and cannot be fetched from the hub ({reason})",
        where=f"model.name={name}",
        remedy=f"{extra}without network {_OTHER_WAYS}; or fetch them on a machine with network (heritage "
        f"weights model=timm model.name={name}) and copy that folder here",
    )
