"""Make data/embedded/emoji_groups.parquet: the group of each emoji's caption, and of each prompt of the shipped rounds.

npm pack emojibase-data@17.0.0
python scripts/make_emoji_groups.py --where FOLDER_WITH_THE_PACKAGE

The labels of latent-space filtering, where conditions are prompts. The groups are Unicode's, as emojibase names them.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from germline.core.digest import of_file
from germline.data import archives
from germline.data.emoji_files import CAPTIONS, DATA, GROUPS, ROUNDS, hexcode, read_captions

MESSAGES = "package/en/messages.json"


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the package and the rounds, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--where", type=Path, required=True, help="folder with the npm package")
    file = parser.parse_args(arguments).where / CAPTIONS.file
    archives.verify(file, CAPTIONS.sha256)
    labels = grouped(file)
    told = [str(prompt) for prompt in pq.read_table(ROUNDS)["prompt"].to_pylist()]
    groups = dict(sorted(labels.items())) | {prompt: labels[label_of(prompt, labels)] for prompt in told}
    table = pa.table({"prompt": list(groups), "group": pa.array(groups.values()).dictionary_encode()})
    pq.write_table(table, GROUPS, compression="zstd")
    count = {name: sum(group == name for group in labels.values()) for name in sorted(set(labels.values()))}
    print(f"{len(labels)} captions ({count}), {len(groups)} with the prompts of the rounds; sha256 {of_file(GROUPS)}")


def grouped(file: Path) -> dict[str, str]:
    """Return the group of each label."""
    found = archives.read(file, [DATA, MESSAGES])
    names = {entry["order"]: entry["key"] for entry in json.loads(found[MESSAGES])["groups"]}
    captions = read_captions(file)
    codes = {hexcode(record["hexcode"]): record["group"] for record in json.loads(found[DATA]) if "group" in record}
    return {caption.label: names[codes[code]] for code, caption in captions.items()}


def label_of(prompt: str, labels: dict[str, str]) -> str:
    """Return the label that a prompt was made of: behind the style's name, before the tags."""
    rest = prompt.split(" emoji of ", 1)[-1]
    return rest if rest in labels else max((label for label in labels if rest.startswith(f"{label}, ")), key=len)


if __name__ == "__main__":
    main()
