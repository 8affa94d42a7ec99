"""The table of an evaluation whose runs are seeds of arms: each arm's last round against round 0, and the first arm against the others.

python scripts/evaluation_tables.py eval/

A prompt's images are averaged, then the arm's seeds; intervals are a bootstrap over prompts, so they say nothing of other trainings.
"""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float64
from rsidiff_tables import shown

Means = dict[tuple[str, int], Float64[np.ndarray, " prompts"]]  # by arm and round


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    table = pq.read_table(parser.parse_args().folder / "scores.parquet")
    for scorer in table.column_names[table.column_names.index("category") + 1 :]:
        for line in lines(scorer, means(table, scorer)):
            print(line)


def means(table: pa.Table, scorer: str) -> Means:
    """Return the mean score of every prompt, over its images and the arm's seeds."""
    arms = [re.sub(r"-seed\d+$", "", name) for name in table["arm"].to_pylist()]
    rounds, prompts, values = (table[name].to_numpy() for name in ("round", "prompt", scorer))
    found: Means = {}
    for arm in dict.fromkeys(arms):
        for number in np.unique(rounds):
            here = (np.asarray(arms) == arm) & (rounds == number)
            if here.any():
                _, place = np.unique(prompts[here], return_inverse=True)
                found[arm, int(number)] = np.bincount(place, values[here]) / np.bincount(place)
    return found


def lines(scorer: str, found: Means) -> Iterator[str]:
    """Yield a scorer's table of each arm's last round."""
    last = dict(sorted(found))
    arms = list(dict.fromkeys(arm for arm, _ in found))
    whole = arms[0]
    yield f"\n{scorer}\n"
    yield f"| arm | round | minus round 0 | {whole}, round {last[whole]}, minus it |\n|---|---|---|---|"
    for arm in arms:
        end = found[arm, last[arm]]
        yield f"| {arm} | {last[arm]} | {shown(end - found[arm, 0])} | {'' if arm == whole else shown(found[whole, last[whole]] - end)} |"


if __name__ == "__main__":
    main()
