"""A parser that has arguments of its own, and commands beside them."""

import argparse


class CommandParser(argparse.ArgumentParser):
    """Where commands were added, a first word that is one of them goes to that; any other, such as a file, stays."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self._commands: argparse.ArgumentParser | None = None
        self._names = frozenset()

    def add_commands(self) -> "argparse._SubParsersAction":
        """What argparse's ``add_subparsers`` returns; that takes every first word for a command."""
        self._commands = argparse.ArgumentParser(usage=argparse.SUPPRESS, add_help=False)
        commands = self._commands.add_subparsers(
            title="commands, each with a --help of its own", metavar="<command>", prog=self.prog
        )
        self._names = commands.choices.keys()  # a view: of those that are added later, too
        return commands

    def parse_known_args(self, args=None, namespace=None):
        if self._commands and args and args[0] in self._names:
            return self._commands.parse_known_args(args, namespace)
        return super().parse_known_args(args, namespace)

    def format_help(self) -> str:
        listed = f"\n{self._commands.format_help()}" if self._commands else ""
        return super().format_help() + listed
