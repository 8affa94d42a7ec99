"""What to cite, and what to write."""

from germline.core import sealed
from germline.core.digest import Json
from germline.report.citations import bibtex, cited
from germline.report.methods import paragraph
from germline.report.tidy import Record, read
from germline.verbs.arguments import Paths, print_json, run_folders


def cite(runs: Paths, methods: bool = False, json: bool = False) -> None:
    """Print BibTeX of what runs used, or a paragraph for the methods section of a paper.

    Examples:
      germline cite runs/entropy
      germline cite runs/loop --methods

    Args:
        runs: run folders, or folders that hold some.
        methods: a paragraph an arm instead, its numbers read from config.json and the measurements.
        json: print JSON.
    """
    folders = run_folders(runs)
    records = [read(folder) for folder in folders]
    ids: set[str] = set()
    for record, folder in zip(records, folders, strict=True):
        ids |= cited([record.config.get("parts"), record.names.get("data")])
        for path in sorted(folder.glob("gen_*/metrics.json")):
            ids |= cited(sealed.read(path))
    version = max(_version(record) for record in records)
    told = {name: paragraph(same) for name, same in _arms(records).items()}
    if json:
        print_json({"arxiv": sorted(ids), "bibtex": bibtex(ids, version), "methods": list(told.values())})
    elif methods:
        print("\n\n".join(told.values() if len(told) == 1 else (f"{name}: {text}" for name, text in told.items())))
    else:
        print(bibtex(ids, version), end="")


def _arms(records: list[Record]) -> dict[str, list[Record]]:
    """Return the runs of equal parts and data together: they differ in the seed only."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(repr([record.config.get(key) for key in ("parts", "versions")] + [record.names.get("data")]), []).append(record)
    told: dict[str, list[Record]] = {}
    for same in groups.values():
        name = str(same[0].names.get("arm") or same[0].name)
        told[same[0].name if name in told else name] = same
    return told


def _version(record: Record) -> str:
    versions: Json = record.config.get("versions")
    return str(versions.get("germline", "")) if isinstance(versions, dict) else ""
