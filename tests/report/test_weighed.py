"""The histogram of weights on the page."""

from types import SimpleNamespace

from germline.core.measurement import Measurement
from germline.report.weighed import shade, weighed


def group(*arms):
    def weight(curve):
        return [Measurement("weight", 0.5, "training", 10, curve=curve), Measurement("entropy", 1.0)]

    made = [SimpleNamespace(name=name, style=0, shown=SimpleNamespace(values=[weight(c) for c in curves])) for name, curves in arms]
    return SimpleNamespace(arms=made, last=2)


def test_bars_are_the_shares_of_each_generation_and_arms_without_weights_have_none():
    falls = [(0, 0, 0, 1.0), (0.25, 0, 0.25, 0.5), (0.5, 0.25, 0.0, 0.25)]
    (one,) = weighed(group(("<rsidiff>", falls), ("plain", [(0, 0, 0, 1.0)] * 3)))
    assert one.arm.name == "<rsidiff>"
    assert one.text == "Generation 2: 25 % of the rows count whole or nearly so, 75 % less than half."
    top, *_, low = one.figure.traces
    assert (list(top["x"]), list(top["y"]), list(low["y"])) == ([0, 1, 2], [100, 50, 25], [0, 25, 50])
    assert top["marker"]["color"] == shade(3, 4) != shade(0, 4)
    assert "&lt;rsidiff&gt;, generation 2" in low["hovertext"][2]
