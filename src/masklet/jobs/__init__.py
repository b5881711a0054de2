"""Tracking as a job: what is asked of a video, done in one go or gone on with, and of many videos on many machines."""
