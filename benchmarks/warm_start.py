"""Does a Vision Transformer from scratch gain from a self-supervised start on its own training images?

    python -m benchmarks.warm_start --root /data/met-ceramics --images 200000 --out mae.safetensors
    python -m heritage.train data=met_ceramics model=vit model.weights=mae.safetensors

Trains ``model=vit`` as a masked autoencoder (He et al. 2022) on the training split, without using its
labels, and writes its weights for ``model.weights``. Three quarters of the patches are hidden from the
encoder; a small decoder predicts their pixels, each patch normalised separately. Hidden patches
are blanked before the stem, whose convolutions would see over their edges otherwise.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import cast

import torch
from hydra import compose, initialize_config_dir
from safetensors.torch import save_file
from torch import Tensor, nn

from heritage.config.register import register
from heritage.core.files import config_dir
from heritage.data import ArtefactDataModule
from heritage.models.network import input_spec
from heritage.models.normalize import Normalize
from heritage.models.vit import Block, VisionTransformer, sincos_positions
from heritage.training.build import build_data, build_network
from heritage.training.optimizers import muon
from heritage.training.schedules import cosine

HIDDEN = 0.75


class MaskedAutoencoder(nn.Module):
    """An encoder that sees a quarter of the patches, and a decoder that guesses the others' pixels.

    Args:
        encoder: The network to warm up; its mean over patches and its classifier are not used.
        width: Width of the decoder's tokens.
        depth: Blocks of the decoder.
    """

    positions: Tensor

    def __init__(self, encoder: VisionTransformer, width: int = 96, depth: int = 2) -> None:
        super().__init__()
        self.encoder = encoder
        self.patch = encoder.patch_embed.patch_size[0]
        self.enter = nn.Linear(encoder.head.in_features, width)
        self.missing = nn.Parameter(torch.zeros(1, 1, width))
        positions = sincos_positions(encoder.patch_embed.grid_size[0], width)
        self.register_buffer("positions", positions.unsqueeze(0), persistent=False)
        self.blocks = nn.ModuleList(Block(width, 3, 4 * width, 0.0, 0.0, None) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.pixels = nn.Linear(width, 3 * self.patch**2)

    def get_classifier(self) -> nn.Module:
        """Return the last layer, which Muon leaves to NAdamW."""
        return self.pixels

    def no_weight_decay(self) -> set[str]:
        """Return what weight decay would pull towards nothing meaningful."""
        return {"missing"}

    def patches(self, images: Tensor) -> Tensor:
        """Cut images (B, 3, S, S) into patches (B, N, 3 P²)."""
        return nn.functional.unfold(images, self.patch, stride=self.patch).transpose(1, 2)

    def forward(self, images: Tensor) -> Tensor:
        """Return the squared error over hidden patches of images (B, 3, S, S), each patch normed."""
        truth = self.patches(images)
        batch, tokens, _ = truth.shape
        order = torch.rand(batch, tokens, device=images.device).argsort(dim=1)
        seen = order[:, : round(tokens * (1 - HIDDEN))]
        hidden = torch.ones(batch, tokens, device=images.device).scatter_(1, seen, 0.0)

        side = self.encoder.patch_embed.grid_size[0]
        visible = (1 - hidden).view(batch, 1, side, side).repeat_interleave(self.patch, 2)
        embedded = self.encoder.patch_embed(images * visible.repeat_interleave(self.patch, 3))
        x = embedded + self.encoder.pos_embed
        index = seen.unsqueeze(-1).expand(-1, -1, x.shape[-1])
        x = self.enter(self.encoder.norm(self.encoder.through_blocks(x.gather(1, index))))

        full = self.missing.to(x.dtype).expand(batch, tokens, -1).clone()
        y = full.scatter(1, seen.unsqueeze(-1).expand(-1, -1, x.shape[-1]), x) + self.positions
        for block in self.blocks:
            y = block(y)
        guess = self.pixels(self.norm(y)).float()
        truth = (truth - truth.mean(-1, keepdim=True)) / (truth.var(-1, keepdim=True) + 1e-6).sqrt()
        error = (guess - truth).square().mean(-1)
        loss: Tensor = (error * hidden).sum() / hidden.sum()
        return loss


def prepared(root: Path, size: int, batch: int) -> tuple[VisionTransformer, ArtefactDataModule]:
    """Build the network and the data as a run would, with crops and flips only."""
    register()
    overrides = [
        "data=met_ceramics", f"data.root={root}", f"data.image_size={size}", f"data.batch_size={batch}",
        "data.num_workers=1", "model=vit",
    ]  # fmt: skip
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        cfg = compose("train", overrides=overrides)
    data = build_data(cfg)
    return cast(VisionTransformer, build_network(cfg, data)), data


def main() -> None:
    """Train the autoencoder and write the encoder's weights."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True, help="folder of metadata.csv and images/")
    parser.add_argument("--out", type=Path, required=True, help="where the weights go (.safetensors)")
    parser.add_argument("--images", type=int, default=200_000, help="images to show")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=2e-3)
    options = parser.parse_args()

    torch.manual_seed(0)
    encoder, data = prepared(options.root, options.size, options.batch)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = MaskedAutoencoder(encoder).to(device).train()
    spec = input_spec(encoder)
    normalize = Normalize(spec.mean, spec.std).to(device)
    steps = options.images // options.batch
    optimizer = muon(
        net, lr=options.lr, momentum=0.95, weight_decay=0.05, betas=[0.9, 0.95], layer_decay=None
    )
    schedule = cosine(optimizer, steps, warmup=0.1, final=0.01)["scheduler"]

    began, step, total = time.perf_counter(), 0, 0.0
    while step < steps:
        for batch in data.train_dataloader():
            loss = net(normalize(batch.images.to(device)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            step, total = step + 1, total + loss.item()
            if step % 200 == 0 or step == steps:
                rate = step * options.batch / (time.perf_counter() - began)
                print(
                    f"{step * options.batch:,} images, {rate:.0f}/s, error {total / (step % 200 or 200):.4f}",
                    flush=True,
                )
                total = 0.0
            if step == steps:
                break
    save_file({name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}, options.out)
    print(f"after {time.perf_counter() - began:.0f} s: {options.out}")


if __name__ == "__main__":
    main()
