"""Make the part of ``emoji`` that lies in the package: every picture of the styles fluent and noto at 32 pixels, and the captions.

npm pack @lobehub/fluent-emoji-3d@1.1.0 emoji-datasource-google@16.0.0 emojibase-data@17.0.0
python scripts/make_embedded_emoji.py FOLDER_WITH_THE_PACKAGES
"""

import argparse
from collections import Counter
from pathlib import Path

from germline.core.digest import of_file
from germline.data import npz
from germline.data.emoji_files import EMBEDDED, EMBEDDED_SIZE, load, pack

STYLES = ("fluent", "noto")  # MIT and Apache-2.0; LICENSE-emoji.txt beside the file says whose


def main() -> None:
    """Read the packages, write the file; its licences are written by hand."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with the three npm packages")
    drawn = load(STYLES, EMBEDDED_SIZE, parser.parse_args().folder)
    npz.write(EMBEDDED, pack(drawn), compress=True)
    print(f"{EMBEDDED.name}: {dict(Counter(drawn.styles))} pictures, {EMBEDDED.stat().st_size} bytes, sha256 {of_file(EMBEDDED)}")


if __name__ == "__main__":
    main()
