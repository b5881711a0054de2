"""Engines: ways of running the four functions that everything above the network talks to."""

DESCRIPTION_FILE = "model.json"
"""The file by which an exported folder is known."""
