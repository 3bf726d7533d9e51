"""README.md and the curve of a model folder: what the model is and how it came about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from training.corpus.texts import IMAGINED, Split
from training.learning.markdown import table, told
from training.recipe import Fault, Pretrained
from training.telling import ARTICLE_PROMPTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from training.corpus.texts import Text
    from training.learning.checkpoint import Measurement
    from training.recipe import Recipe
    from training.telling import Story


def plot_losses(measurements: Sequence[Measurement], path: Path) -> None:
    """Validation and training over the tokens read, as a PNG."""
    # Of several processes one draws, at the end: the others need not wait half a second for it.
    import matplotlib as mpl  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context({"font.size": 9, "axes.spines.top": False}):
        figure = Figure(figsize=(6.4, 3.2), layout="constrained")
        validation = figure.subplots()
        tokens = [line.tokens / 1e6 for line in measurements]
        validation.plot(
            tokens, [line.bits_per_byte for line in measurements], "o-", color="#b5332e", ms=3
        )
        validation.set_xlabel("million tokens read")
        validation.set_ylabel("validation, bits per byte", color="#b5332e")
        training = validation.twinx()
        training.plot(tokens, [line.train_loss for line in measurements], color="#3f5a8a", lw=1)
        training.set_ylabel("training, nats per token", color="#3f5a8a")
        figure.savefig(path, dpi=110)


def write_card(
    folder: Path,
    recipe: Recipe,
    texts: Sequence[Text],
    measurements: Sequence[Measurement],
    bits_per_byte: dict[Split, float],
    stories: Sequence[Story],
) -> None:
    """README.md and curve of a model folder: what it is, how it came about, what it cannot do.

    Args:
        folder: written by `publish`.
        recipe: it was trained by.
        texts: the whole corpus.
        measurements: the run's log.
        bits_per_byte: of the published weights, by held-out split.
        stories: told with the published settings and fixed seeds, all of them.
    """
    plot_losses(measurements, folder / "training.png")
    parameters = (folder / "model.safetensors").stat().st_size / 2e6
    last = measurements[-1]
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    kind = "GPT-2" if config["model_type"] == "gpt2" else "LSTM"
    card = f"""---
license: other
license_name: research-only
language: en
pipeline_tag: text-generation
tags: [kataribe, {kind.lower()}, synopsis]
---
# {folder.name}

{_article(kind)} {kind} of {parameters:.1f} million weights that writes short synopses in the manner
of anime, trained from {_origin(recipe)} by `python -m training train --recipe {recipe.name}`.
Kataribe's generator tells from it, or transformers ({_loading(kind)}).

## How good it is
{_results(bits_per_byte)}
Bits per byte: what the model needs to encode text it has not seen, over its UTF-8 bytes; lower is
better. {_choice(recipe)}; nothing was chosen by test, which is printed at each export.

![training](training.png)

{last.tokens / 1e6:.2f} million tokens read in {last.step:,} steps and {last.seconds / 60:.0f}
minutes of wall time.{_losses(recipe)}

## Data
{_data(texts)}
Synopses by fans and publishers, collected from public catalogues; the first file is the target and
alone is held out. A franchise is wholly in one split, and nothing in the other files that belongs
to a held-out franchise was read.{_imagined(texts)}

## Recipe
{_recipe(recipe)}
## Stories, not picked by hand
{_beginnings(len(stories))}, told with the settings of `generation_config.json` and the seeds 1
to {len(stories)}.

{_stories(stories)}
## Limits
It knows the manner of a synopsis, not the world: names are invented or borrowed, so are some
words, plots lose their thread after a sentence or two, and it may repeat clichés of its sources,
sexism and violence among them. It is no source of facts. English only.

## Licence
For research: the texts it was trained on belong to their authors.{_memfree(recipe)}
"""
    (folder / "README.md").write_text(card, encoding="utf-8")


def _article(kind: str) -> str:
    return "An" if kind == "LSTM" else "A"


def _loading(kind: str) -> str:
    if kind == "LSTM":
        return "`AutoModelForCausalLM`, once `generator.models.lstm` is imported"
    return "`AutoModelForCausalLM`"


def _origin(recipe: Recipe) -> str:
    begun = "random weights"
    if isinstance(recipe.model, Pretrained):
        begun = f"the weights of {recipe.model.name}"
    if recipe.teacher:
        return f"{begun} and the lessons of {recipe.teacher.name}"
    return begun


def _choice(recipe: Recipe) -> str:
    if Fault.BEST_ON_TRAINING in recipe.training.faults:
        return "The lowest training loss chose the weights, as in the article"
    return "Validation chose the weights"


def _beginnings(told: int) -> str:
    if told == len(ARTICLE_PROMPTS):
        return "The article's eight beginnings"
    return f"The {told} of the article's eight beginnings whose words it knows"


def _results(bits_per_byte: dict[Split, float]) -> str:
    rows = [[str(split), f"{bits:.3f}"] for split, bits in bits_per_byte.items()]
    return table(["split", "bits per byte"], rows)


def _data(texts: Sequence[Text]) -> str:
    rows = []
    for domain in dict.fromkeys(text.domain for text in texts):
        of_domain = [text for text in texts if text.domain == domain]
        counts = [sum(text.split is split for text in of_domain) for split in Split]
        words = sum(len(text.text.split()) for text in of_domain)
        rows.append([domain, *(f"{count:,}" for count in counts), f"{words:,}"])
    return table(["file", *Split, "words"], rows)


def _losses(recipe: Recipe) -> str:
    if recipe.teacher is None:
        return ""
    return (
        " The training loss is what the teacher's\ndistribution costs, which is never less than "
        "the teacher is unsure."
    )


def _imagined(texts: Sequence[Text]) -> str:
    if all(text.domain != IMAGINED for text in texts):
        return ""
    return f"""

The texts of `{IMAGINED}` are a model's own (`python -m training imagine`); none shares a run of
eight words with any of the others, held out or not."""


def _memfree(recipe: Recipe) -> str:
    if not recipe.sampling.memfree:
        return ""
    return """ `memfree.safetensors` holds
a filter of their runs of seven tokens; Kataribe's generator tells no story that completes one."""


def _recipe(recipe: Recipe) -> str:
    sections = recipe.model_dump(mode="json", exclude={"name"}, exclude_none=True)
    if recipe.tokens.kind == "pretrained":
        sections["tokens"] = {"kind": "pretrained"}  # the rest is of tokens that are learned
    rows = [
        [f"{section}.{name}", str(value)]
        for section, values in sections.items()
        for name, value in values.items()
    ]
    return table(["setting", "value"], rows)


def _stories(stories: Sequence[Story]) -> str:
    return "".join(f"{seed}. {told(story)}\n" for seed, story in enumerate(stories, 1))
