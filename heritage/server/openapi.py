"""The OpenAPI document, from the types of the replies."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from heritage.core.version import __version__
from heritage.server.limits import Limits
from heritage.server.schemas import ErrorResponse, Health, ModelInfo, PredictionResponses

_REFUSALS = {
    "400": "no picture, or a form that cannot be read",
    "403": "asked for by a page of another site",
    "408": "the upload took too long",
    "413": "too many bytes, pixels or pictures",
    "415": "not a picture of a known format",
    "422": "a damaged picture",
    "429": "too many requests of one address",
    "503": "busy, or no answer in time: see Retry-After",
}


def openapi(limits: Limits) -> dict[str, Any]:
    """Return the document (OpenAPI 3.1)."""
    kinds: list[type[BaseModel]] = [PredictionResponses, ModelInfo, Health, ErrorResponse]
    _, schema = models_json_schema(
        [(kind, "serialization") for kind in kinds], ref_template="#/components/schemas/{model}"
    )
    picture = {"type": "string", "format": "binary"}
    flag = {"in": "query", "required": False, "schema": {"type": "boolean", "default": False}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "heritage",
            "version": __version__,
            "description": "Which ancient civilisation an artefact comes from, from its photograph.",
        },
        "paths": {
            "/predict": {
                "post": {
                    "summary": "Answer for one or several photographs",
                    "description": f"At most {limits.pictures} pictures and {limits.megabytes:g} MB a "
                    f"request, {limits.megapixels:g} megapixels a picture. Where one picture is sent and "
                    "cannot be read, its error is the reply's status; of several, each has its own `error`.",
                    "parameters": [
                        {**flag, "name": "saliency", "description": "also where the network looked"},
                        {**flag, "name": "similar", "description": "also the most similar museum objects"},
                    ],
                    "requestBody": {
                        "required": True,
                        "content": {
                            "multipart/form-data": {
                                "schema": {
                                    "type": "object",
                                    "properties": {"picture": {"type": "array", "items": picture}},
                                }
                            },
                            "image/*": {"schema": picture},
                        },
                    },
                    "responses": {"200": _reply("the answers", PredictionResponses)}
                    | {status: _reply(what, ErrorResponse) for status, what in _REFUSALS.items()},
                }
            },
            "/about": {"get": _get("the network and the limits", ModelInfo)},
            "/health": {
                "get": _get("that the server is up and its network answers", Health, {"503": "it does not"})
            },
            "/metrics": {
                "get": {
                    "summary": "figures for Prometheus",
                    "responses": {"200": {"description": "text", "content": {"text/plain": {}}}},
                }
            },
        },
        "components": {"schemas": schema["$defs"]},
    }


def _get(
    what: str, kind: type[BaseModel], refusals: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    replies = {status: _reply(why, ErrorResponse) for status, why in refusals.items()}
    return {"summary": what, "responses": {"200": _reply(what, kind)} | replies}


def _reply(what: str, kind: type[BaseModel]) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{kind.__name__}"}
    return {"description": what, "content": {"application/json": {"schema": schema}}}
