"""Log device statistics: memory of a GPU; load, memory and swap of a CPU."""

from __future__ import annotations

from importlib.util import find_spec

import pytorch_lightning as pl
from pytorch_lightning.callbacks import DeviceStatsMonitor

from heritage.errors import ConfigError, MissingDependencyError


class DeviceStats(DeviceStatsMonitor):
    """Logs the device's statistics whenever a step is logged (``trainer.log_every_n_steps``).

    Args:
        cpu: Log CPU statistics, too; None logs them if training runs on the CPU.
    """

    def __init__(self, cpu: bool | None) -> None:
        super().__init__(cpu_stats=cpu)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Check that the statistics can be logged.

        Raises:
            ConfigError: The run has no logger.
            MissingDependencyError: CPU statistics need psutil, which is not installed.
        """
        if not trainer.loggers:
            raise ConfigError(
                "device statistics need a logger", where="callbacks.device_stats", remedy="use logger=csv"
            )
        on_cpu = trainer.strategy.root_device.type == "cpu"
        if (self._cpu_stats or (self._cpu_stats is None and on_cpu)) and find_spec("psutil") is None:
            raise MissingDependencyError(
                "CPU statistics need psutil, which is not installed",
                where="callbacks.device_stats",
                remedy="pip install 'heritage[stats]', or callbacks.device_stats.cpu=false",
            )
        super().setup(trainer, pl_module, stage)
