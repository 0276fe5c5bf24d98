"""The demo museum's HTTP interface, compatible with The Met and the Louvre.

``/public/collection/v1/objects…`` follows The Met's API, ``/sitemap.xml`` and ``/ark:/53355/…`` the Louvre's
site. Photographs are served with ETag and Range.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from heritage.demo.collection import PUBLISHED, RECORDED, DemoCollection
from heritage.demo.server import Handler, Request, Response, file_response, json_response

_NUMBER = re.compile("[0-9]{1,12}")
_ROBOTS = b"User-agent: *\nDisallow: /private/\n"


def request_handler(collection: DemoCollection) -> Handler:
    """Return the request handler of a demo museum."""
    routes: list[tuple[re.Pattern[str], Callable[[Request, re.Match[str]], Response]]] = [
        (re.compile(r"/public/collection/v1/objects"), lambda r, _: _met_list(collection, r)),
        (re.compile(r"/public/collection/v1/objects/(.+)", re.S), lambda _, m: _met_object(collection, m[1])),
        (re.compile(r"/images/CRDImages/\w+/(original|web-large)/([0-9]{1,12})-([0-9]{1,3})\.jpg"),
         lambda r, m: _photograph(collection, r, m)),
        (re.compile(r"/ark:/53355/cl([0-9]{9})\.json"), lambda _, m: _louvre_object(collection, int(m[1]))),
        (re.compile(r"/sitemap\.xml"), lambda _r, _m: _sitemap(collection)),
        (re.compile(r"/robots\.txt"), lambda _r, _m: Response(200, _ROBOTS, {"Content-Type": "text/plain"})),
    ]  # fmt: skip

    def handle(request: Request) -> Response:
        for pattern, route in routes:
            if match := pattern.fullmatch(request.path):
                return route(request, match)
        return Response(404, b"no such page", {"Content-Type": "text/plain"})

    return handle


def _met_list(collection: DemoCollection, request: Request) -> Response:
    departments = {int(d) for d in request.query.get("departmentIds", "").split("|") if _NUMBER.fullmatch(d)}
    ids = [i for i in collection.ids if not departments or collection.department(i) in departments]
    if request.query.get("metadataDate", RECORDED) > RECORDED:
        ids = []
    return json_response({"total": len(ids), "objectIDs": ids})


def _met_object(collection: DemoCollection, object_id: str) -> Response:
    if not _NUMBER.fullmatch(object_id):
        return json_response({"message": "could not parse objectID"}, 400)
    if int(object_id) not in collection.ids:
        return json_response({"message": "ObjectID not found"}, 404)
    return json_response(collection.met_record(int(object_id)))


def _louvre_object(collection: DemoCollection, number: int) -> Response:
    if number not in collection.ids:
        return Response(404, b"", {"Content-Type": "text/html"})
    return json_response(collection.louvre_record(number))


def _sitemap(collection: DemoCollection) -> Response:
    # As in the Louvre's sitemap, each record is listed once per language.
    locations = "".join(
        f"<url><loc>{PUBLISHED}/{language}ark:/53355/cl{i:09d}</loc></url>"
        for i in collection.ids
        for language in ("", "en/")
    )
    return Response(200, f"<urlset>{locations}</urlset>".encode(), {"Content-Type": "application/xml"})


def _photograph(collection: DemoCollection, request: Request, match: re.Match[str]) -> Response:
    number, view = int(match[2]), int(match[3])
    if number not in collection.ids:
        return Response(404, b"", {"Content-Type": "text/html"})
    return file_response(
        request, collection.photograph(number, view, original=match[1] == "original"), "image/jpeg"
    )
