"""Fixtures: a local double of the hub, with a token and an empty cache, and a curated data set."""

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import close_session, constants
from huggingface_hub.utils import _http

from heritage.core.image_io import encode_jpeg
from heritage.core.manifest import Manifest
from tests.conftest import patch
from tests.publishing.hub_double import TOKEN, HubDouble, serve_hub

LICENCES = ("CC0-1.0", "CC BY 4.0", "CC0-1.0", "CC0 1.0 Universal")


@pytest.fixture(scope="session")
def _server() -> Iterator[HubDouble]:
    with serve_hub() as hub:
        yield hub


@pytest.fixture
def hub(_server: HubDouble, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubDouble]:
    """Return an empty hub that the hub's own client takes for the public one."""
    _server.__init__(url=_server.url)  # type: ignore[misc]  # starts again empty
    monkeypatch.setattr(constants, "ENDPOINT", _server.url)
    template = _server.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    # its client waits between attempts
    monkeypatch.setattr(_http, "time", types.SimpleNamespace(sleep=lambda _: None))
    close_session()
    yield _server
    close_session()


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
