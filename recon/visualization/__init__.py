"""Figures and movies of models, volumes and measurements.

Functions take a result and return a figure or frames; none opens a window or keeps a global state. Matplotlib is
imported when a figure is drawn.

Lengths are in metres in arguments and in µm on axes. Images are (y, x), y down, x right.
"""

from .animation import spin_frames, zoom_frames, zoom_views
from .captions import add_caption, with_caption
from .comparison import compare_views, compare_volumes
from .curves import loss_curves
from .movies import write_movie
from .planes import require_inside
from .projection import project, projection_figure
from .series_movie import series_frames, series_strip
from .slices import depth_montage, orthogonal_slices
from .style import save_figure
from .surface import surface_figure

__all__ = [
    "add_caption",
    "compare_views",
    "compare_volumes",
    "depth_montage",
    "loss_curves",
    "orthogonal_slices",
    "project",
    "projection_figure",
    "require_inside",
    "save_figure",
    "series_frames",
    "series_strip",
    "spin_frames",
    "surface_figure",
    "with_caption",
    "write_movie",
    "zoom_frames",
    "zoom_views",
]
