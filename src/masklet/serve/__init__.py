"""masklet for other programs, over HTTP: masks of pictures, videos as jobs, streams.

No algorithm is here: masks are those of `ImagePredictor`, `masklet.jobs` and `StreamTracker`.
"""
