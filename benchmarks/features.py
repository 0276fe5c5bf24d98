"""Speed of `heritage embed`'s extraction relative to a bare forward loop of the same network.

    python -m benchmarks.features                          resnet10t at 96 px, random weights
    python -m benchmarks.features --name tf_efficientnet_lite0.in1k --weights imagenet --size 160
    python -m benchmarks.features --root /my/photographs --workers 4

`bare` runs the network over batches of that size that are in memory already: no image is read or decoded.
`ours` fills a new store from image files: reading, decoding, the network, and writing. The two alternate; the
ratio of their images per second is printed, with the time to open the complete store.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.evaluation import pictures
from heritage.data import ArtefactDataModule
from heritage.features.compute import image_features
from heritage.features.opened import open_features
from heritage.features.predict_loop import autocast
from heritage.models.backbone import timm_network
from heritage.models.network import input_spec
from heritage.models.normalize import NormalizedModel
from heritage.models.precision import choose_precision

_BATCH = 64


def bare(model: NormalizedModel, images: int, size: int, device: torch.device, precision: str) -> float:
    """Return the seconds of a forward loop over batches in memory."""
    batch = torch.randint(0, 256, (_BATCH, size, size, 3), dtype=torch.uint8)
    model.to(device)
    net = model.net
    start = time.perf_counter()
    with torch.inference_mode(), autocast(device, precision):
        for _ in range(max(1, images // _BATCH)):
            features = net.forward_features(model.normalize(batch.to(device, non_blocking=True)))  # type: ignore[operator]
            net.forward_head(features, pre_logits=True).float().cpu()  # type: ignore[operator]
    return time.perf_counter() - start


def ours(
    model: NormalizedModel, data: ArtefactDataModule, folder: Path, device: torch.device, precision: str
) -> float:
    """Return the seconds of filling a store."""
    features = image_features(model, data, device=device, precision=precision, folder=folder)
    start = time.perf_counter()
    features.compute()
    return time.perf_counter() - start


def main() -> None:
    """Print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--name", default="resnet10t")
    parser.add_argument("--weights", default="none")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--root", type=Path, help="a folder with one folder of photographs for each class")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    net = timm_network(name=options.name, weights=options.weights, drop_rate=None, drop_path_rate=None,
                       grad_checkpointing=False, num_classes=6, image_size=options.size)  # fmt: skip
    model = NormalizedModel(net.to(memory_format=torch.channels_last)).eval()
    precision = choose_precision("auto", net, device.type)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.root is None:
            manifest = pictures(folder / "set", options.images, 2 * options.size)
            data = ArtefactDataModule(
                folder, reader=lambda root, classes: manifest, batch_size=_BATCH, num_workers=options.workers
            )
        else:
            data = ArtefactDataModule(options.root, batch_size=_BATCH, num_workers=options.workers)
        data.set_input(options.size, input_spec(net).interpolation)
        images = len(data.manifest)
        speeds: dict[str, list[float]] = {"bare": [], "ours": []}
        for number in range(options.rounds):
            speeds["bare"].append(images / bare(model, images, options.size, device, precision))
            speeds["ours"].append(images / ours(model, data, folder / f"store{number}", device, precision))
        opened = time.perf_counter()
        shape = open_features(folder / "store0").features.shape
        opened = time.perf_counter() - opened
    medians = {way: statistics.median(values) for way, values in speeds.items()}
    for way, speed in medians.items():
        print(f"{way}: {speed:,.1f} images/s")
    print(f"ratio {medians['ours'] / medians['bare']:.3f}; a store of {shape} opens in {opened:.3f} s")


if __name__ == "__main__":
    main()
