"""Teaches the text encoder one new word by pictures of what it means: textual inversion (Gal et al. 2022)."""

from pathlib import Path
from typing import Any, Final

import torch

from tui.bundled.training.catalogue import read_catalogue
from tui.bundled.training.devices import prepared_device
from tui.bundled.training.drawing_table import batches, read_composer
from tui.bundled.training.effort import Effort
from tui.bundled.training.gilded import compose_gilded, invent_gilded
from tui.bundled.training.latents import Latents, encode_all, no_words
from tui.bundled.training.lesson import learn
from tui.bundled.training.noising import Noising
from tui.bundled.training.parts import MODEL, frozen, load_text_encoder, load_unet, save_weights
from tui.bundled.training.progress_log import ProgressLog
from tui.bundled.training.tokenizer import FOLDER, encode, read_tokenizer

WORD: Final = "<emoji-gilded>"
"""What prompts call it: nothing that anyone writes by accident."""

LIKE: Final = "yellow"
"""The word whose meaning it begins with."""

RATE: Final = 5e-3

BATCH: Final = 0.25
"""Against the denoiser's."""

PICTURES: Final = 4096
SCENES_EACH: Final = 10
SEED: Final = 7


def embedding_file(out: Path) -> Path:
    """Where the embedding goes."""
    return out / f"{MODEL}-embedding-gilded" / f"{WORD.strip('<>')}.safetensors"


def train_embedding(data: Path, out: Path, until: float, effort: Effort, log: ProgressLog) -> None:
    """Teach the model in `out` the word `<emoji-gilded>`; its embedding goes to `out`.

    Raises:
        LatenttyError: the model or the data cannot be read.
    """
    device = prepared_device()
    model = out / MODEL
    noising = Noising(model, device)
    tokenizer = read_tokenizer(data / FOLDER)
    empty = no_words(data, device)
    pictures = _pictures(data, model, effort, device)
    unet = frozen(load_unet(model), device).to(memory_format=torch.channels_last)
    text, table = _with_another_word(model, int(encode(tokenizer, [[LIKE]])[0, 0, 1]), device)
    log(f"{WORD}: {table.shape[1]} numbers, {len(pictures)} pictures")
    batch = min(effort.part(BATCH), len(pictures))

    def loss() -> torch.Tensor:
        rows = pictures.rows(batch)

        def predict(noisy: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
            words = text(input_ids=pictures.captions(rows, empty, 0))[0]
            told: torch.Tensor = unet(noisy, times, words, return_dict=False)[0]
            return told

        return noising.error(pictures.chosen(rows), predict)

    def new_word_only() -> None:
        if table.grad is not None:
            table.grad[:-1] = 0

    learn([table], loss, rate=RATE, until=until, effort=effort, log=log, weight_decay=0, limit=new_word_only)
    path = embedding_file(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_weights({"emb_params": table.detach()[-1:]}, path, **{"modelspec.title": f"{MODEL}: things of gold"})
    log("EMBEDDING SAVED")


def _with_another_word(model: Path, like: int, device: torch.device) -> tuple[Any, torch.nn.Parameter]:
    """The text encoder with one more word that is `like` another, and the table of all words, which alone learns."""
    text = load_text_encoder(model)
    text.resize_token_embeddings(text.config.vocab_size + 1, mean_resizing=False)
    text = frozen(text, device)
    table: torch.nn.Parameter = text.get_input_embeddings().weight
    with torch.no_grad():
        table[-1] = table[like]
    table.requires_grad_(True)
    return text, table


def _pictures(data: Path, model: Path, effort: Effort, device: torch.device) -> Latents:
    """Pictures of things of gold, whose captions have the new word's number."""
    scenes_each = min(SCENES_EACH, effort.scenes_each)
    count = min(PICTURES, effort.pictures)
    things = invent_gilded(read_catalogue(data), count, WORD, scenes_each, SEED)
    composer = read_composer(data, scenes_each, effort.processes, device)
    drawn = (compose_gilded(composer, things[some]) for some in batches(things, min(64, count)))
    latents = encode_all(model, drawn, device)
    tokenizer = read_tokenizer(data / FOLDER)
    tokenizer.add_special_tokens([WORD])
    tokens = torch.from_numpy(encode(tokenizer, [[one.caption] for one in things])).to(device)
    return Latents(latents, tokens)
