"""Engines: ways of running the four functions that everything above the network talks to."""
