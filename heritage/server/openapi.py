"""The OpenAPI document, generated from the response schemas."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from heritage.core.version import __version__
from heritage.server.limits import Limits
from heritage.server.schemas import ErrorResponse, Health, ModelInfo, PredictionResponses

_ERRORS = {
    "400": "no image, a malformed form, or a flag that is neither true nor false",
    "403": "a request from a page of another site, or to another host name",
    "408": "the upload took too long",
    "413": "too many bytes, pixels or images",
    "415": "not an image in a supported format",
    "422": "a damaged image",
    "429": "too many requests from one address",
    "503": "busy, or no prediction in time: see Retry-After",
}


def openapi(limits: Limits) -> dict[str, Any]:
    """Return the document (OpenAPI 3.1)."""
    models: list[type[BaseModel]] = [PredictionResponses, ModelInfo, Health, ErrorResponse]
    _, schema = models_json_schema(
        [(model, "serialization") for model in models], ref_template="#/components/schemas/{model}"
    )
    image = {"type": "string", "format": "binary"}
    flag = {"in": "query", "required": False, "schema": {"type": "boolean", "default": False}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "heritage",
            "version": __version__,
            "description": "Predicts which ancient civilisation an artefact comes from, from its photograph.",
        },
        "paths": {
            "/predict": {
                "post": {
                    "summary": "Predict one or several images",
                    "description": f"At most {limits.pictures} images and {limits.megabytes:g} MB per "
                    f"request, {limits.megapixels:g} megapixels per image. If a single image cannot be read, "
                    "its error is the status of the response; of several images, each has its own `error`.",
                    "parameters": [
                        {**flag, "name": "saliency", "description": "add a saliency map"},
                        {**flag, "name": "similar", "description": "add the most similar museum objects"},
                    ],
                    "requestBody": {
                        "required": True,
                        "content": {
                            "multipart/form-data": {
                                "schema": {
                                    "type": "object",
                                    "properties": {"picture": {"type": "array", "items": image}},
                                }
                            },
                            "image/*": {"schema": image},
                            "application/octet-stream": {"schema": image},
                        },
                    },
                    "responses": {"200": _response("the predictions", PredictionResponses)}
                    | {status: _response(reason, ErrorResponse) for status, reason in _ERRORS.items()},
                }
            },
            "/about": {"get": _get("the network and the limits", ModelInfo)},
            "/health": {
                "get": _get("the server and its network respond", Health, {"503": "the network is stuck"})
            },
            "/examples/{number}.jpg": {"get": _image("an example image", "number")},
            "/objects/{row}.jpg": {"get": _image("a thumbnail of an object of the data set", "row")},
            "/metrics": {
                "get": {
                    "summary": "metrics for Prometheus",
                    "responses": {"200": {"description": "text", "content": {"text/plain": {}}}}
                    | _refusals(),
                }
            },
        },
        "components": {"schemas": schema["$defs"]},
    }


def _get(
    summary: str, model: type[BaseModel], errors: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": _response(summary, model)} | _refusals(errors)}


def _image(summary: str, number: str) -> dict[str, Any]:
    schema = {"type": "integer", "minimum": 0, "maximum": 999_999_999}
    found = {"200": {"description": summary, "content": {"image/jpeg": {}}}}
    return {
        "summary": summary,
        "parameters": [{"in": "path", "name": number, "required": True, "schema": schema}],
        "responses": found | _refusals({"404": "there is none of this number"}),
    }


def _refusals(errors: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    return {
        status: _response(reason, ErrorResponse)
        for status, reason in {"403": "another host name", **errors}.items()
    }


def _response(description: str, model: type[BaseModel]) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}
