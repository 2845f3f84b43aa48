"""`latentty models`: what was found on the disk."""

from tui.headless.json_line import json_line
from tui.library.models import find_models
from tui.library.paths import Paths
from tui.library.plain_text import plain
from tui.library.settings import load_settings
from tui.protocol.events import ModelInfo


def list_models(paths: Paths, *, as_json: bool) -> int:
    """Print every model that the settings lead to."""
    models = find_models(load_settings(paths).models())
    if as_json:
        print(json_line(models))
        return 0
    width = max(len(model.name) for model in models)
    for model in models:
        print(plain(f"{model.name:<{width}}  {_about(model)}"))
    return 0


def _about(model: ModelInfo) -> str:
    if model.problem is not None:
        return str(model.problem)
    return f"{model.family}  {model.bytes / 1e6:,.0f} MB  {model.path}"
