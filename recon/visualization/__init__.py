"""Pictures of models, volumes and measurements.

Each function takes a result and gives a figure or frames; nothing here opens a window, keeps a global state, or writes
anywhere but where it is told. Matplotlib is imported when a picture is drawn, not before.

Lengths are in metres in every argument and in µm on every axis. Images are (y, x), y down, x right.
"""

from .animation import spin_frames, zoom_frames, zoom_views
from .comparison import compare_views, compare_volumes
from .curves import loss_curves
from .montage import depth_montage
from .movies import write_movie
from .planes import require_inside
from .projection import project, projection_figure
from .slices import orthogonal_slices
from .style import save_figure
from .surface import surface_figure

__all__ = [
    "compare_views",
    "compare_volumes",
    "depth_montage",
    "loss_curves",
    "orthogonal_slices",
    "project",
    "projection_figure",
    "require_inside",
    "save_figure",
    "spin_frames",
    "surface_figure",
    "write_movie",
    "zoom_frames",
    "zoom_views",
]
