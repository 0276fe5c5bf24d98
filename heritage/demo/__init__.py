"""A demo museum in the program itself: artefacts of the six civilisations, drawn, lit and photographed."""

from heritage.demo.artefact import DEMO_VERSION, draw_artefact
from heritage.demo.dataset import DemoRecord, demo_records, write_demo_dataset

__all__ = ["DEMO_VERSION", "DemoRecord", "demo_records", "draw_artefact", "write_demo_dataset"]
