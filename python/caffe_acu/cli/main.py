"""Entry point of ``caffe-acu``: finds the subcommand, turns bad input into one line."""

import argparse
import importlib
import os
import select
import sys
from collections.abc import Sequence

from caffe_acu import __version__
from caffe_acu.cli.command_parser import CommandParser
from caffe_acu.errors import UserError

# Each module has register(subparsers), which adds its parser and sets `run`, a function of the parsed
# arguments. Heavy imports belong into `run`, so that --help stays quick.
COMMANDS = (
    "train",
    "data",
    "trial",
    "evaluate",
    "positions",
    "counts",
    "scaling",
    "draw",
    "convert",
    "new",
    "models",
    "reproduce",
    "run",
    "table",
    "figure",
    "plot",
    "watch",
)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="caffe-acu",
        description="Prepare data for, look into and convert Caffe networks of active convolution units.",
        epilog="On one processor or GPU `caffe train --solver <solver.prototxt>` trains as well.",
    )
    parser.add_argument("--version", action="version", version=f"caffe-acu {__version__}")
    subparsers = parser.add_subparsers(
        title="commands", dest="command", metavar="<command>", required=True, parser_class=CommandParser
    )
    for name in COMMANDS:
        importlib.import_module(f"caffe_acu.cli.{name}").register(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns the process's exit code.

    0, 1 where a command looked for faults and found some, 2 for bad input (one line on stderr), 130 when
    interrupted, 141 when whoever reads the output, such as head, has had enough.
    """
    arguments = build_parser().parse_args(argv)
    try:
        code = arguments.run(arguments) or 0
        sys.stdout.flush()  # else a reader that is gone shows only after the last line of Python
        return code
    except BrokenPipeError:
        if not _nobody_reads():  # another pipe: a fault of ours
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still buffered
        return 141
    except UserError as error:
        print(f"caffe-acu {arguments.command}: {error}", file=sys.stderr)
        return 2
    except (RuntimeError, MemoryError) as error:
        # pycaffe's messages are lines for users, too; it is there only if the command needed it.
        if not isinstance(error, (getattr(sys.modules.get("caffe"), "Error", MemoryError), MemoryError)):
            raise
        print(f"caffe-acu {arguments.command}: {error or 'out of memory'}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"caffe-acu {arguments.command}: interrupted", file=sys.stderr)
        return 130


def _nobody_reads() -> bool:
    """Whether the output is a pipe whose reader has gone."""
    poll = select.poll()
    poll.register(sys.stdout, 0)  # errors are always told
    return any(event & select.POLLERR for _, event in poll.poll(0))


if __name__ == "__main__":
    sys.exit(main())
