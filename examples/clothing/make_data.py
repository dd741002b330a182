"""Writes clothing.csv: of each photograph its file, its class and whether it shows clothes of children.

Reads images.csv of the clothing dataset, which lies beside its folder `images`, and keeps the ten classes that have
most photographs.
"""

import csv
import sys
from collections import Counter
from pathlib import Path

CLASSES = 10
NONE = {"Not sure", "Skip", "Other"}


def main(folder: Path) -> Path:
    with (folder / "images.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] not in NONE]
    classes = {name for name, _ in Counter(row["label"] for row in rows).most_common(CLASSES)}
    with (folder / "clothing.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "label", "kids"])
        kept = [row for row in rows if row["label"] in classes]
        writer.writerows((f"images/{row['image']}.jpg", row["label"], row["kids"].lower()) for row in kept)
    return folder / "clothing.csv"


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "clothing"))
