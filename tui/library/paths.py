"""Where things lie. Every path of the program is named here and nowhere else."""

import hashlib
import os
import platform
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import platformdirs

import tui
from tui.protocol.problem import LatenttyError, Problem

APP = "latentty"
MAX_SOCKET_PATH = 107
"""Bytes that fit into `sockaddr_un.sun_path`, without its final NUL."""


@dataclass(frozen=True)
class Paths:
    """The folders of one user on one box."""

    config: Path
    state: Path
    """Of this host: a home folder may be shared by several."""
    cache: Path
    pictures: Path
    models: Path
    """Where fetched models go while the settings name no folder."""

    @classmethod
    def of_user(cls) -> "Paths":
        """The XDG folders of whoever runs this."""
        return cls(
            config=platformdirs.user_config_path(APP),
            state=platformdirs.user_state_path(APP) / _host_name(),
            cache=platformdirs.user_cache_path(APP),
            pictures=platformdirs.user_pictures_path() / APP,
            models=platformdirs.user_data_path(APP) / "models",
        )

    @property
    def settings_file(self) -> Path:
        return self.config / "settings.toml"

    @property
    def keymap_file(self) -> Path:
        return self.config / "keymap.toml"

    @property
    def themes(self) -> Path:
        """The user's own themes."""
        return self.config / "themes"

    @property
    def prompts(self) -> Path:
        """Saved prompts and style presets, one file each."""
        return self.config / "prompts"

    @property
    def masks(self) -> Path:
        """Masks that were painted."""
        return self.state / "masks"

    @property
    def lock_file(self) -> Path:
        return self.state / "engine.lock"

    @property
    def log_file(self) -> Path:
        return self.state / "engine.log"

    @property
    def database_file(self) -> Path:
        return self.state / "latentty.db"

    def socket_file(self) -> Path:
        """Where the engine listens: in the runtime folder, or below /tmp where there is none.

        The name carries a digest of the state folder, so that engines with different state never share a socket.

        Raises:
            LatenttyError: the folder is not ours alone.
        """
        folder = private_folder(_runtime_folder())
        digest = hashlib.sha256(os.fsencode(self.state)).hexdigest()[:8]
        path = folder / f"engine-{digest}.sock"
        if len(os.fsencode(path)) > MAX_SOCKET_PATH:
            path = private_folder(_temporary_folder()) / path.name
        return path


def expanded(path: str | Path) -> Path:
    """`path` with the home folder that a `~` at its beginning means; one of a user who is unknown here stays."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - pathlib's own raises then


def short_path(path: str | Path) -> str:
    """`path` with `~` for the home folder, as people write it."""
    home, told = str(Path.home()), str(path)
    return "~" + told.removeprefix(home) if told == home or told.startswith(f"{home}/") else told


def _host_name() -> str:
    name = "".join(letter for letter in platform.node() if letter.isalnum() or letter in "-_.")
    return name.strip(".") or "localhost"


def _runtime_folder() -> Path:
    given = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    if given.is_absolute() and _is_ours_to_write(given):
        return given / APP
    return _temporary_folder()


def _is_ours_to_write(folder: Path) -> bool:
    """Whether nobody else can put another folder in the place of one of ours: not where others write, nor where we
    are a guest, as after `sudo`, which may leave the variable as it was."""
    try:
        found = folder.stat()
    except OSError:
        return False
    return (
        stat.S_ISDIR(found.st_mode)
        and found.st_uid == os.getuid()
        and not found.st_mode & 0o022
        and os.access(folder, os.W_OK | os.X_OK)
    )


def _temporary_folder() -> Path:
    return Path(f"/tmp/{APP}-{os.getuid()}")


def private_folder(folder: Path) -> Path:
    """`folder`, made when it is missing; only its owner can enter it.

    Raises:
        LatenttyError: it is a link, another user's, or open to others.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        why = "is not a folder of its own (a link?)"
    elif found.st_uid != os.getuid():
        why = "belongs to another user"
    elif found.st_mode & 0o077:
        why = "can be entered by others"
    else:
        return folder
    raise LatenttyError(
        Problem(
            code="engine_unavailable",
            cause=f"The folder {folder} for the engine's socket {why}.",
            hint=(
                f"Remove it, or make it yours alone: chmod 700 {folder}"
                if found.st_uid == os.getuid()
                else "Have XDG_RUNTIME_DIR name a folder that is yours alone (mode 700)."
            ),
        )
    )


def bundled_models() -> Path:
    """The folder of the models that come with the program."""
    return Path(tui.__file__).parent / "bundled"


def configurations() -> Path:
    """The folder of the configurations that come with the program, for checkpoints in a single file."""
    return Path(tui.__file__).parent / "configurations"


def shipped_themes() -> Path:
    """The themes that come with the program: inside the package when installed, beside it in a checkout."""
    package = Path(tui.__file__).parent
    inside = package / "themes"
    return inside if inside.is_dir() else package.parent / "themes"
