"""A judge behind an OpenAI-compatible endpoint: chat completions, a JSON schema, and distrust of what comes back."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from germline.core.digest import Json
from germline.core.errors import BadInput, GermlineError
from germline.prompts import instruction
from germline.prompts.answers import Answer, parsed, undecided
from germline.prompts.completions import Completions, Passing
from germline.prompts.judge import Cost
from germline.prompts.replies import Reply


@dataclass(frozen=True)
class Endpoint:
    """A model behind ``url`` (up to ``/v1``), asked for two whole numbers, 1 to 5, at temperature 0.

    vLLM, the servers of llama.cpp, Ollama and SGLang take ``response_format`` of type ``json_schema``; others ignore it, and
    ``schema=False`` is for those that refuse it. A reply that is no valid answer is asked for again with a seed and some temperature, and
    then kept as it is: undecided. A server that does not answer is tried again with growing pauses; after ``give_up`` prompts in a row
    without an answer the run stops, for the user to look.

    Source: the instruction of arXiv 2502.09963 is not published; this one is ours. With Llama 3 Instruct as ``model`` it is as near to
    the paper's method as its text allows.

    Attributes:
        url: such as http://127.0.0.1:8000/v1.
        model: the model's name at the server.
        concurrency: requests under way at once.
        timeout: seconds until a whole reply must be there.
        tries: tries for a server's failure, and for an answer that is none.
        max_tokens: tokens of a reply; the answer takes about 15.
        schema: send the JSON schema.
        key_variable: the environment variable that holds the key, if it is set.
        give_up: prompts in a row without any reply after which the run stops.
        pause: seconds before the second try, doubled each time.
    """

    url: str
    model: str
    concurrency: int = 8
    timeout: float = 60.0
    tries: int = 4
    max_tokens: int = 64
    schema: bool = True
    key_variable: str = "GERMLINE_API_KEY"
    give_up: int = 20
    pause: float = 0.5

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise BadInput(f"An endpoint's address begins with http:// or https://, but this is {self.url!r}.")
        if not self.model:
            raise BadInput("Name the model of the endpoint with --model, as its server calls it.")
        for name in ("concurrency", "tries", "max_tokens", "give_up"):
            if getattr(self, name) < 1:
                raise BadInput(f"Endpoint: {name} must be at least 1, but is {getattr(self, name)}.")
        if not self.timeout > 0:
            raise BadInput(f"Endpoint: timeout is in seconds, above 0, but is {self.timeout}.")

    @property
    def name(self) -> str:
        """The model's name; where it is served is no part of it."""
        return self.model

    @property
    def note(self) -> str:
        """What every output says."""
        return "1-5, asked with an instruction of ours: the paper's is not published"

    @property
    def instruction(self) -> str:
        """The hash of system text, schema and limit."""
        return instruction.hash_of([instruction.SYSTEM, instruction.SCHEMA if self.schema else None, self.max_tokens])

    @property
    def thresholds(self) -> tuple[float, float]:
        """4 of 5 each. Ours, untuned."""
        return 4.0, 4.0

    def read(self, reply: Reply) -> Answer:
        """Return the scores in a raw reply."""
        content, finish = reply.get("content"), reply.get("finish_reason")
        if not isinstance(content, str):
            return undecided("no text in the reply")
        return parsed(content, finish if isinstance(finish, str) else None)

    def cost(self, prompts: Sequence[str]) -> Cost:
        """Return calls and tokens if every first answer is valid; the chat template and the schema take some more."""
        fixed = len(instruction.SYSTEM) // 4 + 1
        return Cost(len(prompts), sum(fixed + len(prompt) // 4 + 1 for prompt in prompts), 15 * len(prompts))

    def ask(self, prompts: Sequence[str]) -> Iterator[tuple[int, Reply | str]]:
        """Yield replies as they come, at most ``concurrency`` requests being under way.

        Raises:
            MissingExtra: httpx2 is not installed.
            GermlineError: the server refuses every request, or no reply comes for ``give_up`` prompts in a row.
        """
        silent = 0
        with (
            Completions(self.url, self._headers(), self.timeout, self.tries, self.pause) as server,
            ThreadPoolExecutor(self.concurrency) as pool,
        ):
            waiting: dict[Future[Reply], int] = {}
            numbers = iter(range(len(prompts)))
            try:
                while True:
                    for number in numbers:
                        waiting[pool.submit(self._answer, server, prompts[number])] = number
                        if len(waiting) == self.concurrency:
                            break
                    if not waiting:
                        return
                    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                        number = waiting.pop(future)
                        try:
                            yield number, future.result()
                            silent = 0
                        except Passing as error:
                            silent += 1
                            if silent >= self.give_up:
                                raise GermlineError(
                                    f"{self.url} gave no answer to {silent} prompts in a row ({error}). Look at the server, then run"
                                    " again: what was answered is kept."
                                ) from error
                            yield number, str(error)
            finally:
                server.stop()
                for future in waiting:
                    future.cancel()

    def _headers(self) -> dict[str, str]:
        key = os.environ.get(self.key_variable)
        return {"Authorization": f"Bearer {key}"} if key else {}

    def _answer(self, server: Completions, prompt: str) -> Reply:
        """Return the first reply that is a valid answer, else the last one."""
        for attempt in range(self.tries):
            reply = server.reply(self._body(prompt, attempt))
            if not self.read(reply).problem:
                break
        return {**reply, "attempts": attempt + 1}

    def _body(self, prompt: str, attempt: int) -> Mapping[str, Json]:
        messages: list[Json] = [{"role": "system", "content": instruction.SYSTEM}, {"role": "user", "content": prompt}]
        body: dict[str, Json] = {"model": self.model, "messages": messages, "max_tokens": self.max_tokens}
        # at temperature 0 a seed changes nothing, so another try needs some
        body |= {"temperature": 0.0 if attempt == 0 else 0.7, "seed": attempt, "stream": False}
        if self.schema:
            schema: dict[str, Json] = {"name": "rating", "strict": True, "schema": instruction.SCHEMA}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body
