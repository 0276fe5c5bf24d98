"""The OpenAPI document, generated from the response schemas."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from heritage.core.version import __version__
from heritage.server.limits import Limits
from heritage.server.schemas import (
    ErrorResponse,
    Health,
    ModelInfo,
    PredictionResponses,
    VerdictRequest,
    VerdictSaved,
)

_ERRORS = {
    "400": "no image, a malformed form, or a flag that is neither true nor false, or a prior that is none",
    "403": "a request from a page of another site, or to another host name",
    "408": "the upload took too long",
    "413": "too many bytes, pixels or images",
    "415": "not an image in a supported format",
    "422": "a damaged image",
    "429": "too many requests from one address",
    "503": "busy, or no prediction in time: see Retry-After",
}

_VERDICT_ERRORS = {
    "400": "a verdict that is not as described, or a class that the network does not have",
    "403": "a request from a page of another site, or to another host name",
    "404": "this server keeps no verdicts",
    "408": "the request took too long",
    "409": "the prediction is not among the latest ones of this server",
    "413": "the request is too large",
    "415": "not application/json",
    "429": "too many verdicts from one address",
    "503": "the verdict could not be saved",
}


def openapi(limits: Limits) -> dict[str, Any]:
    """Return the document (OpenAPI 3.1)."""
    models: list[type[BaseModel]] = [
        PredictionResponses, ModelInfo, Health, ErrorResponse, VerdictRequest, VerdictSaved,
    ]  # fmt: skip
    _, schema = models_json_schema(
        [(model, "serialization") for model in models], ref_template="#/components/schemas/{model}"
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "heritage",
            "version": __version__,
            "description": "Predicts which ancient civilisation an artefact comes from, from its photograph.",
        },
        "paths": {
            "/predict": {"post": _predict(limits)},
            "/verdicts": {"post": _verdicts()},
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


def _predict(limits: Limits) -> dict[str, Any]:
    image = {"type": "string", "format": "binary"}
    flag = {"in": "query", "required": False, "schema": {"type": "boolean", "default": False}}
    return {
        "summary": "Predict one or several images",
        "description": f"At most {limits.pictures} images and {limits.megabytes:g} MB per "
        f"request, {limits.megapixels:g} megapixels per image. If a single image cannot be read, "
        "its error is the status of the response; of several images, each has its own `error`.",
        "parameters": [
            {**flag, "name": "saliency", "description": "add a saliency map"},
            {**flag, "name": "similar", "description": "add the most similar museum objects"},
            {
                **flag,
                "name": "object",
                "description": "all images show one object: add the prediction for it, from the mean of "
                "their probabilities; similar objects are added to it, not to each image",
            },
            {
                **flag,
                "name": "compare",
                "description": "add the similarity of the embeddings of each pair of images",
            },
            {
                "in": "query",
                "name": "prior",
                "required": False,
                "schema": {"type": "string", "maxLength": 4096, "examples": ["uniform", '{"islam": 80}']},
                "description": "class frequencies of the photographs: `uniform`, or a JSON object of shares "
                "by class that sum to 1 or 100 (classes that are not named share the rest); without it, "
                "those of `GET /about`",
            },
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
        "responses": {"200": _response("the predictions", PredictionResponses)} | _errors(_ERRORS),
    }


def _verdicts() -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{VerdictRequest.__name__}"}
    return {
        "summary": "Save a reviewer's verdict on a prediction",
        "description": "Only if the server was started with `verdicts=…`. Lines are added to a CSV file, for "
        "`heritage curate`; no image is stored.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {"200": _response("saved", VerdictSaved)} | _errors(_VERDICT_ERRORS),
    }


def _errors(reasons: Mapping[str, str]) -> dict[str, Any]:
    return {status: _response(reason, ErrorResponse) for status, reason in reasons.items()}


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
