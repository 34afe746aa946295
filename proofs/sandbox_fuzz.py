"""Every face of the sandbox asked whatever its own description allows, and more: no answer but those it describes.

python -m proofs.sandbox_fuzz [examples for each operation] [seed]
"""

from __future__ import annotations

import sys

from tests.sandbox_around.fuzz import FACES, search

EXAMPLES = 60
SEED = 1


def main(argv: list[str]) -> int:
    examples, number = (int(argv[at]) if len(argv) > at else usual for at, usual in ((0, EXAMPLES), (1, SEED)))
    wrong = 0
    for face in FACES:
        found = search(face, examples, number)
        statuses = ", ".join(f"{status}: {count}" for status, count in sorted(found.answered.items()))
        reached = f"{len(found.good) - len(found.never)} of {len(found.good)} operations did what they are for"
        sys.stdout.write(f"{face:<14}{found.cases:>7} calls, {len(found.wrong)} wrong, {reached} ({statuses})\n")
        for name in found.never:
            sys.stdout.write(f"  never: {name}\n")
        for told in found.wrong[:10]:
            sys.stdout.write(f"  {told}\n")
        sys.stdout.flush()
        wrong += len(found.wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
