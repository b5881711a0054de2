"""A camera, a stream or a file played at its own rate, tracked as it comes.

session   a stream tracker that one thread steps while others prompt it and look at it; frames in, results out
outputs   where results go: files, and a pipe for other programs

`masklet.app.camera` shows it in the browser.
"""
