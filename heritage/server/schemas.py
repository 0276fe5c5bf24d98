"""Response schemas of the API, from which the OpenAPI document is generated, and refused requests."""

from __future__ import annotations

from pydantic import BaseModel, Field


class ErrorDetail(BaseModel):
    """Why there is no prediction."""

    code: str = Field(description="fixed identifier, for programs", examples=["too_many_pixels"])
    message: str = Field(description="explanation, for people")


class ErrorResponse(BaseModel):
    """The response to a request that was refused."""

    error: ErrorDetail


class ClassProbability(BaseModel):
    """A class and its probability."""

    label: str
    probability: float = Field(ge=0, le=1)


class MuseumObject(BaseModel):
    """An image of the data set that is similar to the upload."""

    label: str = Field(description="the civilisation that the museum assigns")
    title: str | None
    museum: str | None
    credit: str | None
    licence: str | None
    link: str | None = Field(description="the object's page at the museum")
    thumbnail: str = Field(description="path on this server")
    similarity: float = Field(ge=-1, le=1, description="cosine similarity of the embeddings")


class PredictionResponse(BaseModel):
    """The prediction for one image."""

    name: str
    prediction: str | None = Field(description="a class, `unsure`, or null if there is an error")
    unsure: bool | None = None
    ranking: list[ClassProbability] = Field(default=[], description="all classes, most probable first")
    saliency: str | None = Field(
        default=None, description="PNG as a data URL: how much each region supports the first class"
    )
    similar: list[MuseumObject] = []
    error: ErrorDetail | None = None


class PredictionResponses(BaseModel):
    """The predictions for the images of a request, in their order."""

    calibration: str = Field(description="what is known about the probabilities, in a few words")
    notes: list[str] = Field(default=[], description="what users of the predictions need to know")
    pictures: list[PredictionResponse]


class ModelInfo(BaseModel):
    """The network and the limits of the server, for the page."""

    classes: list[str]
    names: dict[str, str] = Field(description="display name of each class")
    calibration: str = Field(description="what is known about the probabilities, in a few words")
    calibrated: bool = Field(description="measured to be calibrated on held-out groups")
    probabilities: str = Field(description="what is known about the probabilities, in sentences")
    threshold: float | None
    all_unsure: bool = Field(
        description="every prediction is unsure: no threshold reaches the target precision"
    )
    notes: list[str] = Field(description="what users of the predictions need to know")
    drawn: bool = Field(description="trained on drawings of the demo set only")
    crop: float = Field(description="fraction of each side that the network's central crop keeps")
    macro_f1: float | None
    test_images: int | None
    rare: list[str] = Field(description="classes with few training images")
    similar: bool
    pictures: int
    megabytes: float
    megapixels: float
    examples: list[str]
    examples_drawn: bool = Field(description="the examples are drawings, not photographs")


class Health(BaseModel):
    """The state of the server."""

    status: str


class RequestRefused(Exception):  # noqa: N818  an expected outcome, not an error of the server
    """A request, or one image of it, that is refused.

    Args:
        status: The HTTP status.
        code: Fixed identifier, for programs.
        message: Explanation, for people.
        retry_after: Seconds after which to try again, if that can help.
    """

    def __init__(self, status: int, code: str, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


def busy() -> RequestRefused:
    """Return the refusal of a server at capacity."""
    return RequestRefused(503, "busy", "The server is busy. Try again in a moment.", retry_after=2)
