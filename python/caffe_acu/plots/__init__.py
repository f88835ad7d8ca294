"""Figures: functions that take arrays and return a Matplotlib figure. Nothing here reads files."""
