"""Writes made-up adverts of houses: rows.csv, and two photographs of each in `photos`.

Area, place, rooms (some are not told), one word of the text and how light both photographs are decide the price.
"""

import csv
import random
import sys
from pathlib import Path

from PIL import Image

ROWS = 400
PLACES = {"north": 1.0, "south": 2.0, "east": 0.5}
TEXTS = ["a {} house with a garden", "near the station , {} and quiet", "{} roof , large windows"]


def paint(path: Path, level: int, chance: random.Random) -> None:
    """A photograph of one grey, with a few dark stains."""
    picture = Image.new("RGB", (24, 20), (level, level, level))
    for _ in range(4):
        picture.putpixel((chance.randrange(24), chance.randrange(20)), (0, 0, 0))
    picture.save(path)


def main(folder: Path, rows: int = ROWS) -> Path:
    chance = random.Random(0)
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "rooms", "area", "place", "note", "price"])
        for i in range(rows):
            rooms, area, place = chance.randint(1, 6), chance.uniform(20, 400), chance.choice(list(PLACES))
            word, light = chance.choice(["new", "old"]), [chance.randrange(256) for _ in range(2)]
            for side, level in zip(("front", "back"), light, strict=True):
                paint(folder / f"photos/h{i}_{side}.png", level, chance)
            price = area * PLACES[place] * (1 + rooms / 4) * (2 if word == "new" else 1) * (1 + sum(light) / 510)
            told = "" if i % 12 == 0 else rooms
            writer.writerow([f"h{i}", told, round(area, 1), place, chance.choice(TEXTS).format(word), round(price)])
    return folder / "rows.csv"


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "adverts"))
