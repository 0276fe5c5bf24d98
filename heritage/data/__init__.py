"""Data sets on disk as uint8 batches: readers, splits, sampling, augmentation and loaders."""

from heritage.data.batch import Batch, BatchPlan
from heritage.data.loader import ArtefactLoader, EpochPlan, Rank
from heritage.data.module import ArtefactDataModule

__all__ = ["ArtefactDataModule", "ArtefactLoader", "Batch", "BatchPlan", "EpochPlan", "Rank"]
