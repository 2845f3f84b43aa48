"""The command `latentty`. Only the standard library is imported before a command is chosen, so that help is instant."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from tui import __version__
from tui.headless.options import add_options, request
from tui.library.listing import is_tellable, told_path

if TYPE_CHECKING:
    from tui.library.paths import Paths

DESCRIPTION = "Make pictures with diffusion models from a terminal. Without a command, the app opens."

CANNOT_DRAW: Final = ("dumb", "unknown")
"""Terminals, by TERM, that have no cursor to move: the app would stay empty on them."""

LINE_BY_LINE: Final = (
    "This terminal shows lines only, says TERM, so Latentty goes line by line. For the app, set TERM to what the "
    "terminal is, such as xterm-256color."
)


class _Parser(argparse.ArgumentParser):
    """Quotes what it does not understand, such as the names of files, without what steers a terminal."""

    def error(self, message: str) -> NoReturn:
        from tui.library.plain_text import plain

        super().error(plain(message))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `latentty` with `arguments`, or those of the process; the exit status."""
    parser = _parser()
    given = sys.argv[1:] if arguments is None else arguments
    for text in given:
        if not is_tellable(text):
            parser.error(f"'{told_path(text)}' is not UTF-8, and no message could tell it: rename the file")
    parsed = parser.parse_args(given)
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
    add_options(parser)
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
        " or an https address. hf:org/name:lender leaves out the transformer, where you have one in a single file."
        " It goes on where it was stopped, and is checked before it gets its name."
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


def _app(arguments: argparse.Namespace, paths: "Paths") -> int:
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    cannot_draw = os.environ.get("TERM", "").lower() in CANNOT_DRAW
    if is_terminal and cannot_draw and not arguments.plain:
        print(LINE_BY_LINE, file=sys.stderr)
    if arguments.plain or (is_terminal and cannot_draw):
        from tui.headless.plain import plain_session

        return plain_session(paths)
    if not is_terminal:
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
    from tui.headless.generate import generate

    said = vars(arguments)
    return generate(paths, request(arguments.prompt, said, as_json=arguments.json, show=not arguments.no_picture))


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
