#!/usr/bin/env bash
# Makes tests/compat/made_at_77e9764.tar.xz: runs, sweeps, data sets and interrupted work of that version.
#
#   git clone . /tmp/old && git -C /tmp/old checkout 77e9764 && make -C /tmp/old setup
#   tests/compat/make.sh /tmp/old made_at_77e9764.tar.xz
#
# Cost: some minutes on one core, no network. Everything is made in, and partly remembers, ROOT.

set -euo pipefail

OLD=$(cd "${1:?the checkout of 77e9764, with its .venv}" && pwd)
ARCHIVE=$(realpath "${2:?the archive to write}")
ROOT=/tmp/heritage-77e9764
PYTHON=$OLD/.venv/bin/python

# The plainest arithmetic of each library: the same bits on any x86-64 processor.
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
export ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 MKL_CBWR=COMPATIBLE
export PYTHONDONTWRITEBYTECODE=1 COLUMNS=120 TERM=dumb

rm -rf "$ROOT"
mkdir -p "$ROOT/tools"
cd "$ROOT"

# ---------------------------------------------------------------- tools

cat > tools/pictures.py <<'EOF'
"""Draws pictures/ (to train on), raw/ (to curate) and asked.txt (to predict), all very small."""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

STAMP = 1_700_000_000  # whole seconds: archives keep no others for certain


def draw(kind: str, chance: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    ground, ink = chance.integers(130, 250, 3), chance.integers(0, 110, 3)
    picture = Image.new("RGB", size, tuple(map(int, ground)))
    pen, (wide, high) = ImageDraw.Draw(picture), size
    x, y = int(chance.integers(3, wide // 3)), int(chance.integers(3, high // 3))
    box = (x, y, wide - int(chance.integers(3, 9)), high - int(chance.integers(3, 9)))
    shape = {"egyptian": pen.ellipse, "islam": pen.rectangle, "asian": pen.arc}[kind]
    if kind == "asian":
        shape(box, 20, 300, fill=tuple(map(int, ink)), width=4)
    else:
        shape(box, fill=tuple(map(int, ink)))
    for _ in range(2):
        x, y = (int(chance.integers(0, side)) for side in size)
        pen.line((x, y, wide - x, high - y), fill=tuple(map(int, chance.integers(0, 255, 3))), width=1)
    return picture


def save(picture: Image.Image, path: Path, **options: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **options)


chance = np.random.default_rng(77)
for kind, count in {"egyptian": 20, "islam": 12, "asian": 9}.items():
    for number in range(count):
        picture = draw(kind, chance, (36, 32)).quantize(16).convert("RGB")
        suffix = "png" if number % 3 else "jpg"
        save(picture, Path(f"pictures/{kind}/{number:02d}.{suffix}"), **({} if number % 3 else {"quality": 80}))

for kind, count in {"egyptian": 12, "islam": 9, "asian": 7}.items():
    for number in range(count):
        save(draw(kind, chance, (44, 40)), Path(f"raw/{kind}/{number:02d}.jpg"), quality=85)
raw = Path("raw")
first = raw / "egyptian/00.jpg"
(raw / "egyptian/same.jpg").write_bytes(first.read_bytes())  # an exact duplicate
save(Image.open(raw / "islam/01.jpg").resize((66, 60)), raw / "islam/again.jpg", quality=80)  # a near one
save(Image.new("RGB", (44, 40), (200, 200, 200)), raw / "asian/blank.png")
save(draw("asian", chance, (20, 20)), raw / "asian/small.png")
(raw / "asian/broken.jpg").write_bytes(first.read_bytes()[:100])
(raw / "islam/conflict.jpg").write_bytes((raw / "asian/02.jpg").read_bytes())  # one photograph, two classes

names = [path.as_posix() for path in sorted(Path("pictures").rglob("*.*g"))] + ["pictures/lost.png"]
Path("asked.txt").write_text("\n".join((names * 32)[:1300]) + "\n", encoding="utf-8")

for path in [*Path("pictures").rglob("*"), *raw.rglob("*"), Path("asked.txt")]:
    os.utime(path, (STAMP, STAMP))
EOF

cat > tools/start_weights.py <<'EOF'
"""Writes weights/start.safetensors: a small network of timm with few, coarse weights, which pack well."""

from pathlib import Path

import safetensors.torch
import timm
import torch

torch.manual_seed(0)
net = timm.create_model("test_efficientnet", num_classes=3)
state = {}
for name, value in net.state_dict().items():
    if value.is_floating_point() and value.dim() > 1:
        kept = torch.rand_like(value) < 0.25
        step = value.std() / 8
        value = torch.where(kept, (value * 2).div(step).round() * step, 0.0)
    state[name] = value.contiguous()
Path("weights").mkdir(exist_ok=True)
safetensors.torch.save_file(state, "weights/start.safetensors")
EOF

cat > tools/stopping.py <<'EOF'
"""Runs a command of 77e9764 and stops it at a chosen moment, by a real signal to itself.

    stopping.py train <SIGNAL> <epoch> <batch> <part of the run folder> <words …>
    stopping.py curate SIGINT <photographs> <words …>
    stopping.py predict SIGKILL <parts> <words …>
    stopping.py collect SIGKILL <photographs> <words …>
"""

import importlib
import os
import signal
import sys
from pathlib import Path

verb, wanted, *rest = sys.argv[1:]


def stop() -> None:
    os.kill(os.getpid(), getattr(signal, wanted))


def after(owner, name: str, count: int, *, before: bool = False) -> None:
    """Stop when a function has been called so often (or is about to be, for the last time)."""
    original, calls = getattr(owner, name), [0]

    def counting(*args, **options):
        calls[0] += 1
        if before and calls[0] == count:
            stop()
        result = original(*args, **options)
        if not before and calls[0] == count:
            stop()
        return result

    setattr(owner, name, counting)


if verb == "train":
    from heritage.training.safeguard import Safeguard

    epoch, batch, part, *rest = rest
    original = Safeguard.on_train_batch_end

    def counting(self, trainer, pl_module, outputs, data, index):
        if trainer.current_epoch == int(epoch) and index == int(batch) and part in str(self._path):
            stop()
        original(self, trainer, pl_module, outputs, data, index)

    Safeguard.on_train_batch_end = counting
else:
    count, *rest = rest
    if verb == "curate":
        from heritage.curation.progress import Progress

        after(Progress, "advance", int(count))
    elif verb == "predict":
        import heritage.serving.parts

        after(heritage.serving.parts, "write_rows", int(count))
    elif verb == "collect":
        from heritage.collection.shelf import Shelf

        # the photograph is in the ledger as "writing", and still beside its place
        after(Shelf, "_rename", int(count), before=True)

module = importlib.import_module(f"heritage.{verb}")
sys.argv = [str(Path(module.__file__)), *rest]
module.main()
EOF

cat > tools/digests.py <<'EOF'
"""Prints a digest of all tensors of a checkpoint's network, and of all its optimiser's: digests.py FILE …"""

import hashlib
import json
import sys

import torch


def tensors(node, path=""):
    if isinstance(node, torch.Tensor):
        yield path, node
    elif isinstance(node, dict):
        for key in sorted(node, key=str):
            yield from tensors(node[key], f"{path}.{key}")
    elif isinstance(node, (list, tuple)):
        for number, value in enumerate(node):
            yield from tensors(value, f"{path}.{number}")


def digest(node) -> str:
    found = hashlib.sha256()
    for path, value in tensors(node):
        found.update(f"{path} {tuple(value.shape)} {value.dtype}\n".encode())
        found.update(value.detach().contiguous().cpu().numpy().tobytes())
    return found.hexdigest()


def main() -> None:
    result = {}
    for name in sys.argv[1:]:
        state = torch.load(name, map_location="cpu", weights_only=True)
        result[name] = {
            "epoch": state["epoch"],
            "global_step": state["global_step"],
            "state_dict": digest(state["state_dict"]),
            "optimizer_states": digest(state["optimizer_states"]),
            "callbacks": digest(state["callbacks"]),
        }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
EOF

heritage() { # verb words…
    echo "+ heritage $*" >&2
    "$PYTHON" -m "heritage.$1" "${@:2}"
}

stopped() { # status stopping-words…
    local want=$1 got=0
    shift
    echo "+ stopping $*" >&2
    "$PYTHON" tools/stopping.py "$@" || got=$?
    [ "$got" = "$want" ] || { echo "stopping.py $*: ended with $got instead of $want" >&2; exit 1; }
}

# ---------------------------------------------------------------- pictures and words

"$PYTHON" tools/pictures.py
"$PYTHON" tools/start_weights.py

EXACT=(trainer=cpu trainer.precision=32-true data.num_workers=0)
WHOLE=(data=class_folders data.root=pictures 'data.classes=[egyptian,islam,asian]'
    data.image_size=32 data.batch_size=8 "${EXACT[@]}")
PICTURES=("${WHOLE[@]}" data.split.test=0.25)
VIT=(model=vit model.width=8 model.depth=2 model.heads=2 model.mlp_ratio=2 model.patch_size=8 optimizer.lr=0.05)

# ---------------------------------------------------------------- 5: curated data, whole and interrupted

CURATE=(raw=class_folders raw.root=raw cleaning.min_side=24 duplicates.near=drop resize.size=32
    split.test=0.2 pack=true workers=1 '+raw.values={licence: CC0-1.0}')
mkdir -p outputs/data/curated
cat > outputs/data/curated/overrides.csv <<'EOF'
file,decision,class,sha256,note
egyptian/03.jpg,drop,,,a mould
islam/02.jpg,relabel,asian,,porcelain
asian/blank.png,keep,,,it is meant to be so
egyptian/05.jpg,drop,,ffffffffffff,another photograph was meant
EOF
heritage curate "${CURATE[@]}" name=curated > curate.log 2>&1
stopped 2 curate SIGINT 1 "${CURATE[@]}" name=half overrides=outputs/data/curated/overrides.csv

# ---------------------------------------------------------------- 1: a network of timm, on curated, packed data

heritage train model=timm model.name=test_efficientnet model.weights=weights/start.safetensors finetune=head \
    data=folder data.root=outputs/data/curated 'data.classes=[egyptian,islam,asian]' data.image_size=32 \
    data.batch_size=8 "${EXACT[@]}" balance=oversample trainer.max_epochs=3 optimizer.lr=0.01 \
    hydra.run.dir=outputs/train/2024-01-01/01-00-00_timm

# ---------------------------------------------------------------- 2: our own, with nearly every option

heritage train "${VIT[@]}" model.layer_scale=0.1 model.dropout=0.1 "${PICTURES[@]}" 'callbacks=[ema,early_stopping]' \
    balance=ldam_drw augment=standard augment/mix=both finetune=gradual scheduler=one_cycle \
    trainer.max_epochs=4 trainer.accumulate_grad_batches=2 'logger=[csv,tensorboard]' \
    hydra.run.dir=outputs/train/2024-01-01/02-00-00_vit
heritage train model=vit_thesis model.width=8 model.depth=1 model.heads=2 model.key_size=4 'model.dense_sizes=[8,8]' \
    "${PICTURES[@]}" augment=thesis balance/sampling=undersample balance/weighting=inverse balance/loss=focal \
    optimizer=adam scheduler=plateau finetune=last_n finetune.n=2 callbacks=early_stopping data/split=image \
    trainer.max_epochs=2 hydra.run.dir=outputs/train/2024-01-01/03-00-00_vit_thesis

# ---------------------------------------------------------------- 3: interrupted in mid-epoch, and what was to come out

GOES_ON=("${VIT[@]}" "${PICTURES[@]}" callbacks=ema augment/mix=cutmix model.dropout=0.1 balance=progressive
    balance.sampling.epochs=3 trainer.max_epochs=4)
heritage train "${GOES_ON[@]}" hydra.run.dir=outputs/train/2024-01-02/00-00-00_interrupted
mkdir -p expected
mv outputs/train/2024-01-02/00-00-00_interrupted expected/interrupted
stopped 2 train SIGTERM 2 1 interrupted "${GOES_ON[@]}" hydra.run.dir=outputs/train/2024-01-02/00-00-00_interrupted

# the same, killed before the first epoch's end and after a checkpoint within it; its run folder may move
EARLY=("${GOES_ON[@]}" paths.run=outputs/early)
heritage train "${EARLY[@]}" hydra.run.dir=outputs/early
mv outputs/early expected/early
stopped 2 train SIGINT 0 1 early "${EARLY[@]}" hydra.run.dir=outputs/early

# ---------------------------------------------------------------- 4: sweeps

SWEEP=(-m "${VIT[@]}" "${PICTURES[@]}" trainer.max_epochs=3 seed=0,1,2)
heritage train "${SWEEP[@]}"
mv outputs/sweeps expected/sweeps
stopped 137 train SIGKILL 1 1 seed=1 "${SWEEP[@]}"

COMPARED=(-m "${VIT[@]}" model.depth=1 trainer.max_epochs=3)
heritage train "${COMPARED[@]}" "${PICTURES[@]}" balance=none,weights seed=0,1
heritage train "${COMPARED[@]}" "${WHOLE[@]}" balance=none,weights data/split=kfold data.split.folds=2 data.split.fold=0,1
SEEDS=$(basename outputs/sweeps/balance_seed-*) FOLDS=$(basename outputs/sweeps/balance_fold-*)
heritage compare "runs=outputs/sweeps/$SEEDS" intervals.resamples=200 hydra.run.dir=expected/compare_seeds
heritage compare "runs=outputs/sweeps/$FOLDS" intervals.resamples=200 hydra.run.dir=expected/compare_folds

# ---------------------------------------------------------------- 6: a collection

COLLECT=(source=demo source.images=60 source.picture_size=40 source.concurrency=1 min_side=32 limit=3)
heritage collect "${COLLECT[@]}" paths.outputs=expected > expected/collect.log 2>&1
stopped 137 collect SIGKILL 2 "${COLLECT[@]}" > collect.log 2>&1

# ---------------------------------------------------------------- 7: answers

RUN=outputs/train/2024-01-01/02-00-00_vit
PREDICT=("ckpt=$RUN" input=asked.txt num_workers=0 device=cpu)
heritage predict "${PREDICT[@]}" out=expected/answers.csv
stopped 137 predict SIGKILL 2 "${PREDICT[@]}" out=answers.csv

# ---------------------------------------------------------------- 8: evaluations and exports

for name in 01-00-00_timm 02-00-00_vit; do
    heritage evaluate "ckpt=outputs/train/2024-01-01/$name" device=cpu data.num_workers=0 report.resamples=100 \
        "hydra.run.dir=outputs/evaluate/$name"
done
heritage export ckpt=outputs/train/2024-01-01/01-00-00_timm format=safetensors out=outputs/export/timm licence=CC0-1.0
heritage export ckpt="$RUN" format=torch_export out=outputs/export/vit licence=CC0-1.0
heritage predict ckpt=outputs/train/2024-01-01/01-00-00_timm input=pictures num_workers=0 device=cpu tta=flip \
    out=expected/answers_timm.parquet
heritage predict "ckpt=$RUN" input=pictures num_workers=0 device=cpu out=expected/answers_vit.parquet embeddings=true
heritage predict ckpt=outputs/train/2024-01-01/03-00-00_vit_thesis input=pictures num_workers=0 device=cpu \
    out=expected/answers_vit_thesis.parquet

# the curation and the predictions that were interrupted, as they end when nothing interrupts them
heritage curate "${CURATE[@]}" name=half overrides=outputs/data/curated/overrides.csv out=expected/half \
    > expected/half.log 2>&1

# ---------------------------------------------------------------- what a test compares with

find . -name '*.ckpt' | LC_ALL=C sort | xargs "$PYTHON" tools/digests.py > expected/digests.json
"$PYTHON" - > expected/torch.json <<'EOF'
import json, platform, torch, numpy, cv2, timm
print(json.dumps({"torch": torch.__version__, "numpy": numpy.__version__, "cv2": cv2.__version__,
    "timm": timm.__version__, "machine": platform.machine(), "processor": next(
    (l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "")}, indent=2))
EOF

# Pictures and pages are large, and nothing reads them again; nor the networks of runs that are compared.
find outputs expected \( -name '*.png' -o -name '*.html' \) -delete
find outputs/sweeps/balance_* -name '*.ckpt' -not -path '*/balance=none,seed=0/*' -delete
rm -rf expected/half/images expected/half/packed expected/half/.curation expected/collections/demo/images
find expected -name '*.ckpt' -delete
find expected -type d -empty -delete

# Whole seconds, the same for all: the curation and the predictions know their pictures by it.
tar --format=posix --pax-option=delete=atime,delete=ctime --sort=name --mtime=@1700000000 \
    --owner=0 --group=0 --numeric-owner -C "$ROOT" -cf - . | xz -9e > "$ARCHIVE"
ls -l "$ARCHIVE"
