"""Teaches a LoRA (Hu et al. 2021) a style: the model's own pictures, drawn otherwise."""

from pathlib import Path
from typing import Any, Final

import torch
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict

from tui.bundled.training.devices import prepared_device
from tui.bundled.training.drawing_table import batches, invent, read_composer
from tui.bundled.training.effort import Effort
from tui.bundled.training.latents import Latents, encode_all, no_words
from tui.bundled.training.lesson import learn
from tui.bundled.training.noising import Noising
from tui.bundled.training.parts import (
    MODEL,
    frozen,
    load_text_encoder,
    load_unet,
    save_weights,
)
from tui.bundled.training.progress_log import ProgressLog
from tui.bundled.training.restyle import STYLES
from tui.bundled.training.tokenizer import FOLDER, encode, read_tokenizer

FILE: Final = "pytorch_lora_weights.safetensors"

RANK: Final = 8

LAYERS: Final = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "conv1", "conv2")
"""What learns: all of attention, what follows it, and the convolutions of resnets."""

RATE: Final = 2e-3

BATCH: Final = 0.25
"""Against the denoiser's."""

PICTURES: Final = 8192
"""That it learns from, at most."""

SCENES_EACH: Final = 20

SEED: Final = 4242

DROPPED: Final = 0.05
"""The share of captions that is left out."""


def lora_folder(out: Path, style: str) -> Path:
    """Where the LoRA of `style` goes."""
    return out / f"{MODEL}-lora-{style}"


def train_lora(style: str, data: Path, out: Path, until: float, effort: Effort, log: ProgressLog) -> None:
    """Teach the model in `out` one of `STYLES`; the LoRA goes to `out`.

    Raises:
        LatenttyError: the model or the data cannot be read.
    """
    device = prepared_device()
    model = out / MODEL
    noising = Noising(model, device)
    text = frozen(load_text_encoder(model), device)
    pictures = _pictures(style, data, model, effort, device)
    empty = no_words(data, device)
    unet = frozen(load_unet(model), device)
    torch.manual_seed(0)
    unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=list(LAYERS), init_lora_weights="gaussian"))
    unet = unet.to(device, memory_format=torch.channels_last)
    learned = [one for one in unet.parameters() if one.requires_grad]
    log(f"{style}: {sum(one.numel() for one in learned)} parameters, {len(pictures)} pictures")
    batch = min(effort.part(BATCH), len(pictures))

    def loss() -> torch.Tensor:
        rows = pictures.rows(batch)

        def predict(noisy: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                words = text(input_ids=pictures.captions(rows, empty, DROPPED))[0]
            told: torch.Tensor = unet(noisy, times, words, return_dict=False)[0]
            return told

        return noising.error(pictures.chosen(rows), predict)

    learn(learned, loss, rate=RATE, until=until, effort=effort, log=log, weight_decay=0)
    save_lora(unet, lora_folder(out, style), STYLES[style][1])
    log(f"LORA {style.upper()} SAVED")


def save_lora(unet: Any, folder: Path, words: str) -> None:
    """Write what the adapter of `unet` learned, as diffusers names it; `words` call for it."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {f"unet.{name}": one for name, one in get_peft_model_state_dict(unet).items()}
    save_weights(
        weights,
        folder / FILE,
        **{"modelspec.title": f"{MODEL}: {words}", "modelspec.trigger_phrase": words},
    )


def _pictures(style: str, data: Path, model: Path, effort: Effort, device: torch.device) -> Latents:
    """New pictures, restyled and encoded, with captions that say so."""
    restyle, words = STYLES[style]
    scenes_each = min(SCENES_EACH, effort.scenes_each)
    count = min(PICTURES, effort.pictures)
    pool = invent(data, count, SEED, scenes_each, effort.processes)
    composer = read_composer(data, scenes_each, effort.processes, device)
    drawn = (restyle(composer.compose(pool.specs[some])) for some in batches(pool.specs, min(64, count)))
    latents = encode_all(model, drawn, device)
    captions = [[f"{caption.rstrip('.')}, {words}" for caption in own] for own in pool.captions]
    tokens = torch.from_numpy(encode(read_tokenizer(data / FOLDER), captions)).to(device)
    return Latents(latents, tokens)
