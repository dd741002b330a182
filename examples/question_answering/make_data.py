"""Writes data.csv and test.csv: stories about one person, a question about each, and its answer.

After task 1 of bAbI, "single supporting fact" (Weston et al. 2015, arXiv 1502.05698): one sentence of the story holds
the answer, the others are of other things or were true before. No story of the test stands among the others.
"""

import csv
import random
from pathlib import Path

TARGET = Path(__file__).with_name("data.csv")
PEOPLE = ["mary", "john", "sandra", "daniel"]
FACTS = {
    "where is {}?": (
        ["{} went to the {}.", "{} moved to the {}.", "{} journeyed to the {}."],
        ["kitchen", "garden", "office", "bedroom", "hallway", "bathroom"],
    ),
    "what is {} carrying?": (
        ["{} picked up the {}.", "{} took the {}.", "{} got the {} there."],
        ["football", "apple", "milk", "book", "lamp", "key"],
    ),
    "how is {}?": (["{} is {}.", "{} became {}."], ["hungry", "thirsty", "tired", "bored", "happy"]),
    "whom did {} meet?": (["{} met {}.", "{} talked to {}."], ["bill", "fred", "julie", "emily", "jeff"]),
}
ROWS = 20_000
TEST_ROWS = 2_000

Row = tuple[str, str, str]


def row(chance: random.Random) -> Row:
    """A story of four to ten sentences. What was told last of a kind is true; the question is about one kind."""
    person = chance.choice(PEOPLE)
    kinds = [*FACTS, *chance.choices(list(FACTS), k=chance.randint(0, 6))]
    chance.shuffle(kinds)
    told = [(kind, chance.choice(FACTS[kind][1])) for kind in kinds]
    story = " ".join(chance.choice(FACTS[kind][0]).format(person, what) for kind, what in told)
    asked = chance.choice(list(FACTS))
    return story, asked.format(person), dict(told)[asked]


def write(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "question", "answer"), *rows])


def main(path: Path = TARGET, rows: int = ROWS, test_rows: int = TEST_ROWS) -> None:
    chance = random.Random(0)
    every = list(dict.fromkeys(row(chance) for _ in range(rows + test_rows)))
    write(path, every[test_rows:])
    write(path.with_name("test.csv"), every[:test_rows])


if __name__ == "__main__":
    main()
