"""Writes data/: 192×192 drawings of a street with a pedestrian, a car, a bicycle or nothing on it, and places.csv."""

import random
from pathlib import Path

from PIL import Image, ImageDraw

TARGET = Path(__file__).with_name("data")
COUNT = 2000
SIDE = 192
KINDS = ("pedestrian", "car", "bicycle")
SHAPES = {"pedestrian": (0.3, 0.5, 45, 132), "car": (1.6, 2.2, 36, 66), "bicycle": (1.3, 1.6, 42, 84)}
"""Width by height, from and to; then the height in pixels."""


def street(chance: random.Random) -> Image.Image:
    """Sky, houses and road, in any colours."""
    picture = Image.new("RGB", (SIDE, SIDE), colour(chance))
    pen = ImageDraw.Draw(picture)
    for _ in range(3):
        left, top = chance.randrange(-30, SIDE), chance.randrange(15, 90)
        pen.rectangle((left, top, left + chance.randrange(30, 90), 120), fill=colour(chance))
    pen.rectangle((0, chance.randrange(96, 132), SIDE, SIDE), fill=colour(chance))
    return picture


def colour(chance: random.Random) -> tuple[int, ...]:
    return tuple(chance.randrange(40, 216) for _ in range(3))


def put(picture: Image.Image, kind: str, chance: random.Random) -> list[float]:
    """Draws one thing: its centre x, centre y, width and height as fractions of the picture."""
    low, high, least, most = SHAPES[kind]
    height = chance.randint(least, most)
    width = min(SIDE - 12, round(height * chance.uniform(low, high)))
    left, top = chance.randint(1, SIDE - 2 - width), chance.randint(1, SIDE - 2 - height)
    right, bottom, pen = left + width, top + height, ImageDraw.Draw(picture)
    ink, dark = colour(chance), (15, 15, 15)
    if kind == "pedestrian":
        head, middle = height // 5, (left + right) / 2
        pen.ellipse((middle - head / 2, top, middle + head / 2, top + head), fill=(225, 180, 150))
        pen.rectangle((left, top + head, right, top + height * 0.6), fill=ink)
        for side in (left, right - width // 3):
            pen.rectangle((side, top + height * 0.6, side + width // 3, bottom), fill=dark)
    elif kind == "car":
        wheel = height // 3
        pen.rectangle((left + width // 5, top, right - width // 4, top + height // 2), fill=ink)
        pen.rectangle((left, top + height // 3, right, bottom - wheel // 2), fill=ink)
        for x in (left + width // 8, right - width // 8 - wheel):
            pen.ellipse((x, bottom - wheel, x + wheel, bottom), fill=dark)
    else:
        wheel, line = round(min(width * 0.45, height * 0.65)), max(1, height // 12)
        for x in (left, right - wheel):
            pen.ellipse((x, bottom - wheel, x + wheel, bottom), outline=dark, width=line)
        frame = [(left + wheel / 2, bottom - wheel / 2), ((left + right) / 2, top + height * 0.3)]
        pen.line([*frame, (right - wheel / 2, bottom - wheel / 2)], fill=ink, width=line)
        pen.line([((left + right) / 2 - 9, top), (right - wheel / 2, bottom - wheel / 2)], fill=ink, width=line)
        pen.line([(left, top), ((left + right) / 2, top)], fill=dark, width=line)
    return [(left + right) / 2 / SIDE, (top + bottom) / 2 / SIDE, width / SIDE, height / SIDE]


def main(folder: Path = TARGET, count: int = COUNT) -> None:
    """Every fourth picture has nothing on it: `0 ? ? ? ? ? ? ?`."""
    chance = random.Random(0)
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    rows = ["picture,place"]
    for number in range(count):
        picture, kind = street(chance), number % 4
        place = put(picture, KINDS[kind], chance) if kind < len(KINDS) else []
        classes = [str(int(name == KINDS[kind])) for name in KINDS] if place else ["?"] * len(KINDS)
        box = [f"{value:.4f}" for value in place] or ["?"] * 4
        picture.save(folder / "pictures" / f"{number:04}.png")
        rows.append(f"pictures/{number:04}.png,{' '.join([str(int(bool(place))), *box, *classes])}")
    (folder / "places.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
