"""A judge behind an endpoint, against servers that fail in every way that is known of them."""

import time

import pyarrow as pa
import pytest
from misbehaving import GOOD, completion, serving

from germline.core.errors import BadInput, GermlineError
from germline.prompts.answers import parsed
from germline.prompts.endpoint import Endpoint
from germline.prompts.judge import judge

pytest.importorskip("httpx2")


def table(*texts):
    return pa.table({"prompt": list(texts)})


def quick(url, **more):
    return Endpoint(url, "tiny", **{"pause": 0.01, "timeout": 2.0, **more})


def rows(outcome):
    return {row["prompt"]: row for part in (outcome.kept, outcome.rejected) for row in part.to_pylist()}


def test_scores_are_thresholded_and_the_raw_reply_is_kept(tmp_path):
    says = {"good": GOOD, "vague": '{"clarity": 4, "specificity": 2}', "garbled": '{"clarity": 1, "specificity": 1}'}
    with serving(lambda prompt, _: (200, completion(says[prompt]))) as (url, server):
        found = judge(table("good", "vague", "garbled", "good"), quick(url), tmp_path)
        assert found.kept["prompt"].to_pylist() == ["good", "good"]
        assert {p: (row["decision"], row["reason"], row["detail"]) for p, row in rows(found).items()} == {
            "good": ("kept", "", ""),
            "vague": ("rejected", "unspecific", "specificity 2 is below 4"),
            "garbled": ("rejected", "unclear and unspecific", "clarity 1 is below 4, specificity 1 is below 4"),
        }
        assert GOOD.replace('"', '\\"') in rows(found)["good"]["reply"]
        assert "instruction of ours" in rows(found)["good"]["judge"]
        again = judge(table("good", "vague", "garbled"), quick(url), tmp_path, specificity=2)
        assert again.kept["prompt"].to_pylist() == ["good", "vague"]
        assert server.asked == {"good": 1, "vague": 1, "garbled": 1}, "other thresholds must ask nothing"


def test_the_request_is_what_servers_document(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret")
    with serving(lambda *_: (200, completion(GOOD))) as (url, server):
        judge(table("a red fox"), quick(url, key_variable="MY_KEY"), tmp_path)
    body = server.bodies[0]
    assert (body["model"], body["temperature"], body["stream"], body["max_tokens"]) == ("tiny", 0.0, False, 64)
    schema = body["response_format"]["json_schema"]["schema"]
    assert body["response_format"]["type"] == "json_schema"
    assert schema["required"] == ["clarity", "specificity"]
    assert schema["additionalProperties"] is False
    assert server.headers[0]["Authorization"] == "Bearer secret"
    assert not any("secret" in path.read_text() for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "finish", "problem"),
    [
        ("   \n\n  ", "length", "blank reply of 7 characters"),
        ('{"clarity": 5, "specif', "length", "cut off at max_tokens"),
        (GOOD, "length", "cut off at max_tokens"),
        ('{"clarity": 5, "specif', "stop", "no JSON"),
        ("I would say 5 and 4.", "stop", "no JSON"),
        ('{"clarity": 5}', "stop", "not an object of clarity and specificity"),
        ("[5, 4]", "stop", "not an object of clarity and specificity"),
        ('{"clarity": 5, "specificity": 4, "why": "x"}', "stop", "not an object of clarity and specificity"),
        ('{"clarity": 9, "specificity": 4}', "stop", "clarity is no whole number from 1 to 5"),
        ('{"clarity": true, "specificity": 4}', "stop", "clarity is no whole number from 1 to 5"),
        ('{"clarity": 5, "specificity": "4"}', "stop", "specificity is no whole number from 1 to 5"),
        ('{"clarity": NaN, "specificity": 4}', "stop", "clarity is no whole number from 1 to 5"),
        ("[" * 100_000, "stop", "no JSON"),
    ],
)
def test_what_is_no_answer_is_undecided_and_kept(content, finish, problem, tmp_path):
    assert parsed(content, finish).problem == problem
    with serving(lambda *_: (200, completion(content, finish))) as (url, server):
        found = judge(table("a red fox"), quick(url, tries=3), tmp_path)
        row = found.kept.to_pylist()[0]
        assert (row["decision"], row["clarity"], row["detail"]) == ("undecided", None, problem)
        assert found.report()["undecided"] == 1
        assert [body["seed"] for body in server.bodies] == [0, 1, 2]
        assert [body["temperature"] for body in server.bodies] == [0.0, 0.7, 0.7]
        judge(table("a red fox"), quick(url, tries=3), tmp_path)
        assert len(server.bodies) == 3, "an answer that is none was given, and is not asked for again"


def test_an_answer_in_a_fence_counts_and_a_second_try_can_succeed(tmp_path):
    assert parsed(f"```json\n{GOOD}\n```", "stop").clarity == 5
    with serving(lambda _, times: (200, completion("  " if times == 1 else GOOD))) as (url, server):
        found = judge(table("a red fox"), quick(url), tmp_path)
    assert found.kept["decision"].to_pylist() == ["kept"]
    assert len(server.bodies) == 2


def fails_twice(how):
    return lambda _, times: how if times < 3 else (200, completion(GOOD))


@pytest.mark.parametrize(
    "how",
    [
        (503, "loading model"),
        (429, "slow down", {"Retry-After": "0"}),
        (200, "<html>a proxy's page</html>"),
        (200, completion(GOOD)[:40]),
        (200, '{"choices": []}'),
        (200, "x" * (1 << 20) + "x"),
        "hang up",
    ],
    ids=["503", "429", "page", "half an object", "no choice", "huge", "hang up"],
)
def test_failures_that_pass_are_tried_again(how, tmp_path):
    with serving(fails_twice(how)) as (url, server):
        found = judge(table("a red fox"), quick(url), tmp_path)
    assert found.kept["decision"].to_pylist() == ["kept"]
    assert server.asked["a red fox"] == 3


def test_a_hang_and_a_drip_end_at_the_time_out_and_are_asked_again_next_time(tmp_path):
    def act(prompt, times):
        if times > 1:
            return 200, completion(GOOD)
        if prompt == "hang":
            time.sleep(1.0)
        return "drip" if prompt == "drip" else (200, completion(GOOD))

    with serving(act) as (url, server):
        first = rows(judge(table("hang", "drip", "fine"), quick(url, timeout=0.3, tries=1), tmp_path))
        assert {name: row["decision"] for name, row in first.items()} == {"hang": "undecided", "drip": "undecided", "fine": "kept"}
        assert "Timeout" in first["hang"]["detail"]
        assert first["drip"]["detail"] == "the reply was not complete in time"
        second = judge(table("hang", "drip", "fine"), quick(url, timeout=5.0, tries=1), tmp_path)
        assert second.report()["undecided"] == 0
        assert server.asked == {"hang": 2, "drip": 2, "fine": 1}


def test_a_dead_server_stops_the_run_and_what_was_answered_is_kept(tmp_path):
    texts = [f"prompt {i}" for i in range(12)]
    with serving(lambda prompt, _: (200, completion(GOOD)) if prompt < "prompt 2" else (503, "")) as (url, server):
        with pytest.raises(GermlineError, match=r"gave no answer to 3 prompts in a row \(HTTP 503\)"):
            judge(table(*texts), quick(url, tries=1, give_up=3, concurrency=1), tmp_path)
        answered = [text for text in texts if text < "prompt 2"]
        server.act = lambda *_: (200, completion(GOOD))
        judge(table(*texts), quick(url), tmp_path)
        assert all(server.asked[text] == 1 for text in answered)


def test_no_reply_to_any_of_a_few_prompts_is_an_error_and_to_some_is_told(tmp_path):
    """Fewer prompts than make the run give up: all of them undecided would look like a result."""
    with serving(lambda prompt, _: (503, "") if prompt < "b" else (200, completion(GOOD))) as (url, _):
        with pytest.raises(GermlineError, match=r"tiny gave no reply to any prompt \(HTTP 503\). Look at it, then run again"):
            judge(table("a", "aa"), quick(url, tries=1), tmp_path)
        said = judge(table("a", "b"), quick(url, tries=1), tmp_path).report()
    assert (said["asked_again_next_time"], said["first_failure"]) == (1, "HTTP 503")


def test_nobody_listening_is_said_with_the_address(tmp_path):
    with serving(lambda *_: None) as (url, _):
        pass
    with pytest.raises(GermlineError, match=rf"{url} gave no answer to 1 prompts in a row \(ConnectError"):
        judge(table("a red fox"), quick(url, tries=2, give_up=1), tmp_path)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ((404, '{"error": "no model tiny"}'), "answers HTTP 404: .*no model tiny.* Check the address, --model and the key"),
        ((401, "who are you"), "answers HTTP 401"),
        ((302, "", {"Location": "http://elsewhere/"}), "answers HTTP 302"),
        ((400, "response_format json_schema is not supported"), "refuses the JSON schema .* --no-schema"),
    ],
)
def test_what_no_prompt_could_cure_stops_at_once(said, says, tmp_path):
    with serving(lambda *_: said) as (url, server), pytest.raises(GermlineError, match=says):
        judge(table("a red fox", "a blue fox"), quick(url, concurrency=1), tmp_path)
    assert sum(server.asked.values()) == 1


def test_a_prompt_that_is_refused_is_undecided_and_not_tried_again_in_this_run(tmp_path):
    with serving(lambda prompt, _: (400, "too long") if prompt == "long" else (200, completion(GOOD))) as (url, server):
        found = rows(judge(table("long", "fine"), quick(url), tmp_path))
    assert (found["long"]["decision"], found["long"]["detail"]) == ("undecided", "HTTP 400: too long")
    assert server.asked == {"long": 1, "fine": 1}


def test_as_many_requests_as_allowed_and_no_more_are_under_way(tmp_path):
    def act(prompt, times):
        time.sleep(0.03)
        return 200, completion(GOOD)

    with serving(act) as (url, server):
        found = judge(table(*(f"prompt {i:02}" for i in range(40))), quick(url, concurrency=4), tmp_path)
    assert server.most == 4
    assert found.kept["prompt"].to_pylist() == [f"prompt {i:02}" for i in range(40)], "the order is the file's"


def test_another_instruction_or_model_asks_anew(tmp_path):
    with serving(lambda *_: (200, completion(GOOD))) as (url, server):
        judge(table("a red fox"), quick(url), tmp_path)
        judge(table("a red fox"), quick(url, schema=False), tmp_path)
        judge(table("a red fox"), Endpoint(url, "other"), tmp_path)
        assert server.asked["a red fox"] == 3
        assert "response_format" not in server.bodies[1]


def test_settings_that_cannot_be_are_named():
    with pytest.raises(BadInput, match="begins with http:// or https://, but this is 'localhost:8000'"):
        Endpoint("localhost:8000", "tiny")
    with pytest.raises(BadInput, match="Name the model of the endpoint with --model"):
        Endpoint("http://localhost:8000/v1", "")
    with pytest.raises(BadInput, match="concurrency must be at least 1, but is 0"):
        Endpoint("http://localhost:8000/v1", "tiny", concurrency=0)
