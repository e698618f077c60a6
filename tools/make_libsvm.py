#!/usr/bin/env python3
"""Makes rows in libsvm's format, of which a model can learn: synthetic data, by a seed.

    tools/make_libsvm.py FILE [ROWS] [IDS] [SEED]

A row is a text of some twenty words of a class: "CLASS ID:NUMBER ...", with the logarithm of how
often a word comes. Words are drawn by Zipf's law, one in three from those of the class.
"""

import collections
import math
import random
import sys

CLASSES = 4


def main(path, rows=40_000, ids=100_000, seed=1):
    chance = random.Random(seed)

    def word():
        return int(ids ** chance.random())

    order = [chance.sample(range(1, ids + 1), ids) for _ in range(CLASSES)]
    with open(path, "w", encoding="ascii") as file:
        for _ in range(rows):
            label = chance.randrange(CLASSES)
            words = [order[label][word() - 1] if chance.random() < 1 / 3 else word()
                     for _ in range(10 + chance.randrange(20))]
            counts = sorted(collections.Counter(words).items())
            numbers = " ".join(f"{id}:{1 + math.log(count):.4g}" for id, count in counts)
            file.write(f"{label} {numbers}\n")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], *(int(argument) for argument in sys.argv[2:5]))
