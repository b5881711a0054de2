"""masklet for other programs, over HTTP: masks of pictures, videos as jobs, streams.

server    requests, who may ask, streams over a WebSocket, and serving
pictures  pictures of several requests in one go
videos    video jobs: on disk, one after another, gone on with after a restart
openapi   the description of all that, for programs

No algorithm is here: masks are those of `ImagePredictor`, `masklet.jobs` and `StreamTracker`.
"""
