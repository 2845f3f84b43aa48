"""The variables of the environment that decide how models are fetched: tokens, proxies, endpoints, certificates."""

from collections.abc import Mapping
from typing import Final

_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")

NAMES: Final = frozenset(
    {
        "CIVITAI_API_TOKEN",
        "CIVITAI_ENDPOINT",
        "CIVITAI_TOKEN",
        "HF_ENDPOINT",
        "HF_HOME",
        "HF_HUB_OFFLINE",
        "HF_TOKEN",
        "HF_TOKEN_PATH",
        "HUGGING_FACE_HUB_TOKEN",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
        *_PROXIES,
        *(name.lower() for name in _PROXIES),
    }
)

QUIET: Final = {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
"""Without these, huggingface_hub tells which program asks, and asks a list of such programs first."""


def told(environment: Mapping[str, str]) -> dict[str, str]:
    """Those of `environment` that a download needs."""
    return {name: value for name, value in environment.items() if name in NAMES}


def for_download(engines: Mapping[str, str], clients: Mapping[str, str]) -> dict[str, str]:
    """The environment of a download: the engine's, with the client's word where it has any."""
    if not clients:
        return {**engines, **QUIET}
    return {name: value for name, value in engines.items() if name not in NAMES} | told(clients) | QUIET
