"""Helpers of the first Segment Anything that clients call."""
