"""The help of every verb: examples first, each of them one that the parser takes; no line broken where the source broke it."""

import inspect
import re
import shlex
import subprocess
import sys
from functools import wraps
from importlib import import_module

import pytest
import tyro

from germline.cli import BROKEN_PIPE, main, usage
from germline.flags import parse
from germline.verbs import VERBS
from germline.verbs.helptext import flowing, help_of

STAGED = {name: import_module(f"germline.verbs.{name}") for name in ("prompts", "vote")}
FLAGGED = {name: verb for name, verb in VERBS.items() if name != "run" and name not in STAGED}
EVERY = FLAGGED | {f"{verb} {name}": stage for verb, module in STAGED.items() for name, stage in module.STAGES.items()}


def examples(text):
    return [shlex.split(line.split("  #")[0]) for line in re.findall(r"^ *(germline .*)$", text, re.MULTILINE)]


def still(verb):
    """The same flags, and nothing done."""

    @wraps(verb)
    def nothing(*values, **flags):
        """Do nothing."""

    return nothing


def parsed(words):
    """Parse an example as the command would, and do nothing."""
    assert words[0] == "germline"
    if words[1] == "run":
        return parse(words[2], words[3:])
    verb, rest = (STAGED[words[1]].STAGES[words[2]], words[3:]) if words[1] in STAGED else (FLAGGED[words[1]], words[2:])
    return tyro.cli(still(verb), args=rest)


@pytest.mark.parametrize("name", EVERY)
def test_every_verb_shows_examples_that_the_parser_takes(name):
    found = examples(help_of(EVERY[name]).split("\n\n")[0])
    assert found
    assert any(" ".join(words).startswith(f"germline {name}") for words in found)
    for words in found:
        parsed(words)


def test_the_examples_of_the_whole_command_are_taken_too():
    for words in examples(usage().split("\n\n")[1]) + [shlex.split(line) for module in STAGED.values() for line in module.EXAMPLES]:
        parsed(words)


def test_help_has_the_examples_first_and_flows(capsys):
    with pytest.raises(SystemExit) as left:
        main(["study", "--help"])
    said = capsys.readouterr().out
    assert left.value.code == 0
    assert said.index("germline study demo --out runs/demo") < said.index("Run all arms of a study") < said.index("--sweep STR")
    words = " ".join(re.sub(r"[│╭╮╰╯─]", " ", said).split())
    assert "Given again for another flag, every combination is an arm." in words


def test_a_reader_that_goes_away_is_no_error():
    started = subprocess.Popen([sys.executable, "-m", "germline"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    started.stdout.close()
    assert started.stderr.read() == ""
    assert started.wait() == BROKEN_PIPE


@pytest.mark.parametrize("name", EVERY)
def test_only_line_breaks_are_taken_out(name):
    verb = EVERY[name]
    plain, joined = inspect.getdoc(verb), flowing(verb).__doc__
    assert plain.split() == joined.split()
    assert not re.search(r"\n {8,}", joined.partition("Args:\n")[2])


def test_a_verb_made_to_flow_does_what_it_did():
    seen = []

    def verb(value: int = 3) -> None:
        seen.append(value)

    flowing(verb)()
    flowing(verb)(value=4)
    assert seen == [3, 4]
