"""Understudy: replace the person in a video and keep everything else. Start reading at :mod:`pipeline.run`."""
