"""Scores of masks against the truth: plain functions on arrays, each with its source and its rule for empty masks."""
