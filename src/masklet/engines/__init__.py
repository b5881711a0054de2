"""Engines: ways of running the four functions of a network."""
