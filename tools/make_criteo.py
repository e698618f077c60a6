#!/usr/bin/env python3
"""Makes rows in Criteo's format, of which a model can learn: synthetic data, by a seed.

    tools/make_criteo.py FILE [ROWS] [SEED]

Each row has a label, 13 counts and 26 categories between tabs; some are empty, as in Criteo's own
files. Words are drawn by Zipf's law; the label's chance comes of the words, of pairs of them, and of
two of the counts.
"""

import bisect
import math
import random
import sys

NUMBERS = 13
CATEGORIES = 26
PAIRS = ((0, 1), (2, 3), (4, 5))  # Categories that mean something together.


def zipf(words):
    """The running sums of how often each of so many words comes."""
    total, sums = 0.0, []
    for word in range(words):
        total += 1 / (word + 1)
        sums.append(total)
    return sums


def main(path, rows=100_000, seed=1):
    chance = random.Random(seed)
    tables = [zipf(20 * 2 ** (column % 8)) for column in range(CATEGORIES)]
    weights = [[chance.gauss(0, 0.5) for _ in table] for table in tables]
    traits = [[chance.choice((-1, 1)) for _ in table] for table in tables]
    with open(path, "w", encoding="ascii") as file:
        for _ in range(rows):
            words = [bisect.bisect(table, chance.random() * table[-1]) for table in tables]
            counts = [int(chance.expovariate(0.1)) for _ in range(NUMBERS)]
            score = -1.0 + sum(weights[i][word] for i, word in enumerate(words))
            score += sum(traits[a][words[a]] * traits[b][words[b]] for a, b in PAIRS)
            score += 0.5 * math.log1p(counts[0]) - 0.5 * math.log1p(counts[1])
            label = int(chance.random() < 1 / (1 + math.exp(-score)))
            numbers = ["" if chance.random() < 0.1 and i > 1 else str(count)
                       for i, count in enumerate(counts)]
            names = [f"{(i << 24) + word:08x}" for i, word in enumerate(words)]
            file.write("\t".join([str(label), *numbers, *names]) + "\n")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], *(int(argument) for argument in sys.argv[2:4]))
