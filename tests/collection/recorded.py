"""The adapters of the real museums, and a server with recorded responses of all three."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import OmegaConf

from heritage.core.files import config_dir
from heritage.demo.server import Request, Response, file_response, json_response
from tests.collection.faults import jpeg

FIXTURES = Path(__file__).parent / "fixtures"
MET = sorted((FIXTURES / "met" / "objects").glob("*.json"))
LOUVRE = sorted((FIXTURES / "louvre" / "rebuilt_json").glob("*.json"))
CLEVELAND = json.loads((FIXTURES / "cleveland.json").read_text())


def source(name: str, base: str | None = None, **changes: Any) -> Any:
    """Return a source from its configuration file; on loopback if ``base`` is given."""
    cfg = OmegaConf.load(config_dir() / "source" / f"{name}.yaml")
    OmegaConf.set_struct(cfg, False)
    if base is not None:
        cfg.allow_private = True
        for host in cfg.hosts.values():
            path = "/" + host.url.split("/", 3)[3] if host.url.count("/") > 2 else ""
            host.url, host.rate = base + path, None
    for key, value in changes.items():
        OmegaConf.update(cfg, key, value)
    return instantiate(cfg, _convert_="all")


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


OBJECTS = {path.stem.partition("@")[0]: path for path in reversed(MET)}
RECORDS = OBJECTS | {path.stem: path for path in LOUVRE}
XML = {"Content-Type": "application/xml"}
PART = (
    "<sitemapindex><sitemap><loc>https://collections.louvre.fr/sitemap-1.xml</loc></sitemap></sitemapindex>"
)
SITEMAP = "".join(
    f"<url><loc>https://collections.louvre.fr/{language}ark:/53355/{path.stem}</loc></url>"
    for path in LOUVRE
    for language in ("", "en/", "es/")
)


def recorded(errors: dict[str, Response]) -> Callable[[Request], Response]:
    """Return a handler with the recorded responses of the three museums."""

    def handle(request: Request) -> Response:
        path = request.path
        if path in errors:
            return errors[path]
        if path == "/public/collection/v1/objects":
            listed = [321412, 404404]
            if request.query["departmentIds"] in ("10", "14"):
                listed = sorted(map(int, OBJECTS))
            return json_response({"total": len(listed), "objectIDs": listed})
        if path.startswith("/sitemap"):
            return Response(
                200, (PART if path == "/sitemap.xml" else f"<urlset>{SITEMAP}</urlset>").encode(), XML
            )
        if path == "/api/artworks/":
            first = int(request.query["skip"]) == 0 and "Near Eastern" in request.query["department"]
            return json_response({"info": {}, "data": CLEVELAND["data"] if first else []})
        found = RECORDS.get(path.rpartition("/")[2].removesuffix(".json"))
        if found is not None:
            return Response(200, found.read_bytes(), {"Content-Type": "application/json; charset=UTF-8"})
        if path.lower().endswith((".jpg", ".jpeg")) or "CRDImages" in path:
            return file_response(request, picture(path), "image/jpeg")
        return Response(404, b'{"message":"ObjectID not found"}', {"Content-Type": "application/json"})

    return handle


def recording(handler: Callable[[Request], Response], requested: list[str]) -> Callable[[Request], Response]:
    """Wrap a handler so that it appends each requested path to a list."""

    def noted(request: Request) -> Response:
        requested.append(request.path)
        return handler(request)

    return noted


@functools.cache
def picture(path: str) -> bytes:
    return jpeg(hash(path) & 0xFFFF) + path.encode()
