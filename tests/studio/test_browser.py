"""The page in headless Chromium: a whole round of votes by keys, a reload in the middle, a rater who comes back, a server that went."""

import json

import chromium
import pytest
from voting import arm, desk_of_pairs, desk_of_singles, served

from germline.studio.ballot import APPEAL, FAITHFUL, KEPT, Ballot, singles
from germline.studio.desk import opened
from germline.studio.shares import preferred

pytestmark = pytest.mark.skipif(chromium.where() is None, reason="there is no Chromium here (apt-get install chromium)")

READY = "document.body.dataset.stage === 'vote' && ready && !busy"
KEYS = {"left": "ArrowLeft", "right": "ArrowRight", "tie": "ArrowUp", "bad": "ArrowDown"}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    made = chromium.Browser(tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


@pytest.fixture
def calm(browser):
    """The browser; at the end nothing was said in its console, and nothing was asked of any other host."""
    browser.events.clear()
    yield browser
    browser.js("1")
    said = [
        event
        for event in browser.events
        if event.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
    ]
    entries = [event["params"].get("entry", {}).get("text", event["method"]) for event in said]
    # A server went, where one did; a page that is loaded twice keeps the focus it had.
    harmless = ("net::ERR_CONNECTION_", "net::ERR_SOCKET_NOT_CONNECTED", "Autofocus processing was blocked")
    assert [text for text in entries if not any(part in text for part in harmless)] == []
    asked = [event["params"]["request"]["url"] for event in browser.events if event.get("method") == "Network.requestWillBeSent"]
    assert asked
    assert all(url.startswith(("http://127.0.0.1:", "data:")) for url in asked), asked


def begin(browser, url, name):
    browser.open(url)
    browser.until("document.body.dataset.stage === 'welcome' && document.activeElement.id === 'name'")
    browser.type(name)
    browser.press("Enter")
    browser.until(READY)


def at(browser, place, step):
    browser.until(f"{READY} && place === {place} && step === {step}")


def wish(desk, one, question):
    """What a rater of ours wants to say: a function of the pair, so that steady raters give equal answers to repeats."""
    if question == FAITHFUL and one.item % 4 == 0:
        return "tie" if one.item % 8 else "bad"
    return "left" if (one.item % 3 > 0) != one.mirrored else "right"


def test_a_whole_round_with_a_reload_in_the_middle(calm, tmp_path):
    desk = desk_of_pairs(tmp_path)
    deck = desk.deck("ada")
    with served(desk) as url:
        begin(calm, url, "  Ada ")
        for place, one in enumerate(deck):
            for step, question in enumerate((APPEAL, FAITHFUL)):
                at(calm, place, step)
                shown = calm.js(
                    "[...document.querySelectorAll('.picture img')].map((image) => Number(new URL(image.src).pathname.split('/')[2]))"
                )
                first, second = desk.items[one.item].pictures
                assert shown == ([second, first] if one.mirrored else [first, second])
                assert calm.js("document.getElementById('prompt').textContent") == desk.items[one.item].prompt
                if (place, step) in ((3, 1), (6, 0)):  # between the two questions of a pair, and between two pairs
                    calm.call("Page.reload")
                    at(calm, place, step)
                calm.press(KEYS[wish(desk, one, question)])
        calm.until("document.body.dataset.stage === 'done'")
        assert calm.js("document.getElementById('done-text').textContent").startswith("10 of 10 answered and saved")
    votes = desk.votes.current("ada")
    assert desk.votes.ever() == len(votes) == 20, "nothing was lost, and nothing was counted twice"
    given = {(vote.item, vote.again, vote.question): vote for vote in votes}
    for one in deck:
        for question in (APPEAL, FAITHFUL):
            vote = given[one.item, one.again, question]
            assert (vote.answer, vote.mirrored) == (wish(desk, one, question), one.mirrored)
            if question == APPEAL:
                assert preferred(vote) == (one.item % 3 > 0), "the same picture, whatever its side"


def test_a_rater_comes_back_and_another_begins_anew(calm, tmp_path):
    desk = desk_of_pairs(tmp_path)
    with served(desk) as url:
        port = int(url.rsplit(":", 1)[1])
        begin(calm, url, "Ada")
        calm.press("ArrowLeft")
        at(calm, 0, 1)
        calm.press("ArrowUp")
        at(calm, 1, 0)
        calm.press("ArrowRight")
        at(calm, 1, 1)
    with served(desk_of_pairs(tmp_path), port) as url:  # the server was stopped, and started again with the same command
        calm.open(url)
        at(calm, 1, 1)  # the browser knows the name still
        assert calm.js("document.getElementById('who').textContent") == "ada"
        calm.click("#who")
        calm.until("document.body.dataset.stage === 'welcome'")
        assert calm.js("document.getElementById('raters').textContent") == "ada15 %"
        calm.type("Ben")
        calm.press("Enter")
        at(calm, 0, 0)
        calm.press("ArrowDown")
        at(calm, 0, 1)
        calm.click("#who")
        calm.until("document.querySelectorAll('#raters button').length === 2")
        calm.click("#raters li:first-child button")
        at(calm, 1, 1)
    assert [(vote.rater, vote.answer) for vote in desk.votes.current()] == [
        ("ada", "left"),
        ("ada", "tie"),
        ("ada", "right"),
        ("ben", "bad"),
    ]


def test_undo_is_a_new_row_and_a_held_key_is_one_answer(calm, tmp_path):
    desk = desk_of_singles(tmp_path)
    with served(desk) as url:
        begin(calm, url, "Ada")
        for place, key in enumerate(("ArrowRight", "k", "r")):
            at(calm, place, 0)
            calm.press(key)
        at(calm, 3, 0)
        for _ in range(2):
            calm.press("Backspace")
        at(calm, 1, 0)
        assert calm.js("document.querySelector('.is-keep').getAttribute('aria-pressed')") == "true", "what was said is marked"
        calm.press("ArrowLeft")
        at(calm, 3, 0)  # back to where it was left
        calm.press("Backspace")
        at(calm, 2, 0)
        calm.press("Enter")
        at(calm, 3, 0)
        for _ in range(3):
            calm.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowRight", windowsVirtualKeyCode=39, autoRepeat=True)
        assert calm.js("place") == 3
        calm.click("#answers .is-reject")
        at(calm, 4, 0)
        calm.click(".picture")  # a click on the picture keeps it
        at(calm, 5, 0)
        calm.press("ArrowLeft")
        calm.until("document.body.dataset.stage === 'done'")
        calm.press("Backspace")
        at(calm, 5, 0)
        calm.press("ArrowRight")
        calm.until("document.body.dataset.stage === 'done'")
    said = {vote.item: vote.answer for vote in desk.votes.current("ada")}
    assert [said[one.item] for one in desk.deck("ada")] == ["keep", "reject", "reject", "reject", "keep", "keep"]
    assert desk.votes.ever() == 8, "the two answers that were changed are there still"


def test_an_answer_waits_for_a_server_that_went(calm, tmp_path):
    desk = desk_of_pairs(tmp_path)
    with served(desk) as url:
        port = int(url.rsplit(":", 1)[1])
        begin(calm, url, "Ada")
    calm.press("ArrowLeft")
    calm.until("!document.getElementById('trouble').hidden")
    assert calm.js("document.getElementById('trouble').textContent").startswith("Not saved: the server does not answer.")
    calm.press("ArrowRight")  # nothing else can be answered meanwhile
    assert calm.js("[place, step]") == [0, 0]
    with served(desk, port):
        at(calm, 0, 1)
        assert calm.js("document.getElementById('trouble').hidden")
    assert [vote.answer for vote in desk.votes.current()] == ["left"]


def test_the_next_pictures_are_there_before_they_are_needed(calm, tmp_path):
    desk = desk_of_pairs(tmp_path)
    with served(desk) as url:
        begin(calm, url, "Ada")
        calm.until("held.size >= 6")
        wanted = json.loads(calm.js("JSON.stringify([...held.keys()])"))
    assert [int(address.split("/")[2].split("?")[0]) for address in wanted] == [
        number for showing in desk.dealt("ada")["showings"][1:4] for number in showing["pictures"]
    ]


def test_texts_of_users_are_text(calm, tmp_path):
    bad = "<img src=x onerror=document.title='hit'><script>document.title='hit'</script> & \u202e"
    arms = [arm("made", 2, 3, [bad, bad])]
    desk = opened(tmp_path / "bad.db", Ballot("keep", (KEPT,)), arms, singles(arms))
    with served(desk) as url:
        begin(calm, url, "<b>Ada</b>")
        assert calm.js("document.getElementById('prompt').textContent") == bad
        assert calm.js("document.title") == "germline vote"
        calm.press("k")
        at(calm, 1, 0)
        calm.click("#who")
        calm.until("document.querySelectorAll('#raters button').length === 1")
        assert calm.js("document.querySelector('#raters button').firstChild.textContent") == "<b>ada</b>"
