"""`python -m tui.bundled.training COMMAND`: makes the bundled model anew. Needs the extra `training`."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from tui.library.plain_text import plain
from tui.protocol.problem import LatenttyError, Problem, bad_request

if TYPE_CHECKING:
    from tui.bundled.training.course import Course

DESCRIPTION = "Make the model that comes with Latentty anew, step by step."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command of the training; the exit status."""
    parsed = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], None] = parsed.run
    try:
        run(parsed)
    except LatenttyError as error:
        print(f"training: {plain(str(error))}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        missing = Problem(
            code="not_found", cause=f"The module {error.name} is missing.", hint="Run: pip install 'latentty[training]'"
        )
        print(f"training: {plain(str(missing))}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tui.bundled.training", description=DESCRIPTION)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_prepare(commands)
    _add_train(commands)
    _add_all(commands)
    _add_evaluate(commands)
    _add_abilities(commands)
    return parser


def _add_prepare(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "prepare",
        help="make the data: sprites, their catalogue and the tokenizer",
        description="Render the icons of four npm packages to sprites, and learn the tokenizer from captions of them.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the data goes")
    parser.add_argument(
        "--packages", type=Path, metavar="PATH", help="the node_modules with the packages (default: that in FOLDER)"
    )
    parser.add_argument(
        "--tokenizer", type=Path, metavar="PATH", help="a tokenizer's folder to keep, to train on from weights with it"
    )
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, metavar="N", help="how many render (default: one a core)"
    )
    parser.set_defaults(run=_prepare)


def _prepare(parsed: argparse.Namespace) -> None:
    from tui.bundled.training.prepare import prepare

    packages = parsed.packages or parsed.folder / "node_modules"
    prepare(parsed.folder, packages, parsed.tokenizer, parsed.processes, Console(stderr=True))


def _add_train(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "train",
        help="teach one part of the model",
        description="Teach one part: denoiser, control, decoder, lora-pixel, lora-sketch, embedding or autoencoder.",
    )
    parser.add_argument("part", metavar="PART", help="which")
    _add_taught(parser)
    parser.set_defaults(run=_train)


def _add_all(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "all",
        help="teach the denoiser, then all that goes with it",
        description="Teach the denoiser, then the ControlNet, the decoder, LoRAs and the embedding.",
    )
    _add_taught(parser)
    parser.add_argument(
        "--denoiser-share", type=float, default=0.74, metavar="X", help="the denoiser's share of the time (0.74)"
    )
    parser.set_defaults(run=_all)


def _add_taught(parser: argparse.ArgumentParser) -> None:
    """What is taught from, for how long, and how much of everything."""
    parser.add_argument("data", type=Path, metavar="DATA", help="the data, as prepare wrote it")
    parser.add_argument("out", type=Path, metavar="OUT", help="where models go; what was cut off goes on from there")
    parser.add_argument("--seconds", type=float, required=True, metavar="N", help="for how long, by the clock")
    parser.add_argument(
        "--from", type=Path, dest="begun_with", metavar="MODEL", help="teach this model on, instead of a new denoiser"
    )
    parser.add_argument("--rate", type=float, default=1.0, metavar="X", help="times the denoiser's usual rates")
    parser.add_argument("--pictures", type=int, metavar="N", help="to learn from at a time, at most (default: 1000000)")
    parser.add_argument("--shard", type=int, metavar="N", help="pictures that are made at a time (default: 8192)")
    parser.add_argument(
        "--other-pictures", type=int, metavar="N", help="of each size other than 256 × 256 (default: 16384; 0: none)"
    )
    parser.add_argument("--edges", type=int, metavar="N", help="pictures for the ControlNet (default: 65536)")
    parser.add_argument("--scenes-each", type=int, metavar="N", help="pictures of each scene (default: 100)")
    parser.add_argument("--batch", type=int, metavar="N", help="pictures of a step (default: 512)")
    parser.add_argument("--most-steps", type=int, metavar="N", help="end any part after so many steps")
    parser.add_argument("--save-every", type=float, metavar="SECONDS", help="for what is cut off (default: 150)")
    parser.add_argument("--processes", type=int, metavar="N", help="that draw and invent (default: one a core)")
    parser.add_argument("--no-compile", dest="compile", action="store_false", help="do not compile steps on a GPU")


def _course(parsed: argparse.Namespace) -> "Course":
    from tui.bundled.training.course import Course
    from tui.bundled.training.effort import Effort

    given = {name: getattr(parsed, name) for name in Effort.__struct_fields__}
    return Course(
        data=parsed.data,
        out=parsed.out,
        begun_with=parsed.begun_with,
        effort=Effort(**{name: value for name, value in given.items() if value is not None}),
        rate=parsed.rate,
        begun=time.time(),
    )


def _train(parsed: argparse.Namespace) -> None:
    from tui.bundled.training.lessons import PARTS, teach_part

    if parsed.part not in PARTS:
        raise bad_request(f"There is no part {parsed.part}.", f"There are: {', '.join(PARTS)}.")
    teach_part(_course(parsed), parsed.part, parsed.seconds)


def _all(parsed: argparse.Namespace) -> None:
    from tui.bundled.training.lessons import teach_all

    teach_all(_course(parsed), parsed.seconds, parsed.denoiser_share)


def _add_evaluate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "evaluate",
        help="measure a finished model by what it draws",
        description="Draw prompts with a finished model and count how often it did what was asked.",
    )
    _add_measured(parser)
    parser.add_argument("--only", action="append", metavar="MEASURE", help="only this measure, repeatable")
    parser.add_argument("--steps", type=int, default=15, metavar="N", help="denoising steps (default: 15)")
    parser.add_argument("--guidance", type=float, default=5.0, metavar="X", help="guidance scale (default: 5)")
    parser.set_defaults(run=_evaluate)


def _add_measured(parser: argparse.ArgumentParser) -> None:
    """What is measured, and with what."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="the model's folder")
    parser.add_argument("data", type=Path, metavar="DATA", help="the data it was made from, as prepare wrote it")
    parser.add_argument("out", type=Path, metavar="OUT", help="where figures and sheets go")
    parser.add_argument("--device", default="cpu", metavar="NAME", help="such as cpu or cuda (default: cpu)")


def _evaluate(parsed: argparse.Namespace) -> None:
    from tui.bundled.training.evaluate import MEASURES, evaluate
    from tui.bundled.training.painter import Painter

    unknown = sorted(set(parsed.only or []) - set(MEASURES))
    if unknown:
        raise bad_request(f"There is no measure {', '.join(unknown)}.", f"There are: {', '.join(MEASURES)}.")
    painter = Painter(parsed.model, parsed.device, parsed.steps, parsed.guidance)
    evaluate(painter, parsed.data, parsed.out, parsed.only or list(MEASURES), Console(stderr=True))


def _add_abilities(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "abilities",
        help="measure img2img, inpainting, a ControlNet for edges and a LoRA for pixel art",
        description="Measure what a finished model does beside drawing prompts.",
    )
    _add_measured(parser)
    parser.add_argument("--control", type=Path, metavar="PATH", help="the folder of a ControlNet for edges")
    parser.add_argument("--lora", type=Path, metavar="PATH", help="the folder of a LoRA for pixel art")
    parser.set_defaults(run=_abilities)


def _abilities(parsed: argparse.Namespace) -> None:
    from tui.bundled.training.abilities import measure_abilities

    console = Console(stderr=True)
    measure_abilities(parsed.model, parsed.data, parsed.out, parsed.control, parsed.lora, parsed.device, console)


if __name__ == "__main__":
    sys.exit(main())
