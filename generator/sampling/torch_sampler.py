"""Drawing the next token of many stories at once, each by its own rules and seed.

Every rule but those that look at the story so far is a floor under the logits, so no rule sorts the
vocabulary. What is left is drawn by argmax(p / Exp(1)), the exponential race (equal to Gumbel-max,
Gumbel 1954), with noise hashed from (seed, position, token): a draw depends on nothing but its own
story.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from generator.sampling.beams import Ways, first_of, least_kept

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from generator.sampling.rules import Rules
    from generator.sampling.vocabulary import Vocabulary

_NUCLEUS = 1024  # likeliest tokens looked at first for top-p; four times as many while too few
_WORD = 0xFFFFFFFF


class TorchSampler:
    """Draws on any device: what the rules mean, in torch."""

    def __init__(
        self,
        rules: Rules,
        history: NDArray[np.int32],
        vocabulary: Vocabulary,
    ) -> None:
        """Keeps views of the engine's columns.

        Args:
            rules: of every slot.
            history: (slots, context), tokens of prompt and story.
            vocabulary: of the model.
        """
        self._rules, self._history, self._vocabulary = rules, history, vocabulary
        self._exempt = vocabulary.memfree_exempt
        self._continuations = frozenset(vocabulary.continuations.tolist())
        self._suppressed = torch.from_numpy(vocabulary.suppressed.astype(np.int64))

    @torch.inference_mode()
    def draw(
        self, logits: Tensor, slots: NDArray[np.int32], lengths: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """One token for each row.

        Args:
            logits: (n, vocabulary) float32; overwritten.
            slots: (n,), whose rules and history go with each row.
            lengths: (n,), tokens so far in prompt and story.
        """
        rules = self._rules.rows[slots]
        self.forbid(logits, slots, lengths)
        drawn = _race(logits, rules, lengths)
        rows = self._copied(logits, drawn, slots, lengths)
        while len(rows):
            logits[rows, drawn[rows]] = -torch.inf
            drawn[rows] = _race(logits[rows], rules[rows], lengths[rows])
            rows = rows[self._copied(logits[rows], drawn[rows], slots[rows], lengths[rows])]
        return drawn

    def _copied(
        self,
        logits: Tensor,
        drawn: NDArray[np.int32],
        slots: NDArray[np.int32],
        lengths: NDArray[np.int32],
    ) -> NDArray[np.intp]:
        """The rows whose token completes an n-gram of the training texts, where others are left."""
        rows = np.flatnonzero(self.copies(drawn, slots, lengths))
        if not len(rows):  # as nearly always: a GPU need not answer
            return rows
        others: NDArray[np.bool_] = (logits[rows, drawn[rows]] > -torch.inf).cpu().numpy()
        return rows[others]

    @torch.inference_mode()
    def ways(
        self,
        logprobs: Tensor,
        scores: NDArray[np.float32],
        slots: NDArray[np.int32],
        lengths: NDArray[np.int32],
        width: int,
    ) -> Ways:
        """How a search may go on: see `generator.sampling.beams`; fewer where rules leave fewer.

        Args:
            logprobs: (beams, vocabulary) float32, the model's own; overwritten.
            scores: (beams,), of each story so far; the best comes first.
            slots: (beams,), whose rules and history go with each row; the rules are the same.
            lengths: (beams,), tokens so far in prompt and story.
            width: beams that the search may have.
        """
        least = least_kept(self._vocabulary)
        wanted = width * least
        rules = self._rules.rows[slots]
        self.forbid(logprobs, slots, lengths)
        while True:
            tokens, values, keys = _ranked(logprobs, rules, lengths, wanted, least)
            count = tokens.shape[1]
            copies = self.copies(tokens.ravel(), slots.repeat(count), lengths.repeat(count))
            struck = np.flatnonzero(copies & (keys.ravel() > -np.inf))
            if not len(struck):
                return first_of(scores, tokens, values, keys, wanted)
            logprobs[_places(logprobs, struck // count, tokens.ravel()[struck])] = -torch.inf

    def copies(
        self, tokens: NDArray[np.int32], slots: NDArray[np.int32], lengths: NDArray[np.int32]
    ) -> NDArray[np.bool_]:
        """Whether each token would complete an n-gram of the training texts, where rules forbid it.

        Args:
            tokens: (n,), each to come next.
            slots: (n,), in whose stories.
            lengths: (n,), tokens so far in prompt and story.
        """
        copies = np.zeros(len(tokens), np.bool_)
        memfree = self._vocabulary.memfree
        if memfree is None:
            return copies
        before = memfree.ngram_size - 1
        looked_at = (self._rules.rows["memfree"][slots] == 1) & (lengths >= before)
        rows = np.flatnonzero(looked_at & ~np.isin(tokens, self._exempt))
        context = self._history[slots[rows, None], lengths[rows, None] + np.arange(-before, 0)]
        copies[rows] = memfree.holds(np.column_stack([context, tokens[rows]]))
        return copies

    def forbid(self, logits: Tensor, slots: NDArray[np.int32], lengths: NDArray[np.int32]) -> None:
        """The rules that look at a story so far, and what no story says, on rows of logits.

        Args:
            logits: (n, vocabulary); overwritten.
            slots: (n,), whose rules and history go with each row.
            lengths: (n,), tokens so far in prompt and story.
        """
        rules = self._rules.rows[slots]
        if len(self._suppressed):
            logits[:, self._suppressed.to(logits.device)] = -torch.inf
        rows = np.flatnonzero(rules["repetition_penalty"] != 1)
        if len(rows):
            used = self._history[slots[rows], : lengths[rows].max()]
            of_row, at = np.nonzero(np.arange(used.shape[1]) < lengths[rows, None])
            place = _places(logits, rows[of_row], used[of_row, at])
            penalty = rules["repetition_penalty"][rows[of_row]]
            penalties = torch.from_numpy(penalty).to(logits.device)
            before = logits[place]
            logits[place] = torch.where(before < 0, before * penalties, before / penalties)
        rows = np.flatnonzero((rules["frequency_penalty"] != 0) | (rules["presence_penalty"] != 0))
        for row in rows:
            story = self._history[slots[row], rules["prompt_length"][row] : lengths[row]]
            tokens, counts = np.unique(story, return_counts=True)
            taken = counts.astype(np.float32) * rules["frequency_penalty"][row]
            taken += rules["presence_penalty"][row]
            logits[_places(logits, row, tokens)] -= torch.from_numpy(taken).to(logits.device)
        sizes = rules["no_repeat_ngram_size"]
        for size in np.unique(sizes[(sizes > 0) & (sizes <= lengths)]):
            rows = np.flatnonzero((sizes == size) & (size <= lengths))
            history = self._history[slots[rows]]
            of, places = _repeated(history, lengths[rows], int(size))
            struck = np.array(
                [
                    not self._spells_again(history[row, : lengths[rows[row]]], place)
                    for row, place in zip(of, places, strict=True)
                ],
                np.bool_,
            )
            of, places = of[struck], places[struck]
            logits[_places(logits, rows[of], history[of, places])] = -torch.inf
        rows, tokens = _completed(self._vocabulary.bad_words, self._history[slots], lengths)
        logits[_places(logits, rows, tokens)] = -torch.inf
        for which, tokens in (
            (lengths < rules["min_length"], np.array(self._vocabulary.ends, np.int32)),
            (lengths == rules["new_word_at"], self._vocabulary.growing),
        ):
            where = np.flatnonzero(which)
            if len(where) and len(tokens):
                logits[_places(logits, where[:, None], tokens[None])] = -torch.inf

    def _spells_again(self, story: NDArray[np.int32], place: int) -> bool:
        """Whether the token there goes on with a word that is just told again, so far alike.

        So a name of many tokens can be told twice, and a word cannot go on for ever.
        """
        if int(story[place]) not in self._continuations:
            return False
        before, now = story[:place][::-1], story[::-1]
        for one, other in zip(before.tolist(), now.tolist(), strict=False):
            if one != other:
                return False
            if one not in self._continuations:
                return True
        return False


def _places(
    logits: Tensor, rows: NDArray[np.integer] | np.integer, tokens: NDArray[np.integer]
) -> tuple[Tensor, Tensor]:
    """An index of `logits`, on its device."""
    places = (torch.as_tensor(part.astype(np.int64)) for part in (rows, tokens))
    row, token = (part.to(logits.device) for part in places)
    return row, token


def _repeated(
    history: NDArray[np.int32], lengths: NDArray[np.int32], size: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows, and where in them tokens stand that would complete an n-gram for the second time.

    Args:
        history: (n, context).
        lengths: (n,), at least `size`.
        size: of the n-grams.
    """
    starts = int(lengths.max()) - size + 1
    same = np.arange(starts) + size <= lengths[:, None]
    for at in range(size - 1):
        last = np.take_along_axis(history, lengths[:, None] - size + 1 + at, axis=1)
        same &= history[:, at : at + starts] == last
    rows, begins = np.nonzero(same)
    return rows, begins + (size - 1)


def _completed(
    runs: NDArray[np.int32], history: NDArray[np.int32], lengths: NDArray[np.int32]
) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Rows and tokens that would complete one of the runs, as `Vocabulary.bad_words` has them.

    Args:
        runs: (m, width).
        history: (n, context).
        lengths: (n,).
    """
    before = runs.shape[1] - 1
    at = lengths[:, None] + np.arange(-before, 0)
    last = np.where(at < 0, -2, np.take_along_axis(history, np.maximum(at, 0), axis=1))
    wanted = runs[None, :, :-1]
    rows, found = np.nonzero(((wanted == -1) | (wanted == last[:, None])).all(2))
    return rows, runs[found, -1]


def _race(logits: Tensor, rules: NDArray[np.void], lengths: NDArray[np.int32]) -> NDArray[np.int32]:
    """One token for each row of (n, vocabulary) logits, by the rules that need no story."""
    temperature = torch.from_numpy(rules["temperature"].copy()).to(logits.device)[:, None]
    scaled = logits / torch.where(temperature == 0, 1, temperature)
    scaled, tokens = _likeliest(scaled, rules)
    race = scaled - _exponential_noise(rules["seed"], lengths, tokens).log()
    winners = torch.where(temperature[:, 0] == 0, scaled.argmax(1), race.argmax(1))
    return tokens.gather(1, winners[:, None])[:, 0].to("cpu", torch.int32).numpy()


def _ranked(
    logprobs: Tensor,
    rules: NDArray[np.void],
    lengths: NDArray[np.int32],
    count: int,
    least: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]:
    """Each beam's first ways on, at most `count`: tokens, values and keys as in `first_of`."""
    beams, vocabulary = logprobs.shape
    temperature = float(rules["temperature"][0])
    if temperature == 0:
        keys, tokens = logprobs.topk(min(count, vocabulary), dim=1)
        values = keys
    else:
        kept, candidates = _likeliest(logprobs / temperature, rules, least)
        # Noise by a beam's place and not by its slot, which hangs on the company.
        apart = candidates + torch.arange(beams, device=kept.device)[:, None] * vocabulary
        race = kept - _exponential_noise(rules["seed"], lengths, apart).log()
        keys, places = race.topk(min(count, race.shape[1]), dim=1)
        values, tokens = kept.gather(1, places), candidates.gather(1, places)
    return tokens.to(torch.int32).cpu().numpy(), values.cpu().numpy(), keys.cpu().numpy()


def _likeliest(scaled: Tensor, rules: NDArray[np.void], least: int = 1) -> tuple[Tensor, Tensor]:
    """Top-k, top-p and min-p: the logits that remain, others -inf, and their tokens: (n, kept).

    Args:
        scaled: (n, vocabulary), already divided by the temperature.
        rules: of these rows.
        least: so many of the likeliest remain in any case.
    """
    values, tokens = _within(scaled, rules, least)
    if rules["min_p"].any():
        min_p = torch.from_numpy(rules["min_p"].copy()).to(scaled.device)[:, None]
        floor = values.amax(1, keepdim=True) + min_p.log()
        if least > 1:
            best = values.topk(min(least, values.shape[1]), dim=1).values
            floor = torch.minimum(floor, best[:, -1:])
        values = values.masked_fill(values < floor, -torch.inf)
    return values, tokens


def _within(scaled: Tensor, rules: NDArray[np.void], least: int) -> tuple[Tensor, Tensor]:
    """Top-k and top-p of `_likeliest`."""
    rows, vocabulary = scaled.shape
    most = np.maximum(rules["top_k"], least)
    top_k = np.where(rules["top_k"] == 0, vocabulary, np.minimum(most, vocabulary))
    nucleus = rules["top_p"] < 1
    if not nucleus.any() and top_k.min() == vocabulary:
        return scaled, torch.arange(vocabulary, device=scaled.device).expand(rows, vocabulary)
    ranks = torch.from_numpy(top_k.astype(np.int64)).to(scaled.device)[:, None]
    top_p = torch.from_numpy(rules["top_p"].copy()).to(scaled.device)[:, None]
    # Rows without top-k keep the whole vocabulary unless top-p cuts it.
    kept = int(np.where(nucleus & (top_k == vocabulary), min(_NUCLEUS, vocabulary), top_k).max())
    while True:
        values, tokens = scaled.topk(kept, dim=1)
        rank = torch.arange(kept, device=scaled.device)
        values = values.masked_fill(rank >= ranks, -torch.inf)
        # Top-p counts what top-k left: all of it is in `values` unless k is the vocabulary.
        whole = torch.where(
            ranks > kept, scaled.logsumexp(1, keepdim=True), values.logsumexp(1, keepdim=True)
        )
        mass = (values - whole).exp().cumsum(1)
        enough = (mass[:, -1] >= top_p[:, 0]) | (ranks[:, 0] <= kept)
        if kept == vocabulary or bool(enough.all()):
            break
        kept = min(4 * kept, vocabulary)
    before = mass.roll(1, dims=1)
    before[:, 0] = 0
    cut = (before >= top_p) & (top_p < 1) & (rank >= least)
    return values.masked_fill(cut, -torch.inf), tokens


def _exponential_noise(
    seed: NDArray[np.uint64], position: NDArray[np.int32], tokens: Tensor
) -> Tensor:
    """Exponential noise for each (seed, position, token); (n, kept) float32, like `tokens`.

    A hash in the manner of SplitMix64 (Steele et al. 2014) for the two keys of a row, and one of
    MurmurHash3's finaliser over them for each token.
    """
    state = seed + (position.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    keys = np.stack([state & np.uint64(_WORD), state >> np.uint64(32)]).astype(np.int64)
    low, high = torch.from_numpy(keys).to(tokens.device)[:, :, None]
    bits = (tokens * 0x9E3779B1 + low) & _WORD
    bits = ((bits ^ (bits >> 16)) * 0x85EBCA6B) & _WORD
    bits = (((bits ^ (bits >> 13)) ^ high) * 0xC2B2AE35) & _WORD
    bits ^= bits >> 16
    uniform: Tensor = ((bits >> 9).float() + 0.5) * 2.0**-23  # 23 bits: never 0, never 1
    return -uniform.log()
