"""Tables on a terminal keep values apart that may not be compared."""

from germline.core.measurement import Measurement
from germline.report.curves import Key, Series
from germline.report.statement import headline
from germline.report.terminal import console, label, one_line, print_measurements

VALUES = [
    Measurement("coverage", 0.25, "samples", 20, "space", 1, 4),
    Measurement("coverage", 0.75, "samples", 20, "space", 5, 4),
    Measurement("coverage", 0.5, "training", 20, "space", 1, 4),
    Measurement("FD-space", 3.0, "samples", 20, "space", None, 4),
    Measurement("duplicates", 0.125, "samples", 20, d=16),
]


def test_a_label_tells_spaces_and_neighbours_apart():
    assert [label(value) for value in VALUES] == ["coverage, space", "coverage, space, k = 5", "coverage, space", "FD-space", "duplicates"]


def test_each_k_has_its_row():
    with console.capture() as shown:
        print_measurements("run", [(0, VALUES)])
    rows = [line.strip("\u2502 ").split() for line in shown.get().splitlines()]
    assert ["coverage,", "space", "\u2502", "0.25"] in rows
    assert ["coverage,", "space,", "k", "=", "5", "\u2502", "0.75"] in rows


def test_no_number_is_cut_off_however_many_generations_there_are():
    rows = [(number, [Measurement("FD-a-space-of-a-long-name", 1234567.0 + number * 1e4, "samples", 20)]) for number in range(30)]
    with console.capture() as shown:
        print_measurements("run", rows)
    said = shown.get()
    assert "\u2026" not in said
    assert said.count("e+06") == 30
    assert all(f"gen {number} " in said for number in range(30))


def test_one_line_names_the_main_numbers_only():
    assert one_line(2, VALUES) == "generation 2: coverage 0.25  FD-space 3"


def test_the_headline_is_of_the_lowest_k():
    series = [Series(Key("coverage", "space", k, 4, 20), "samples", "high") for k in (5, 1)]
    series.append(Series(Key("FD-space", "space", None, 4, 20), "samples", "low"))
    assert headline(series) == [[series[2]], [series[1]]]
