"""Pictures of rectangles with boxes around them, in the layout of Pascal VOC, and a detector of a few weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 48, 64
COLOURS = {"cat": (255, 40, 40), "dog": (40, 255, 40)}

DETECTOR = """# Rectangles of two colours
input  image: float[48, 64, 3]
target things: box(2)[6]

head = image -> conv(8, 3, stride=2, pad=same) -> relu -> conv(16, 3, stride=2, pad=same) -> relu
  -> conv(16, 3, stride=2, pad=same) -> batch_norm -> relu -> detect(2, anchors=[12x12, 24x18])
output found = head -> nms(score=0.01, iou=0.45)

train {
  data      = voc("scenes", part="train", batch=8)
  valid     = voc("scenes", part="val")
  augment   = [image, things] -> flip -> zoom(0.2)
  loss      = [head, things] -> detection
  metrics   = [found, things] -> mean_average_precision
  optimizer = adam(lr=cosine(0.005))
  epochs    = 10
}
"""


def scenes(folder: Path, **parts: int) -> Path:
    """Writes so many pictures of each part, and the lists of the parts, into folder / scenes."""
    root, random = folder / "scenes", np.random.default_rng(0)
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for part, count in parts.items():
        names = [f"{part}_{k}" for k in range(count)]
        for name in names:
            _scene(root, name, random)
        (root / "ImageSets" / "Main" / f"{part}.txt").write_text("\n".join(names) + "\n")
    return root


def _scene(root: Path, name: str, random: np.random.Generator) -> None:
    pixels, marked = np.full((HEIGHT, WIDTH, 3), 90, np.uint8), []
    for label in random.choice(list(COLOURS), random.integers(1, 4)):
        high, wide = (int(size) for size in random.integers(8, 24, 2))
        top, left = int(random.integers(0, HEIGHT - high)), int(random.integers(0, WIDTH - wide))
        pixels[top : top + high, left : left + wide] = COLOURS[label]
        marked.append((label, left, top, left + wide, top + high))
    Image.fromarray(pixels).save(root / "JPEGImages" / f"{name}.png")
    objects = "\n".join(
        f"<object>\n<name>{label}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox>\n"
        "</object>"
        for label, a, b, c, d in marked
    )
    text = f"<annotation>\n<filename>{name}.png</filename>\n{objects}\n</annotation>\n"
    (root / "Annotations" / f"{name}.xml").write_text(text)
