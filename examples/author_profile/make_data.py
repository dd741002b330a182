"""Writes data.csv and test.csv: made-up posts whose words tell the writer's age, income group and gender; and says how
far one could get on test.csv with one answer for everybody.
"""

import csv
import random
from collections import Counter
from pathlib import Path
from statistics import fmean, median

TARGET = Path(__file__).with_name("data.csv")
ROWS = 1200
TEST_ROWS = 400
LENGTH = (270, 300)
COMMON = [f"word{i}" for i in range(40)]
AGES = ["exam", "festival", "toddler", "promotion", "grandchildren", "pension"]
SHE = ["my husband", "girlfriends", "netball", "her dress"]
HE = ["my wife", "beard", "rugby", "his tie"]
INCOME = ["odd jobs", "tips", "night shift", "rent", "payslip", "bonus", "mortgage", "broker", "yacht", "estate"]


Row = tuple[str, float, int, int]


def row(chance: random.Random) -> Row:
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


def write(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("posts", "age", "income", "gender"), *rows])


def blind(rows: list[Row]) -> dict[str, float]:
    """The best that one answer for everybody could give: the mean error of the age, and shares that are right."""
    middle = median(row[1] for row in rows)
    income, gender = (Counter(row[i] for row in rows).most_common(1)[0][1] / len(rows) for i in (2, 3))
    return {"age": fmean(abs(row[1] - middle) for row in rows), "income": income, "gender": gender}


def main(path: Path = TARGET, count: int = ROWS, test_count: int = TEST_ROWS) -> dict[str, float]:
    chance = random.Random(0)
    rows, test = ([row(chance) for _ in range(n)] for n in (count, test_count))
    write(path, rows)
    write(path.with_name("test.csv"), test)
    return blind(test)


if __name__ == "__main__":
    found = main()
    print(f"one answer for everybody: age off by {found['age']:.2f} decades,", end=" ")
    print(f"income right {found['income']:.1%}, gender {found['gender']:.1%}")
