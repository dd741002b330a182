"""Writes strings/train and strings/test: recordings of single digits joined to strings of three to six by one speaker.

    python examples/digit_strings/make_data.py recordings

The recordings are those of the free spoken digit dataset, `7_jackson_32.wav`. As there, numbers 0 to 4 of each digit
and speaker are for tests: test strings are made of them alone, training strings of the others. What is said is the
beginning of a string's name: `3072_jackson_0017.wav`.
"""

import random
import sys
import wave
from collections import defaultdict
from pathlib import Path

TARGET = Path("strings")
TRAIN, TEST = 1800, 300
LEARNED = range(5, 15)
"""Numbers of the recordings that training strings are made of: those of the figures in README.md. To 50: all."""
LENGTHS = range(3, 7)
LONGEST_PAUSE = 0.15
"""Seconds of silence between two digits, at most."""

Speakers = dict[str, dict[str, list[bytes]]]
"""By speaker and digit: samples of two bytes."""


def read(folder: Path, numbers: range) -> Speakers:
    """The recordings of these numbers."""
    found: Speakers = defaultdict(lambda: defaultdict(list))
    for path in sorted(folder.glob("*.wav")):
        digit, speaker, number = path.stem.split("_")
        if int(number) in numbers:
            with wave.open(str(path)) as file:
                assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (8000, 2, 1), path
                found[speaker][digit].append(file.readframes(file.getnframes()))
    return found


def write(speakers: Speakers, folder: Path, count: int, chance: random.Random) -> None:
    """So many strings of digits chosen at random."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        speaker = chance.choice(sorted(speakers))
        digits = chance.choices(sorted(speakers[speaker]), k=chance.choice(LENGTHS))
        sound = b""
        for digit in digits:
            pause = chance.randrange(int(8000 * LONGEST_PAUSE))
            sound += chance.choice(speakers[speaker][digit]) + bytes(2 * pause)
        with wave.open(str(folder / f"{''.join(digits)}_{speaker}_{number:04}.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(sound)


def main(recordings: Path, target: Path = TARGET, train: int = TRAIN, test: int = TEST) -> None:
    chance = random.Random(0)
    write(read(recordings, LEARNED), target / "train", train, chance)
    write(read(recordings, range(5)), target / "test", test, chance)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
