"""The command line: one thin module for each subcommand, which parses, calls and prints."""
