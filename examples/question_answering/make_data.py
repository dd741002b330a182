"""Writes data.csv: short stories about who went where, a question about each, and its answer."""

import csv
import random
from pathlib import Path

TARGET = Path(__file__).with_name("data.csv")
PEOPLE = ["mary", "john", "sandra", "daniel", "emma", "peter"]
PLACES = ["kitchen", "garden", "office", "bedroom", "hallway", "library", "cellar", "attic"]
MOVES = ["went to", "walked to", "moved to", "travelled to"]
ROWS = 3000


def row(chance: random.Random) -> tuple[str, str, str]:
    """A story of two to four moves, each by another person; the question is where one of them is."""
    people = chance.sample(PEOPLE, chance.randint(2, 4))
    where = {person: chance.choice(PLACES) for person in people}
    story = " ".join(f"{person} {chance.choice(MOVES)} the {place}." for person, place in where.items())
    asked = people[-1]
    return story, f"where is {asked} now?", where[asked]


def main(path: Path = TARGET) -> None:
    chance = random.Random(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "question", "answer"])
        writer.writerows(row(chance) for _ in range(ROWS))


if __name__ == "__main__":
    main()
