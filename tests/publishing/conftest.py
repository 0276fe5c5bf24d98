"""Fixtures: a local double of the hub, with a token and an empty cache, and a curated data set."""

from __future__ import annotations

import copy
import shutil
import types
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import close_session, constants
from huggingface_hub.utils import _http

from heritage.core.image_io import encode_jpeg
from heritage.core.manifest import Manifest
from heritage.runs.audits import AuditResult, write_audits
from tests.conftest import patch
from tests.publishing.hub_double import TOKEN, HubDouble, serve_hub
from tests.trained_networks import command

LICENCES = ("CC0-1.0", "CC BY 4.0", "CC0-1.0", "CC0 1.0 Universal")


@pytest.fixture(scope="session")
def _server() -> Iterator[HubDouble]:
    with serve_hub() as hub:
        yield hub


def point_to(hub: HubDouble, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Let the hub's own client take a double for the public hub."""
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    # its client waits between attempts
    monkeypatch.setattr(_http, "time", types.SimpleNamespace(sleep=lambda _: None))
    close_session()


@pytest.fixture
def hub(_server: HubDouble, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubDouble]:
    """Return an empty hub."""
    _server.__init__(url=_server.url)  # type: ignore[misc]  # starts again empty
    point_to(_server, monkeypatch, tmp_path / "cache")
    yield _server
    close_session()


NETWORK = ("licence=CC-BY-4.0", "dataset=museum/photographs", "title=Vases: a network")


@pytest.fixture(scope="session")
def audited(calibrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of `calibrated` with an audit; read only."""
    run = shutil.copytree(calibrated, tmp_path_factory.mktemp("audited") / "run")
    write_audits(
        [AuditResult("background", "Background", "It uses the centre.", "Measured.", good=True)], run
    )
    return run


@pytest.fixture(scope="session")
def _network(_server: HubDouble, audited: Path, tmp_path_factory: pytest.TempPathFactory) -> HubDouble:
    """Return a hub, as data, with the network of `audited`."""
    _server.__init__(url=_server.url)  # type: ignore[misc]
    with pytest.MonkeyPatch.context() as monkeypatch, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Use 'content=")
        point_to(_server, monkeypatch, tmp_path_factory.mktemp("cache"))
        command("publish", f"ckpt={audited}", "repo=museum/vases", *NETWORK)
    return copy.deepcopy(_server)


@pytest.fixture
def published(_network: HubDouble, hub: HubDouble) -> HubDouble:
    """Return a hub with the network of `audited`, published as ``museum/vases``."""
    state = copy.deepcopy(_network)
    hub.repositories, hub.objects = state.repositories, state.objects
    return hub


def write_dataset(root: Path, licences: tuple[str | None, ...] = LICENCES, each: int = 6) -> Path:
    """Write a data-set folder as `heritage curate` of an earlier version did, with three classes."""
    classes = ("egyptian", "no: yes", "<b>#x</b>")
    (root / "images").mkdir(parents=True)
    columns: dict[str, list[object]] = {name: [] for name in (
        "file", "image_id", "class", "museum", "split", "group_id", "licence", "credit", "title", "permalink",
        "status", "private_path",
    )}  # fmt: skip
    for number in range(len(classes) * each):
        label = number % len(classes)
        name = f"{label + 1}_MET_{number}"
        (root / "images" / f"{name}.jpg").write_bytes(encode_jpeg(patch(label, number, size=32)))
        row = {
            "file": f"images/{name}.jpg", "image_id": name, "class": classes[label], "museum": "MET",
            "split": ("train", "train", "val", "test")[number // len(classes) % 4],
            "group_id": f"g{number // 2}",
            "licence": licences[number % len(licences)], "credit": f"Gift of <script>{number}</script>",
            "title": None if number % 2 else "Vase | [x](javascript:alert(1))",
            "permalink": "javascript:alert(1)" if number == 0 else f"https://museum.example/{number}",
            "status": "kept", "private_path": "/home/ada/secret",
        }  # fmt: skip
        for key, value in row.items():
            columns[key].append(value)
    manifest = Manifest.build(columns, root, classes)
    audit = {"clean": True, "groups": 0, "objects": 0, "near_duplicates": 0, "compared": 10}
    manifest.write(
        root,
        {
            "name": "vases", "image_size": 32, "photographs": 20, "dropped": {"blank": 2}, "audit": audit,
            "remarks": ["a remark"], "raw": "/home/ada/raw",
            "configuration": {
                "resize": {"way": "stretch", "size": 32, "quality": 90, "_target_": "x.y"},
                "split": {"by": "group", "seed": 0}, "raw": {"root": "/home/ada/raw"},
            },
        },
    )  # fmt: skip
    return root


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Return a data-set folder all of whose photographs may be published."""
    return write_dataset(tmp_path / "vases")
