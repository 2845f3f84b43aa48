"""What `hf:org/name`, `civitai:ID` or an https address stands for: files, their sizes, hashes and licence."""

import asyncio
import os
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import httpx2
from msgspec import Struct

from tui.library.weight_files import weight_set
from tui.protocol.problem import LatenttyError, Problem, bad_request

HUGGING_FACE: Final = "https://huggingface.co"
CIVITAI: Final = "https://civitai.com"
WEIGHTS: Final = (".safetensors", ".gguf")
_BESIDE: Final = (".json", ".txt", ".model", ".md", ".jinja")
LENDER: Final = "lender"
"""Said in place of a file: a model without its transformer's weights, for one that lies in a file of its own."""
_HUB: Final = re.compile(r"hf:(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?(?::(?P<file>.+))?")
_CIVITAI: Final = re.compile(r"civitai:(?P<id>\d+)")


class RemoteFile(Struct, frozen=True, kw_only=True):
    """One file to fetch."""

    url: str
    name: str
    """Its path below the folder of the download, checked to stay there."""
    size: int = 0
    """Bytes; 0 when nobody tells before."""
    sha256: str = ""
    replaces: bool = False
    """Whether an older file of that name makes room: where the folder is this model's own."""


class Download(Struct, frozen=True, kw_only=True):
    """All files of one model."""

    title: str
    files: list[RemoteFile]
    license: str = ""
    token: str = ""
    """Sent to the host of the first request and to no other."""


def refuse_foreign(address: str, hosts: list[str]) -> None:
    """Nothing, when `address` is one that models may be fetched from.

    Raises:
        LatenttyError: its host is none of `hosts` nor below one of them, or it would be asked without encryption.
    """
    told = urlsplit(address)
    host = told.hostname or ""
    if not any(host == one or host.endswith(f".{one}") for one in hosts):
        raise bad_request(
            f"The host {host} is not among those that models may come from.",
            "Add it to download_hosts in the settings if you trust it.",
        )
    if told.scheme != "https" and host not in _LOCAL:
        raise bad_request(f"{host} would be asked without encryption.", "Use an https address.")


_LOCAL: Final = ("localhost", "127.0.0.1", "::1")


async def resolve(
    source: str, client: httpx2.AsyncClient, hosts: list[str], environment: Mapping[str, str] = os.environ
) -> Download:
    """What `source` stands for, asked from `hosts` alone.

    Raises:
        LatenttyError: it is written in no form that we know, is not there, or wants a token.
    """
    if found := _HUB.fullmatch(source):
        refuse_foreign(environment.get("HF_ENDPOINT") or HUGGING_FACE, hosts)
        return await asyncio.to_thread(_of_hub, found["repo"], found["revision"], found["file"], environment)
    if found := _CIVITAI.fullmatch(source):
        return await _of_civitai(found["id"], client, environment)
    if source.startswith(("https://", "http://")):
        name = PurePosixPath(unquote(urlsplit(source).path)).name
        return Download(title=name, files=[RemoteFile(url=source, name=_safe(name, only_weights=True))])
    raise bad_request(
        f"{source!r} is no place to get a model from.",
        "Write hf:org/name, hf:org/name@revision:file.safetensors, civitai:12345 or an https address.",
    )


def _of_hub(repo: str, revision: str | None, wanted: str | None, environment: Mapping[str, str]) -> Download:
    from huggingface_hub import HfApi, get_token, hf_hub_url
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled

    endpoint = environment.get("HF_ENDPOINT") or None
    token = get_token() or ""
    try:
        info = HfApi(endpoint=endpoint, token=token or False).model_info(repo, revision=revision, files_metadata=True)
    except GatedRepoError:
        raise refused(repo, 403) from None
    except OfflineModeIsEnabled:
        raise LatenttyError(
            Problem(
                code="not_found",
                cause=f"{repo} cannot be fetched: HF_HUB_OFFLINE forbids it.",
                hint="Take that variable out of the environment.",
            )
        ) from None
    except HfHubHTTPError as error:
        raise refused(repo, error.response.status_code) from None
    except httpx2.HTTPError as error:
        raise unreachable(repo, error) from None
    siblings = info.siblings or []
    if wanted == LENDER:
        wanted, siblings = None, [one for one in siblings if not _OF_TRANSFORMER.match(one.rfilename)]
    names = {one.rfilename for one in siblings}
    chosen = [one for one in siblings if one.rfilename == wanted] if wanted else [
        one for one in siblings if _is_wanted(one.rfilename, names)
    ]  # fmt: skip
    if not any(one.rfilename.endswith(WEIGHTS) for one in chosen):
        raise _not_there(f"{repo} has no {wanted or 'weights that can be opened safely'}.")
    top = "" if wanted else repo.rpartition("/")[2] + "/"
    files = [
        RemoteFile(
            url=hf_hub_url(repo, one.rfilename, revision=info.sha or revision, endpoint=endpoint),
            name=_safe(top + (PurePosixPath(one.rfilename).name if wanted else one.rfilename)),
            size=one.size or 0,
            sha256=one.lfs.sha256 if one.lfs is not None else "",
            replaces=not wanted,
        )
        for one in chosen
    ]
    card: Any = info.card_data
    return Download(
        title=repo, files=files, token=token, license=str((card.get("license") if card is not None else "") or "")
    )


_OF_TRANSFORMER: Final = re.compile(r"(?:transformer|unet)/.*\.safetensors$")


def _is_wanted(name: str, names: set[str]) -> bool:
    """Of a whole repository: what a diffusers model needs, once, and nothing that is pickled."""
    path = PurePosixPath(name)
    if path.suffix in _BESIDE or path.name.upper().startswith("LICENSE"):
        return True
    if path.suffix != ".safetensors":
        return False
    if "model_index.json" in names and "/" not in name:
        return False  # the same model again, as one file
    stem, variant = weight_set(name)
    return not variant or all(
        PurePosixPath(one).parent != path.parent or weight_set(one) != (stem, "") for one in names
    )


async def _of_civitai(number: str, client: httpx2.AsyncClient, environment: Mapping[str, str]) -> Download:
    token = environment.get("CIVITAI_API_TOKEN") or environment.get("CIVITAI_TOKEN") or ""
    base = environment.get("CIVITAI_ENDPOINT") or CIVITAI
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = await client.get(f"{base}/api/v1/model-versions/{number}", headers=headers)
        if answer.status_code != 200:
            raise refused(f"civitai:{number}", answer.status_code)
        told = answer.json()
        files = [_civitai_file(one) for one in told["files"] if str(one["name"]).endswith(WEIGHTS)]
    except httpx2.HTTPError as error:
        raise unreachable(f"civitai:{number}", error) from None
    except (ValueError, KeyError, TypeError) as error:
        raise _not_there(f"What civitai:{number} answers cannot be understood ({error}).") from None
    if not files:
        raise _not_there(f"civitai:{number} has no file that can be opened safely.")
    model = told.get("model") or {}
    licence = await _civitai_licence(told.get("modelId"), base, client, headers)
    return Download(title=str(model.get("name") or told.get("name")), files=files[:1], token=token, license=licence)


async def _civitai_licence(model: object, base: str, client: httpx2.AsyncClient, headers: dict[str, str]) -> str:
    """What the model's page allows, in words; a version does not say it itself. Empty when nothing is said."""
    if not isinstance(model, int):
        return ""
    answer = await client.get(f"{base}/api/v1/models/{model}", headers=headers)
    try:
        told = answer.json() if answer.status_code == 200 else {}
    except ValueError:
        return ""
    if not isinstance(told, dict) or "allowCommercialUse" not in told:
        return ""
    commercial = told["allowCommercialUse"]
    uses = [commercial] if isinstance(commercial, str) else list(commercial or [])
    sold = [_COMMERCIAL.get(str(use), str(use)) for use in uses if use != "None"]
    says = [f"commercial use: {', '.join(sold) or 'none'}"]
    for name, words in _PERMISSIONS.items():
        if name in told:
            says.append(words[bool(told[name])])
    return "; ".join(says)


_COMMERCIAL: Final = {
    "Image": "pictures",
    "Rent": "services",
    "RentCivit": "services of civitai",
    "Sell": "selling the model",
}
_PERMISSIONS: Final = {
    "allowNoCredit": ("credit the author", "no credit needed"),
    "allowDerivatives": ("no merges", "merges allowed"),
    "allowDifferentLicense": ("merges keep these terms", "merges under other terms"),
}
"""What civitai's fields mean where they are false and where they are true."""


def _civitai_file(told: dict[str, Any]) -> RemoteFile:
    hashes = told.get("hashes") or {}
    return RemoteFile(
        url=str(told["downloadUrl"]), name=_safe(str(told["name"])), sha256=str(hashes.get("SHA256", "")).lower()
    )


def _safe(name: str, *, only_weights: bool = False) -> str:
    path = PurePosixPath(name)
    if not name or path.is_absolute() or any(part in ("..", "") or part.startswith(".") for part in path.parts):
        raise bad_request(f"The file name {name!r} is not possible.")
    if only_weights and path.suffix.lower() not in WEIGHTS:
        raise bad_request(f"{name!r} is no {' or '.join(WEIGHTS)} file; others are not opened.")
    return name


def refused(what: str, status: int) -> LatenttyError:
    """The error for an answer that is none."""
    if status in (401, 403):
        return LatenttyError(
            Problem(
                code="not_found",
                cause=f"{what} may not be read (status {status}): it is private, or wants its licence to be accepted.",
                hint="Accept its licence on its page, then set HF_TOKEN (or CIVITAI_API_TOKEN) to a token of yours.",
            )
        )
    if status == 407:
        return _proxy_refuses(what, "it wants a user and a password, or others than it was told")
    if status == 404:
        return _not_there(f"{what} is not there.")
    return LatenttyError(
        Problem(code="not_found", cause=f"{what}: the server answers {status}.", hint="Try again later; it goes on.")
    )


def unreachable(what: str, error: Exception) -> LatenttyError:
    """The error for a server that cannot be reached."""
    if isinstance(error, httpx2.ProxyError):
        said = str(error)
        asked = "Ask those who run it whether it may be fetched."
        return refused(what, 407) if said.startswith("407") else _proxy_refuses(what, f"it says {said}", asked)
    why = str(error) or type(error).__name__
    hint = "Look at the network and the proxy."
    if "CERTIFICATE_VERIFY_FAILED" in why:
        hint = "Where a proxy has a certificate of its own, name its file in SSL_CERT_FILE."
    return LatenttyError(Problem(code="not_found", cause=f"{what} cannot be reached ({why}).", hint=hint))


def is_refusal(error: Exception) -> bool:
    """Whether a proxy has said no, which it will say again."""
    return isinstance(error, httpx2.ProxyError) and str(error).startswith("4")


def unusable_proxy(why: str) -> LatenttyError:
    """The error for a proxy in the environment that nothing can be asked through; nothing of it is told."""
    names = "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY"
    return bad_request(f"The proxy in {names} cannot be used: {why}.", _PROXY_FORM)


_PROXY_FORM: Final = (
    "Write it as http://USER:PASSWORD@HOST:PORT in HTTPS_PROXY, with %40, %3A and %2F for an @, : or / in the password."
)


def _proxy_refuses(what: str, why: str, hint: str = _PROXY_FORM) -> LatenttyError:
    cause = f"{what} cannot be reached: the proxy refuses, {why}."
    return LatenttyError(Problem(code="not_found", cause=cause, hint=hint))


def _not_there(cause: str) -> LatenttyError:
    return LatenttyError(Problem(code="not_found", cause=cause, hint="Look at its page for the right name."))
