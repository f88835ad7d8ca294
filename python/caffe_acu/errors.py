"""The one exception that a user is meant to read."""


class UserError(Exception):
    """Bad input. Its text is one line that names the file, what is wrong and the cure.

    The command line prints it and exits with 2, without a traceback; whoever calls the functions from
    Python catches it.
    """
