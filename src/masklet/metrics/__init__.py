"""Scores of masks against the truth: plain functions on arrays, each with its source and its rule for empty masks.

region       J, the IoU of masks
boundary     F, the accuracy of outlines, and boundary IoU
"""
