"""Writes data.csv: made-up posts whose words tell the writer's age, income group and gender."""

import csv
import random
from pathlib import Path

ROWS = 600
LENGTH = (300, 340)
COMMON = [f"word{i}" for i in range(400)]
YOUNG = ["exam", "festival", "skateboard", "roommate", "meme"]
OLD = ["pension", "grandchildren", "orchard", "retirement", "crossword"]
SHE = ["my husband", "girlfriends", "netball", "her dress"]
HE = ["my wife", "beard", "rugby", "his tie"]
INCOME = [[f"income{group}{c}" for c in "abc"] for group in range(10)]


def row(chance: random.Random) -> tuple[str, float, int, int]:
    """One person's posts. age is given in decades: a head that starts at 0 gets there sooner."""
    age, income, gender = chance.uniform(18, 78), chance.randrange(10), chance.randrange(2)
    words = []
    for _ in range(chance.randint(*LENGTH)):
        draw = chance.random()
        if draw < 0.10:
            words.append(chance.choice(OLD if chance.random() < (age - 18) / 60 else YOUNG))
        elif draw < 0.20:
            words.append(chance.choice(INCOME[income]))
        elif draw < 0.28:
            words.append(chance.choice(SHE if gender else HE))
        else:
            words.append(chance.choice(COMMON))
    return " ".join(words), round(age / 10, 2), income, gender


def main() -> None:
    chance = random.Random(0)
    with open(Path(__file__).with_name("data.csv"), "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["posts", "age", "income", "gender"])
        writer.writerows(row(chance) for _ in range(ROWS))


if __name__ == "__main__":
    main()
