"""Whether a VAE or a text encoder can take the place of a model's own, from headers and configurations alone."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tui.library.gguf_header import weights_header
from tui.library.loose_parts import is_known_encoder, is_vae, takes_its_place
from tui.library.models import read_json
from tui.library.plain_text import plain
from tui.protocol.job import Job
from tui.protocol.problem import LatenttyError, bad_request


def refuse_misplaced(job: Job, configuration: Path) -> None:
    """Nothing, when the VAE and the text encoder of `job` fit the model whose configuration is in that folder.

    Raises:
        LatenttyError: one of them is damaged, or was made for another family.
    """
    reasons: list[str] = []
    if job.vae:
        reasons += _vae(Path(job.vae), configuration)
    if job.text_encoder:
        reasons += _encoder(Path(job.text_encoder), configuration)
    if reasons:
        raise bad_request(" ".join(reasons), "Choose one that was made for this model's family.")


def _vae(path: Path, configuration: Path) -> Iterator[str]:
    own = _config(configuration / "vae")
    if not own.get("latent_channels"):
        return
    if path.is_dir():
        given = _config(path) or _config(path / "vae")
        fits = given.get("latent_channels") == own["latent_channels"] and given.get("_class_name") == own["_class_name"]
    else:
        fits = is_vae(weights_header(path), own)
    if not fits:
        yield f"The VAE {plain(path.name)} does not fit: it makes no latents of {own['latent_channels']} channels."


def _encoder(path: Path, configuration: Path) -> Iterator[str]:
    own = [_config(place.parent) for place in sorted(configuration.glob("text_encoder*/config.json"))]
    if not own or not all(map(is_known_encoder, own)):
        return  # only loading it tells
    if path.is_dir():
        given = _config(path) or _config(path / "text_encoder")
        fits = any(given.get("model_type") == one.get("model_type") and _sizes(given) == _sizes(one) for one in own)
    else:
        header = weights_header(path)
        fits = any(takes_its_place(header, one) for one in own)
    if not fits:
        yield f"The text encoder {plain(path.name)} does not fit: this model has none with weights of its shapes."


def _sizes(config: Mapping[str, Any]) -> list[Any]:
    names = ("hidden_size", "num_hidden_layers", "d_model", "num_layers", "vocab_size")
    return [config.get(name) for name in names]


def _config(folder: Path) -> dict[str, Any]:
    try:
        return read_json(folder, "config.json")
    except LatenttyError:
        return {}
