"""The command `latentty`. Only the standard library is imported before a command is chosen, so that help is instant."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tui import __version__

if TYPE_CHECKING:
    from tui.library.paths import Paths

_MODES = ("txt2img", "img2img", "inpaint", "outpaint", "edit", "refine")
"""As in the protocol, which is not imported for help; a test holds them together."""

_OFFLOADS = ("none", "components", "layers")
"""The same."""

_QUANTISES = ("none", "int8")
"""The same."""

DESCRIPTION = "Make pictures with diffusion models from a terminal. Without a command, the app opens."


class _Parser(argparse.ArgumentParser):
    """Quotes what it does not understand, such as the names of files, without what steers a terminal."""

    def error(self, message: str) -> NoReturn:
        from tui.library.plain_text import plain

        super().error(plain(message))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `latentty` with `arguments`, or those of the process; the exit status."""
    parsed = _parser().parse_args(arguments)
    run: Callable[..., int] = parsed.run
    from tui.library.paths import Paths
    from tui.protocol.problem import LatenttyError

    try:
        return run(parsed, Paths.of_user())
    except LatenttyError as error:
        from tui.library.plain_text import plain

        print(f"latentty: {plain(str(error))}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read our output has gone
        sys.stdout = None
        return 1
    except KeyboardInterrupt:
        return 130  # as a shell expects it


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(prog="latentty", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"latentty {__version__}")
    parser.add_argument("--plain", action="store_true", help="line by line, without a screen: for screen readers")
    parser.set_defaults(run=_app)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_generate(commands)
    _add_models(commands)
    _add_engine(commands)
    _add_doctor(commands)
    _add_bench(commands)
    return parser


def _add_generate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "generate",
        help="make pictures and print their paths",
        description="Make pictures without the app: progress on stderr, paths on stdout, one a line.",
    )
    parser.add_argument("prompt", help="what the picture shows")
    parser.add_argument("--negative", default="", metavar="TEXT", help="what it should not show")
    parser.add_argument("--model", metavar="NAME", help="a listed model or a path (default: the one used last)")
    parser.add_argument("--seed", type=int, metavar="N", help="the first picture's seed (default: random)")
    parser.add_argument("--steps", type=int, metavar="N", help="denoising steps, 1 to 500")
    parser.add_argument("--guidance", type=float, metavar="X", help="guidance scale, 0 to 50")
    parser.add_argument("--size", type=_size, metavar="WxH", help="pixels, such as 512x768; multiples of 8")
    parser.add_argument("--scheduler", metavar="NAME", help='such as dpmpp-2m-karras or "DPM++ 2M Karras"')
    parser.add_argument("--count", type=int, default=1, metavar="N", help="pictures to make, seed after seed")
    drawn = parser.add_argument_group("from a picture")
    drawn.add_argument("--mode", choices=_MODES, help="what is made from what (default: what the other options imply)")
    drawn.add_argument("--image", type=Path, metavar="FILE", help="the picture to begin with")
    drawn.add_argument("--mask", type=Path, metavar="FILE", help="white is drawn anew, black is kept")
    drawn.add_argument("--strength", type=float, metavar="X", help="how far to leave the picture, 0 to 1")
    drawn.add_argument("--mask-blur", type=int, metavar="PX", help="softens the mask's edge")
    drawn.add_argument("--grow", type=_edges, metavar="L,T,R,B", help="pixels to add at the left, top, right, bottom")
    drawn.add_argument(
        "--control",
        action="append",
        default=[],
        type=_control,
        metavar="NET=FILE[,OPTION...]",
        help="a ControlNet and its picture, repeatable; options: an annotator, weight=0.8, start=0.1, end=0.9",
    )
    parser.add_argument(
        "--lora",
        action="append",
        default=[],
        type=_lora,
        metavar="FILE[:WEIGHT]",
        help="a LoRA (a file, a folder or a name) and how strongly it acts, -4 to 4, repeatable",
    )
    parser.add_argument("--triggers", action="store_true", help="put the words that call up the LoRAs into the prompt")
    parser.add_argument("--clip-skip", type=int, metavar="N", help="leave out the last N-1 layers of CLIP, 1 to 12")
    parser.add_argument("--prompt-2", metavar="TEXT", help="for the second text encoder (default: the same)")
    parser.add_argument("--negative-2", metavar="TEXT", help="the negative prompt for it (default: the same)")
    parser.add_argument("--vae", default="", metavar="NAME", help="another VAE than the model's own: a name or path")
    parser.add_argument("--text-encoder", default="", metavar="NAME", help="the same for a text encoder")
    parser.add_argument("--tile-vae", action="store_true", help="decode tile by tile, which needs less memory")
    parser.add_argument("--offload", choices=_OFFLOADS, default="none", help="what waits off the device for its turn")
    parser.add_argument("--compile", action="store_true", help="compile the model first: minutes once, quicker steps")
    parser.add_argument("--quantise", choices=_QUANTISES, default="none", help="weights of 8 bits, with extra torchao")
    parser.add_argument("--out", type=Path, metavar="PATH", help="a folder, or a name that ends in .png, .jpg or .webp")
    parser.add_argument("--json", action="store_true", help="tell every event as one JSON object a line")
    parser.add_argument("--no-picture", action="store_true", help="do not show pictures in the terminal")
    parser.set_defaults(run=_generate)


def _add_models(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "models",
        help="list the models that were found",
        description="List models of every kind in the model folders and in those of other programs.",
    )
    parser.add_argument(
        "text", nargs="*", metavar="TEXT", help="[list] part of a name, family, path or trigger word; or: get SOURCE"
    )
    parser.epilog = (
        "latentty models get SOURCE fetches a model: hf:org/name[@revision][:file], civitai:ID (of a model version)"
        " or an https address. It goes on where it was stopped, and is checked before it gets its name."
    )
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="for get: where to (default: the first model folder)")
    parser.add_argument("--detach", action="store_true", help="for get: let the engine fetch it, and do not wait")
    parser.add_argument("--kind", action="append", default=[], metavar="KIND", help="such as lora or vae; repeatable")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=_models)


def _add_engine(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "engine",
        help="the daemon that does the work",
        description="The daemon that keeps the queue and does the work; the app starts it by itself.",
    )
    parser.set_defaults(run=_engine_start)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    start = actions.add_parser("start", help="start it in the background (the default)")
    start.set_defaults(run=_engine_start)
    run = actions.add_parser("run", help="be the engine, in the foreground")
    run.add_argument("--detach", action="store_true", help="in the background, once it listens")
    run.set_defaults(run=_engine_run)
    status = actions.add_parser("status", help="what it is doing")
    status.add_argument("--json", action="store_true", help="everything, as JSON")
    status.set_defaults(run=_engine_status)
    stop = actions.add_parser("stop", help="end it; waiting jobs are kept")
    stop.add_argument("--force", action="store_true", help="even if it does not answer")
    stop.set_defaults(run=_engine_stop)
    logs = actions.add_parser("logs", help="the end of its log")
    logs.add_argument("-n", "--lines", type=int, default=100, metavar="N", help="how many lines (default: 100)")
    logs.set_defaults(run=_engine_logs)


def _add_doctor(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "doctor",
        help="what this box has, what was found, what will fit, what to do next",
        description="Tell what this box has, what was found on it, what will fit, and what to do next.",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write a bundle for a bug report instead: versions, settings, log and state, without secrets",
    )
    parser.set_defaults(run=_doctor)


def _add_bench(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "bench",
        help="how fast this box is, beside plain diffusers",
        description="Measure our way beside the naive diffusers way, in one run, on this box.",
    )
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--model", default="", metavar="PATH", help="a model's folder (default: the bundled model)")
    chosen.add_argument("--synthetic", default="", choices=("sd15", "sdxl", "flux"), help="real sizes, random weights")
    parser.add_argument("--only", action="append", default=[], metavar="ROW", help="this row alone; repeatable")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--plot", action="store_true", help="with bars of the ratios")
    parser.set_defaults(run=_bench)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().replace("×", "x").partition("x")
    try:
        return int(width), int(height or width)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write it as 512x768") from None


def _edges(text: str) -> tuple[int, int, int, int]:
    try:
        left, top, right, bottom = (int(number) for number in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not four numbers; write them as 0,0,64,0") from None
    return left, top, right, bottom


def _control(text: str) -> dict[str, str]:
    """`NET=FILE,canny,weight=0.8` as the fields of a Control, each still text."""
    net, equals, rest = text.partition("=")
    file, *options = rest.split(",")
    if not (net and equals and file):
        raise argparse.ArgumentTypeError(f"{text!r} names no ControlNet and picture; write them as edges=fox.png,canny")
    fields = {"model": net, "image": file}
    for option in options:
        name, equals, value = option.partition("=")
        fields |= {name: value} if equals else {"annotator": name}
    return fields


def _lora(text: str) -> tuple[str, float]:
    """`FILE:0.8` as the file and the weight; the weight is 1 where none is written."""
    file, colon, weight = text.rpartition(":")
    try:
        return (file, float(weight)) if colon and file else (text, 1.0)
    except ValueError:  # a colon in the file's name
        return text, 1.0


def _app(arguments: argparse.Namespace, paths: "Paths") -> int:
    if arguments.plain:
        from tui.headless.plain import plain_session

        return plain_session(paths)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print('latentty: the app needs a terminal; without one use: latentty generate "a prompt"', file=sys.stderr)
        return 2
    from tui.client import begin_engine
    from tui.library.first_run import is_first_run
    from tui.library.settings import load_settings
    from tui.terminal.probe import Probe

    settings = load_settings(paths)
    starter = begin_engine(paths)  # while the terminal answers and the app comes up
    with Probe() as probe:
        probe.ask()
        import tui.app  # while the terminal answers
        from tui.terminal.pictures import Pictures

        terminal = probe.terminal()
        if terminal.truecolor:  # SSH does not hand it on
            os.environ["COLORTERM"] = "truecolor"
        pictures = Pictures(terminal, settings.preview)
        tour = is_first_run(paths.cache)
        app = tui.app.LatenttyApp(paths, settings, pictures, probe, tour=tour, starter=starter)
        app.run()
        return app.return_code or 0


def _generate(arguments: argparse.Namespace, paths: "Paths") -> int:
    from tui.headless.generate import Request, generate

    return generate(
        paths,
        Request(
            prompt=arguments.prompt,
            negative=arguments.negative,
            model=arguments.model,
            seed=arguments.seed,
            steps=arguments.steps,
            guidance=arguments.guidance,
            size=arguments.size,
            scheduler=arguments.scheduler,
            count=arguments.count,
            mode=arguments.mode,
            image=arguments.image,
            mask=arguments.mask,
            strength=arguments.strength,
            mask_blur=arguments.mask_blur,
            grow=arguments.grow,
            controls=tuple(arguments.control),
            loras=tuple(arguments.lora),
            clip_skip=arguments.clip_skip,
            prompt_2=arguments.prompt_2,
            negative_2=arguments.negative_2,
            vae=arguments.vae,
            text_encoder=arguments.text_encoder,
            triggers=arguments.triggers,
            tile_vae=arguments.tile_vae,
            compiled=arguments.compile,
            offload=arguments.offload,
            quantise=arguments.quantise,
            out=arguments.out,
            as_json=arguments.json,
            show=not arguments.no_picture,
        ),
    )


def _models(arguments: argparse.Namespace, paths: "Paths") -> int:
    verb, *text = arguments.text or ["list"]
    if verb == "get":
        from tui.headless.get_models import get_model
        from tui.protocol.problem import bad_request

        if len(text) != 1:
            raise bad_request("get needs one SOURCE.", "Such as: latentty models get hf:org/name")
        return get_model(paths, text[0], arguments.to, wait=not arguments.detach)
    from tui.headless.models import list_models

    wanted = " ".join(text if verb == "list" else arguments.text)
    return list_models(paths, as_json=arguments.json, kinds=arguments.kind, text=wanted)


def _bench(arguments: argparse.Namespace, paths: "Paths") -> int:
    from tui.headless.bench import bench

    return bench(
        paths,
        model=arguments.model,
        synthetic=arguments.synthetic,
        only=arguments.only,
        as_json=arguments.json,
        plot=arguments.plot,
    )


def _engine_start(_: argparse.Namespace, paths: "Paths") -> int:
    from tui.headless.engine_control import start

    return start(paths)


def _engine_run(arguments: argparse.Namespace, paths: "Paths") -> int:
    from tui.engine.process import run, run_detached

    return run_detached(paths) if arguments.detach else run(paths)


def _engine_status(arguments: argparse.Namespace, paths: "Paths") -> int:
    from tui.headless.engine_control import status

    return status(paths, as_json=arguments.json)


def _engine_stop(arguments: argparse.Namespace, paths: "Paths") -> int:
    from tui.headless.engine_control import stop

    return stop(paths, force=arguments.force)


def _engine_logs(arguments: argparse.Namespace, paths: "Paths") -> int:
    from tui.headless.engine_control import logs

    return logs(paths, lines=arguments.lines)


def _doctor(arguments: argparse.Namespace, paths: "Paths") -> int:
    from tui.headless.doctor import doctor, report

    return report(paths, arguments.report) if arguments.report else doctor(paths, as_json=arguments.json)
