"""Makes the data to train on: sprites and their catalogue from the icon packages, and the tokenizer."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tui.bundled.training.catalogue import Catalogue, Drawing, write_catalogue
from tui.bundled.training.pool import Share, sample_share
from tui.bundled.training.sources import read_sources
from tui.bundled.training.sprites import SIZE, sprite_tasks, write_sprites
from tui.bundled.training.subjects import choose_subjects
from tui.bundled.training.tokenizer import FOLDER, Merge, learn_merges, read_merges, training_texts, write_tokenizer
from tui.library.folders import make_folder
from tui.protocol.problem import LatenttyError, Problem


def prepare(folder: Path, packages: Path, tokenizer: Path | None, processes: int, console: Console) -> None:
    """Write into `folder` what the training reads: `sprites.bin`, `subjects.json` and `tokenizer/`.

    Args:
        folder: made when it is missing.
        packages: the npm folder `node_modules` that holds the packages of :mod:`tui.bundled.training.sources`.
        tokenizer: a folder with one to keep, so that weights trained with it can be trained on; None to learn one.
        processes: how many render.
        console: where progress is told.

    Raises:
        LatenttyError: a package is missing or damaged, an icon cannot be drawn, or `folder` cannot be written.
    """
    sources = read_sources(packages)
    subjects = choose_subjects(sources)
    if not subjects:
        cause = f"No emoji in {packages} became a subject."
        raise LatenttyError(Problem(code="bad_request", cause=cause, hint="Install the packages anew."))
    try:
        make_folder(folder)
        tasks = sprite_tasks(subjects, sources.icons)
        rendered = _shown(write_sprites(tasks, folder, processes), len(tasks), console)
        catalogue = Catalogue(subjects, [drawing for drawing in rendered if drawing is not None], SIZE)
        write_catalogue(catalogue, folder)
        console.print(f"{len(subjects)} subjects, {len(catalogue.drawings)} drawings of {len(tasks)} icons")
        merges = _learned_merges(folder, catalogue) if tokenizer is None else read_merges(tokenizer)
        write_tokenizer(merges, folder / FOLDER)
    except OSError as error:
        cause = f"The data cannot be written to {folder}: {error.strerror}."
        hint = "Name another folder, or make room there."
        raise LatenttyError(Problem(code="output_unwritable", cause=cause, hint=hint)) from None
    console.print(f"a tokenizer with {len(merges)} merges, {'learned from captions' if tokenizer is None else 'kept'}")


def _learned_merges(folder: Path, catalogue: Catalogue) -> list[Merge]:
    captions = sample_share(Share(folder, seed=77, pictures=60_000, captions=1, scenes_each=4)).captions
    return learn_merges(training_texts(catalogue, (caption for own in captions for caption in own)))


def _shown(drawings: Iterable[Drawing | None], total: int, console: Console) -> Iterator[Drawing | None]:
    """`drawings` as they come, with a bar on `console`."""
    columns = (TextColumn("rendering"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        yield from progress.track(drawings, total=total)
