"""`POST /v1/completions`: from a request's body to stories in the engine."""

from __future__ import annotations

import logging
import secrets
import time
from typing import TYPE_CHECKING

from generator.sampling.memfree import MEMFREE_FILE
from generator.sampling.requests import Request
from generator.server.answers import Answer
from generator.server.choice import Choice
from generator.server.defaults import settings_of
from generator.server.door import only_json
from generator.server.errors import wrong
from generator.server.logbook import Logbook
from generator.server.metrics import Stopwatch
from generator.server.prompts import encode
from generator.server.protocol import Completion, CompletionRequest
from generator.text.sentences import ends_with_a_word
from generator.text.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aiohttp import web

    from generator.engine.registry import Registry
    from generator.engine.resident import Resident
    from generator.server.metrics import Metrics
    from generator.server.prompts import EncodedPrompt

log = logging.getLogger(__name__)


class Completions:
    """Answers completion requests with the resident models."""

    def __init__(
        self, registry: Registry, metrics: Metrics, *, prompt_limit: int, at_once: int
    ) -> None:
        """Prepare.

        Args:
            registry: the models.
            metrics: where times and counts go.
            prompt_limit: characters of a prompt at most.
            at_once: stories of one request at most; more could never be let in.
        """
        self._registry = registry
        self._metrics = metrics
        self._prompt_limit = prompt_limit
        self._at_once = at_once

    async def answer(self, http: web.Request) -> web.StreamResponse:
        """Handle one request.

        Raises:
            ApiError, EngineError: only before anything was sent; later errors are sent as an event.
        """
        arrival = time.perf_counter()
        only_json(http)
        asked = CompletionRequest.parse(await http.read())
        wanted = len(asked.prompt) * asked.candidates
        if wanted > self._at_once:
            factor = "n" if asked.best_of is None else "best_of"
            message = f"prompts times {factor} takes at most {self._at_once}; this is {wanted}."
            raise wrong(message, factor if asked.candidates > 1 else "prompt")

        async with self._registry.borrow(asked.model) as resident:
            prompts = await encode(asked.prompt, resident.loaded, limit=self._prompt_limit)
            head = Completion(
                id=f"cmpl-{secrets.token_hex(12)}",
                created=int(time.time()),
                model=asked.model,
                choices=[],
                seed=secrets.randbits(32) if asked.seed is None else asked.seed,
            )
            choices: list[Choice] = []
            answer = Answer(
                head,
                choices,
                sum(len(prompt.tokens) for prompt in prompts),
                candidates=asked.candidates,
                best=asked.n,
            )
            try:
                # Should one find no room, those before it are in the list, and left below.
                choices.extend(self._begin(asked, prompts, resident, head.seed, arrival))
                if not asked.stream:
                    return await answer.whole()
                options = asked.stream_options
                return await answer.stream(
                    http, include_usage=bool(options and options.include_usage)
                )
            finally:
                self._leave(answer)

    def _begin(
        self,
        asked: CompletionRequest,
        prompts: Iterable[EncodedPrompt],
        resident: Resident,
        seed: int,
        arrival: float,
    ) -> Iterator[Choice]:
        """Each story of the request, let into the engine as it is taken from here.

        Raises:
            ApiError: the settings contradict each other, or the model does not know what to avoid.
            EngineError: there is no room for the next.
        """
        model = resident.loaded
        settings = settings_of(asked, model.settings)
        if settings.memfree and model.memfree is None:
            raise wrong(
                f"memfree takes only false: {asked.model} has no {MEMFREE_FILE}.", "memfree"
            )
        slots = resident.engine.slots
        if settings.max_new_tokens and settings.num_beams > slots:
            whose = "this is" if "num_beams" in asked.model_fields_set else f"{asked.model} has"
            raise wrong(
                f"num_beams takes at most {slots} here, as each beam is told like a story "
                f"(engine.slots), and {whose} {settings.num_beams}.",
                "num_beams",
            )
        logprobs = asked.logprobs
        if logprobs is None and asked.candidates > asked.n:
            logprobs = 0
        if logprobs is not None and settings.num_beams > 1:
            param = "best_of" if asked.logprobs is None else "logprobs"
            raise wrong(
                f"{param} takes no more than its default with beams: set num_beams to 1.", param
            )
        openings = [prompt for prompt in prompts for _ in range(asked.candidates)]
        for index, prompt in enumerate(openings):
            budget = min(settings.max_new_tokens, model.context - len(prompt.tokens))
            generation = resident.engine.submit(
                Request(
                    prompt=prompt.tokens,
                    sampling=settings,
                    seed=(seed + index) % 2**63,
                    max_tokens=budget,
                    min_tokens=budget if asked.ignore_eos else min(settings.min_new_tokens, budget),
                    begin_word=asked.begin_word and ends_with_a_word(prompt.text),
                    num_beams=settings.num_beams if budget else 1,
                    logprobs=logprobs,
                    prompt_logprobs=asked.echo and asked.logprobs is not None,
                )
            )
            tokenizer = model.tokens.backend
            transcript = Transcript(
                tokenizer,
                prompt.tokens,
                budget=budget,
                stops=asked.stop,
                finish_sentence=asked.finish_sentence,
            )
            yield Choice(
                index,
                generation,
                transcript,
                Stopwatch(self._metrics, asked.model, arrival),
                opening=prompt.text if asked.echo else "",
                logbook=None
                if asked.logprobs is None
                else Logbook(generation, tokenizer, prompt, echo=asked.echo),
            )

    def _leave(self, answer: Answer) -> None:
        """Free the slots of stories that nobody reads any more, and count what was told."""
        for choice in answer.choices:
            choice.leave()
            self._metrics.stories.labels(answer.head.model, choice.finish_reason or "cut").inc()
        if not answer.choices:
            return
        usage = answer.usage()
        ends = ", ".join(choice.finish_reason or "cut" for choice in answer.choices)
        log.info("%s told %d tokens: %s", answer.head.model, usage.completion_tokens, ends)
        counts = {"prompt": usage.prompt_tokens, "completion": usage.completion_tokens}
        for kind, count in counts.items():
            self._metrics.tokens.labels(answer.head.model, kind).inc(count)
