"""The demonstration over several worlds, each twice: every check holds, and one seed gives one story.

`python -m proofs.worlds [SEED …]`; by default seeds 1 to 5.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

DURATIONS = ("seconds", "took", "duration")


def main(seeds: list[int]) -> int:
    wrong = 0
    for seed in seeds:
        one, two = _story(seed), _story(seed)
        failed = [check["name"] for story in (one, two) for check in story["checks"] if not check["ok"]]
        same = _timeless(one) == _timeless(two)
        wrong += bool(failed) or not same
        sys.stdout.write(
            f"seed {seed}: {len(one['checks'])} checks, failed {failed or 'none'}, twice the same: {same}\n"
        )
    return 1 if wrong else 0


def _story(seed: int) -> dict[str, Any]:
    argv = [sys.executable, "-m", "mailfleet.cli", "demo", "--json", "--seed", str(seed)]
    return json.loads(subprocess.run(argv, stdout=subprocess.PIPE, check=False).stdout)


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _timeless(each) for name, each in value.items() if name not in DURATIONS}
    return [_timeless(each) for each in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main([int(seed) for seed in sys.argv[1:]] or [1, 2, 3, 4, 5]))
