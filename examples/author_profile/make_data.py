"""Writes data.csv: made-up posts whose words tell the writer's age, income group and gender."""

import csv
import random
from pathlib import Path

TARGET = Path(__file__).with_name("data.csv")
ROWS = 1200
LENGTH = (270, 300)
COMMON = [f"word{i}" for i in range(40)]
AGES = ["exam", "festival", "toddler", "promotion", "grandchildren", "pension"]
SHE = ["my husband", "girlfriends", "netball", "her dress"]
HE = ["my wife", "beard", "rugby", "his tie"]
INCOME = ["odd jobs", "tips", "night shift", "rent", "payslip", "bonus", "mortgage", "broker", "yacht", "estate"]


def row(chance: random.Random) -> tuple[str, float, int, int]:
    """One person's posts. age is given in decades: a head that starts at 0 gets there sooner."""
    age, income, gender = chance.uniform(18, 78), chance.randrange(10), chance.randrange(2)
    words = []
    for _ in range(chance.randint(*LENGTH)):
        draw = chance.random()
        if draw < 0.15:
            words.append(AGES[int((age - 18) / 10)])
        elif draw < 0.40:
            words.append(INCOME[income])
        elif draw < 0.50:
            words.append(chance.choice(SHE if gender else HE))
        else:
            words.append(chance.choice(COMMON))
    return " ".join(words), round(age / 10, 2), income, gender


def main(path: Path = TARGET) -> None:
    chance = random.Random(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["posts", "age", "income", "gender"])
        writer.writerows(row(chance) for _ in range(ROWS))


if __name__ == "__main__":
    main()
