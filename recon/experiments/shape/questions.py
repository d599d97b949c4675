"""Questions of ``unflat init shape``."""

from ..questions import Question

QUESTIONS = (
    Question(
        "acquisition.voxel_size",
        "Pixel of the pictures in the specimen",
        "0.17 um",
        "length",
        1e-9,
        1e-4,
        ("voxel_size",),
        ("voxel_size", "pixel_size", "pixelsize", "pixel", "voxel"),
        repeat=3,
    ),
    Question("acquisition.several", "A mask that holds several cells: refuse it, cut each out, or keep them", "cut"),
    Question("acquisition.mask_values", "Numbers in a mask: share, labels, any, or auto", "labels"),
    Question("predict.draws", "Number of shapes to draw for each cell", "5", "number", 1.0),
    Question("predict.refine", "Whether to refine the shapes by the picture: true or false", "false"),
)
