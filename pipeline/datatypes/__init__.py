"""Every value that crosses a pass, one file an idea.

Convention
----------
Pixels: x right, y down, pixel centers at integers (as in OpenCV). Boxes are ``x0, y0, x1, y1``. Transforms are
``(T, 3, 3) float64`` and act on column vectors ``(x, y, 1)``; ``a_from_b`` takes points of space b to space a.

Spaces
    ``source``  the decoded picture, turned upright by the display matrix (coded pixels where there is none)
    ``world``   the source space of the shot's first frame: camera motion removed
    ``stable``  the source space with the camera's shake removed and its slow moves kept
    ``crop``    what a generator sees: a smooth virtual camera that follows the subject inside ``stable``

All stages work on upright pictures. Only the composite and the artifacts go back to the *coded* orientation,
by exact quarter turns and mirroring. Left and right of a body are its own.
"""
