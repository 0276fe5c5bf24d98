"""What the API says, as types: the OpenAPI document is made of them, so both always agree."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Fault(BaseModel):
    """Why there is no answer."""

    code: str = Field(description="for programs", examples=["too_many_pixels"])
    message: str = Field(description="for people")


class ErrorResponse(BaseModel):
    """A request that got no answer."""

    error: Fault


class Ranked(BaseModel):
    """A class and how probable it is."""

    label: str
    probability: float = Field(ge=0, le=1)


class MuseumObject(BaseModel):
    """A photograph of its data set that the network finds similar."""

    label: str = Field(description="the civilisation that its museum assigns it to")
    title: str | None
    museum: str | None
    credit: str | None
    licence: str | None
    link: str | None = Field(description="the museum's own page of it")
    thumbnail: str = Field(description="path on this server")
    similarity: float = Field(ge=-1, le=1, description="cosine of the embeddings")


class PredictionResponse(BaseModel):
    """The answer for one picture."""

    name: str
    answer: str | None = Field(description="a class, `unsure`, or null where there is an error")
    unsure: bool | None = None
    ranking: list[Ranked] = Field(default=[], description="all classes, most probable first")
    saliency: str | None = Field(
        default=None, description="a PNG as data URL: how much each part spoke for the first class"
    )
    similar: list[MuseumObject] = []
    error: Fault | None = None


class PredictionResponses(BaseModel):
    """The answers for the pictures of a request, in their order."""

    calibration: str
    pictures: list[PredictionResponse]


class ModelInfo(BaseModel):
    """The network behind the server, for the page."""

    classes: list[str]
    names: dict[str, str] = Field(description="what people call each class")
    calibration: str
    calibrated: bool
    threshold: float | None
    crop: float = Field(description="the central part of each side that the network sees")
    macro_f1: float | None
    test_images: int | None
    rare: list[str]
    similar: bool
    pictures: int
    megabytes: float
    megapixels: float
    examples: list[str]


class Health(BaseModel):
    """That the server is up."""

    status: str


class RequestRefused(Exception):  # noqa: N818  it is no fault of ours
    """A request, or one picture of it, that gets no answer.

    Args:
        status: The HTTP status.
        code: For programs, fixed.
        message: For people.
        retry_after: Seconds after which another try makes sense.
    """

    def __init__(self, status: int, code: str, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


def busy() -> RequestRefused:
    """Return the refusal for a server that has enough to do."""
    return RequestRefused(503, "busy", "The server is busy. Try again in a moment.", retry_after=2)
