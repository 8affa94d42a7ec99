"""What the documents tell a user to type exists."""

import re
from pathlib import Path

import pytest

from germline import registry
from germline.cli import main
from germline.verbs import VERBS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "DESIGN.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = sorted(
    {
        match
        for page in PAGES
        for match in re.findall(r"germline [a-z]+(?: (?!germline)[^#\n`(]+?)?(?=  |$|`|\n| #)", page.read_text(), re.M)
    }
)


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.split()[1] in VERBS])
def test_commands_and_flags_exist(command, capsys):
    _, verb, *rest = command.split()
    target = [verb, rest[0]] if verb in ("run", "prompts", "vote") else [verb]
    if verb == "run":
        assert rest[0] in registry.recipe_names()
    with pytest.raises(SystemExit):
        main([*target, "--help"])
    text = capsys.readouterr().out
    for flag in re.findall(r"--[a-z-]+", command):
        assert flag in text, f"{command}: {flag} does not exist"


def test_the_readme_shows_every_verb():
    shown = {command.split()[1] for command in COMMANDS if command in (ROOT / "README.md").read_text()}
    assert set(VERBS) <= shown


def test_the_python_of_the_readme_runs_but_for_its_budget(tmp_path, monkeypatch):
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert code
    small = re.sub(r"51_200|9_600", "64", code[1]).replace("2_000", "200").replace("n=200", "n=200, steps=2").replace("run(5)", "run(1)")
    small = small.replace(
        "fashion_mnist(), Classifier()", "digits({'real': 200, 'reserve': 0, 'judge': 600, 'held_out': 200}), Classifier(images=640)"
    )
    small = small.replace("import fashion_mnist", "import digits")
    monkeypatch.chdir(tmp_path)
    exec(compile(small, "README.md", "exec"), {})
    assert (tmp_path / "runs" / "entropy" / "gen_001" / "metrics.json").exists()


CHOICES = [line for line in (ROOT / "docs" / "choose.md").read_text().splitlines() if re.match(r"\| (?!-|your case)", line)]
MEASURED = r"[-+]?[\d.]+ (?:\[[-+.\d, ]+\]|of \d+)|[\d.]+(?: to [\d.]+)? ?%"


@pytest.mark.parametrize("line", CHOICES, ids=lambda line: line.split("|")[1].strip())
def test_every_line_of_choose_quotes_a_number_that_stands_in_the_section_it_links_to(line):
    said = line.split("|")[3]
    links = re.findall(r"\]\(([\w/.-]+)#([\w-]+)\)", said)
    numbers = re.findall(MEASURED, said)
    assert len(links) == 1, "one link a line"
    assert numbers, "no measured number"
    page, anchor = links[0]
    section = _section(ROOT / "docs" / page, anchor)
    for number in numbers:
        assert number in section, f"{number} does not stand in {page}#{anchor}"


def _section(page, anchor):
    """Return the text below the heading that GitHub gives this anchor, subheadings included."""
    lines = page.read_text().splitlines()
    headings = {i: len(line) - len(line.lstrip("#")) for i, line in enumerate(lines) if re.match(r"#+ ", line)}
    named = [i for i in headings if re.sub(r"[^\w\- ]", "", lines[i].lstrip("# ").lower()).replace(" ", "-") == anchor]
    assert named, f"{page.name} has no heading #{anchor}"
    start = named[0]
    ends = [i for i, level in headings.items() if i > start and level <= headings[start]]
    return "\n".join(lines[start : min(ends, default=len(lines))])
