"""The one exception that a user is meant to read."""

from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Bad input. Its text is one line that names the file, what is wrong and the cure.

    The command line prints it and exits with 2, without a traceback; whoever calls the functions from
    Python catches it.
    """


@contextmanager
def naming(what: object) -> Iterator[None]:
    """Puts ``what``, a file or a layer, in front of the messages of bad input that come up inside."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{what}: {error}") from error
