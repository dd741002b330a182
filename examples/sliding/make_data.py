"""Writes crops.npz, windows of 20x20 to learn from, and streets/, pictures with digits somewhere, and where they are.

    python examples/sliding/make_data.py

The digits are those that come with graphdsl, 32 or 48 pixels high, on grounds of grey with lines and blots. Crops are
cut from pictures of half the size with digits to learn from; streets have digits that no crop shows.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import graphdsl.data

TARGET = Path("sliding")
HEIGHT, WIDTH = 192, 256
WINDOW = 20
SMALLER = 2
"""Crops are cut from pictures that are so much smaller: windows are 40 or 60 pixels of a street."""
SIZES = (32, 48)
"""How high digits are: for the smaller windows and for the larger ones."""
NOTHING = 10
NEAR = 2
"""A crop shows a digit whose middle is at most so many pixels from its own."""
BETWEEN = 5
"""A crop shows none where no digit's middle is as near as that; what lies between is not learned from."""


def digits(part: str) -> list[tuple[Image.Image, int]]:
    """Pictures of 8x8 and what they show."""
    found = graphdsl.data.READERS["digits"].make(part=part).read(None)
    images = (found.columns["image"].values[..., 0] * 255).astype(np.uint8)
    return list(zip(map(Image.fromarray, images), found.columns["label"].values.tolist(), strict=True))


def ground(chance: np.random.Generator) -> Image.Image:
    """A picture without digits."""
    slope = np.linspace(0, chance.uniform(-50, 50), WIDTH) + np.linspace(0, chance.uniform(-50, 50), HEIGHT)[:, None]
    grey = slope + chance.uniform(30, 90) + chance.normal(0, 6, (HEIGHT, WIDTH))
    picture = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    for _ in range(chance.integers(3, 9)):
        corners = chance.uniform(0, [WIDTH, HEIGHT, WIDTH, HEIGHT]).tolist()
        pen.line(corners, fill=int(chance.integers(90, 220)), width=int(chance.integers(2, 7)))
        x, y, r = corners[0], corners[3], chance.uniform(2, 8)
        pen.ellipse((x - r, y - r, x + r, y + r), fill=int(chance.integers(90, 255)))
    return picture


def street(known: list, chance: np.random.Generator) -> tuple[Image.Image, list[tuple[int, int, int, int]]]:
    """A picture, and left, top, size and value of the digits in it, which stand apart."""
    picture, placed = ground(chance), []
    for _ in range(chance.integers(3, 9)):
        size = int(chance.choice(SIZES))
        left, top = (int(chance.integers(6, side - size - 6)) for side in (WIDTH, HEIGHT))
        if any(abs(left - x) < max(size, s) + 6 and abs(top - y) < max(size, s) + 6 for x, y, s, _ in placed):
            continue
        image, value = known[chance.integers(len(known))]
        ink = image.resize((size, size), Image.Resampling.BICUBIC)
        picture.paste(int(chance.integers(170, 256)), (left, top), ink)
        placed.append((left, top, size, value))
    return picture, placed


def crops_of(known: list, chance: np.random.Generator, pictures: int) -> tuple[list, list]:
    """Windows with a digit of the smaller size in their middle, and as many with none there."""
    crops, labels = [], []
    for _ in range(pictures):
        picture, placed = street(known, chance)
        grey = np.asarray(picture.resize((WIDTH // SMALLER, HEIGHT // SMALLER), Image.Resampling.BILINEAR))
        middles = [((x + s / 2) / SMALLER, (y + s / 2) / SMALLER, s // SMALLER, v) for x, y, s, v in placed]
        wanted = [(mx, my, v) for mx, my, s, v in middles if s == SIZES[0] // SMALLER]
        for mx, my, v in [w for w in wanted for _ in range(3)]:
            add(grey, mx + chance.integers(-NEAR, NEAR + 1), my + chance.integers(-NEAR, NEAR + 1), v, crops, labels)
        for x, y in chance.uniform(0, (WIDTH // SMALLER, HEIGHT // SMALLER), (6, 2)):
            if all(max(abs(x - mx), abs(y - my)) >= BETWEEN for mx, my, _ in wanted):
                add(grey, x, y, NOTHING, crops, labels)
        for mx, my, s, _ in middles:
            x, y = mx + chance.integers(-s, s + 1), my + chance.integers(-s, s + 1)
            if all(max(abs(x - nx), abs(y - ny)) >= BETWEEN for nx, ny, _ in wanted):
                add(grey, x, y, NOTHING, crops, labels)
    return crops, labels


def add(grey: np.ndarray, x: float, y: float, label: int, crops: list, labels: list) -> None:
    """The window around a place, where it fits."""
    left, top = int(x) - WINDOW // 2, int(y) - WINDOW // 2
    if 0 <= left <= grey.shape[1] - WINDOW and 0 <= top <= grey.shape[0] - WINDOW:
        crops.append(grey[top : top + WINDOW, left : left + WINDOW, None])
        labels.append(label)


def main(folder: Path = TARGET, pictures: int = 2500, streets: int = 60) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(0)
    crops, labels = crops_of(digits("train"), chance, pictures)
    np.savez(folder / "crops.npz", image=np.stack(crops), digit=np.array(labels))
    rows = ["image,left,top,right,bottom,label"]
    for number in range(streets):
        picture, placed = street(digits("test"), chance)
        picture.save(folder / f"street_{number:02}.png")
        rows += [f"street_{number:02}.png,{x},{y},{x + s},{y + s},{v}" for x, y, s, v in placed]
    (folder / "streets.csv").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
