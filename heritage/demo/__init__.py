"""A generated data set and museum: drawn artefacts of the six civilisations, for demos and tests."""

from heritage.demo.dataset import (
    DemoRecord,
    demo_folder,
    demo_records,
    only_demo_sets,
    write_demo_dataset,
)
from heritage.demo.drawing.artefact import DEMO_VERSION, draw_artefact

__all__ = [
    "DEMO_VERSION",
    "DemoRecord",
    "demo_folder",
    "demo_records",
    "draw_artefact",
    "only_demo_sets",
    "write_demo_dataset",
]
