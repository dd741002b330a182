"""Writes pictures/: 64×64 drawings of circles, crosses, squares and triangles, a folder for each."""

import random
from pathlib import Path

from PIL import Image, ImageDraw

TARGET = Path(__file__).with_name("pictures")
EACH = 150
SIDE = 64


def draw(shape: str, chance: random.Random) -> Image.Image:
    """One shape of random place, size and colour on a background of another colour."""
    ground = tuple(chance.randrange(0, 110) for _ in range(3))
    ink = tuple(chance.randrange(140, 256) for _ in range(3))
    picture = Image.new("RGB", (SIDE, SIDE), ground)
    pen = ImageDraw.Draw(picture)
    r = chance.randint(10, 22)
    x, y = chance.randint(r, SIDE - r), chance.randint(r, SIDE - r)
    if shape == "circle":
        pen.ellipse((x - r, y - r, x + r, y + r), fill=ink)
    elif shape == "square":
        pen.rectangle((x - r, y - r, x + r, y + r), fill=ink)
    elif shape == "triangle":
        pen.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=ink)
    else:
        pen.line((x - r, y - r, x + r, y + r), fill=ink, width=7)
        pen.line((x - r, y + r, x + r, y - r), fill=ink, width=7)
    return picture


def main(folder: Path = TARGET, each: int = EACH) -> None:
    chance = random.Random(0)
    for shape in ("circle", "cross", "square", "triangle"):
        (folder / shape).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            draw(shape, chance).save(folder / shape / f"{number:03}.png")


if __name__ == "__main__":
    main()
