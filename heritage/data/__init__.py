"""From a data set on disk to uint8 batches: readers, splits, sampling, augmentation, loaders."""

from heritage.data.batch import Batch, BatchPlan
from heritage.data.loader import ArtefactLoader, EpochPlan, Rank
from heritage.data.module import ArtefactDataModule

__all__ = ["ArtefactDataModule", "ArtefactLoader", "Batch", "BatchPlan", "EpochPlan", "Rank"]
