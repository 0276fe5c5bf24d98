"""Response schemas of the API, from which the OpenAPI document is generated, and refused requests."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from heritage.core.verdicts import Judgement
from heritage.metrics.calibration_claim import ClaimCode


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
    file: str = Field(default="", description="name of the image's file, where the title is unknown")
    museum: str | None
    credit: str | None
    licence: str | None
    link: str | None = Field(description="the object's page at the museum")
    thumbnail: str | None = Field(description="path on this server; null if the image is not available")
    similarity: float = Field(ge=-1, le=1, description="cosine similarity of the embeddings")


class PredictionResponse(BaseModel):
    """The prediction for one image."""

    name: str
    id: str = Field(default="", description="SHA-256 of the file")
    prediction: str | None = Field(
        description="a class, `unsure`, `unlike_training`, or null if there is an error"
    )
    unsure: bool | None = None
    unlike_training: bool | None = Field(
        default=None,
        description="whether the image is unlike the training images: it gets no class, and the "
        "probabilities of `ranking` mean nothing; null if the server does not check it",
    )
    outlier_score: float | None = Field(
        default=None, description="above 1, the image is unlike the training images"
    )
    prediction_set: list[str] | None = Field(
        default=None,
        description="classes among which the true one is with the `coverage` of `/about`, most probable "
        "first; null if the server gives no sets",
    )
    ranking: list[ClassProbability] = Field(default=[], description="all classes, most probable first")
    saliency: str | None = Field(
        default=None, description="PNG as a data URL: how much each region supports the first class"
    )
    similar: list[MuseumObject] = []
    error: ErrorDetail | None = None


class ObjectPrediction(BaseModel):
    """The prediction for one object of several photographs: the mean of their probabilities."""

    id: str = Field(description="SHA-256 of its photographs' ids, in the order of the request")
    views: int = Field(ge=0, description="photographs with a prediction, whose probabilities are averaged")
    prediction: str | None = Field(
        description="a class, `unsure`, `unlike_training`, or null if no photograph has a prediction"
    )
    unsure: bool | None = None
    unlike_training: bool | None = Field(
        default=None, description="whether the mean `outlier_score` of its photographs is above 1"
    )
    outlier_score: float | None = None
    ranking: list[ClassProbability] = Field(default=[], description="all classes, most probable first")
    similar: list[MuseumObject] = []


Similarity = Annotated[float, Field(ge=-1, le=1)]


class PredictionResponses(BaseModel):
    """The predictions for the images of a request, in their order."""

    calibration: str = Field(description="what is known about the probabilities, in a few words")
    notes: list[str] = Field(default=[], description="what users of the predictions need to know")
    prior: dict[str, float] | None = Field(
        default=None,
        description="class frequencies that probabilities are for; null for those of validation images",
    )
    pictures: list[PredictionResponse]
    object: ObjectPrediction | None = Field(
        default=None, description="with `object=true`: the prediction for the object that all images show"
    )
    similarities: list[list[Similarity | None]] | None = Field(
        default=None,
        description="with `compare=true`: cosine similarity of the embeddings of each pair of images; null "
        "for an image without a prediction",
    )


class VerdictRequest(BaseModel):
    """A reviewer's verdict on a prediction."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(pattern="^[0-9a-f]{64}$", description="`id` of a prediction of this server")
    verdict: Judgement = Field(description="whether the most probable class is right")
    label: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        default=None, description="for `wrong`: the right class; null for none of the network's classes"
    )
    reviewer: Annotated[str, StringConstraints(max_length=100)] = Field(
        default="", description="the reviewer's name"
    )


class VerdictSaved(BaseModel):
    """The response to a verdict that was saved."""

    saved: int = Field(description="lines added to the file, one for each photograph of the prediction")


class CalibrationFacts(BaseModel):
    """What is known about the probabilities, as numbers."""

    code: ClaimCode
    temperature: float | None = None
    images: int | None = Field(default=None, description="images that the temperature was fitted on")
    groups: int | None = None
    error_before: float | None = Field(default=None, description="expected calibration error, without it")
    error_after: float | None = Field(default=None, description="the same with it, on held-out groups")
    target_precision: float | None = None


class ModelInfo(BaseModel):
    """The network and the limits of the server, for the page."""

    classes: list[str]
    names: dict[str, str] = Field(description="display name of each class")
    calibration: str = Field(description="what is known about the probabilities, in a few words")
    calibrated: bool = Field(description="measured to be calibrated on held-out groups")
    probabilities: str = Field(description="what is known about the probabilities, in sentences")
    threshold: float | None
    coverage: float | None = Field(
        default=None, description="promised coverage of prediction sets; null if the server gives none"
    )
    all_unsure: bool = Field(
        description="every prediction is unsure: no threshold reaches the target precision"
    )
    notes: list[str] = Field(description="what users of the predictions need to know")
    prior: dict[str, float] | None = Field(
        default=None,
        description="class frequencies that probabilities are for; null for those of validation images",
    )
    drawn: bool = Field(description="trained on drawings of the demo set only")
    drawn_images: int = Field(default=0, description="number of drawings among the training images")
    training_images: int | None = None
    facts: CalibrationFacts = CalibrationFacts(code="none")
    civilisations: bool = Field(default=True, description="the classes are civilisations of the thesis")
    translations: dict[str, dict[str, str]] = Field(
        default={}, description="display names of classes by language"
    )
    typical_similarity: float | None = Field(
        default=None,
        description="median cosine similarity of embeddings of objects of different classes in the data set",
    )
    outliers: bool = Field(
        default=False, description="whether photographs unlike the training images get no class"
    )
    verdicts: bool = Field(default=False, description="whether `POST /verdicts` is available")
    network: str = Field(default="", description="beginning of the SHA-256 of the weights")
    upload_seconds: float = 30
    crop: float = Field(description="fraction of each side that the network's central crop keeps")
    macro_f1: float | None
    test_images: int | None
    rare: list[str] = Field(description="classes with few training images")
    similar: bool
    pictures: int
    megabytes: float
    megapixels: float
    formats: list[str] = Field(default=[], description="formats of images, as Pillow names them")
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
