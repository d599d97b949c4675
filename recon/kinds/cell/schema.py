"""What an acquisition of a cell holds. The order matters: the first arrays set the sizes of the axes."""

from ...acquisition.acquisition import Entry

_IMAGE = (("view", "y", "x"),)
_IMAGE_OR_COMMON = (("y", "x"), ("view", "y", "x"))
_SCALAR: tuple[tuple[str, ...], ...] = ((),)

SCHEMA: tuple[Entry, ...] = (
    Entry(
        "images",
        "/measurement/images",
        _IMAGE,
        "counts",
        "intensity images",
        choice="measurement",
        at_least=0,
    ),
    Entry(
        "field",
        "/measurement/field",
        _IMAGE,
        "1",
        "complex field, instead of images",
        choice="measurement",
        dtype="complex",
    ),
    Entry(
        "background",
        "/measurement/background",
        _IMAGE_OR_COMMON,
        "counts",
        "the same without the specimen",
        at_least=0,
    ),
    Entry(
        "mask",
        "/measurement/mask",
        _IMAGE_OR_COMMON,
        "1",
        "bad pixels; 0 is good",
        dtype="integer",
        hides=True,
    ),
    Entry(
        "wavelength",
        "/instrument/wavelength",
        _SCALAR,
        "m",
        "vacuum wavelength",
        required=True,
        positive=True,
    ),
    Entry(
        "numerical_aperture",
        "/instrument/numerical_aperture",
        _SCALAR,
        "1",
        "numerical aperture of the objective",
        required=True,
        positive=True,
    ),
    Entry(
        "medium_index",
        "/instrument/medium_index",
        _SCALAR,
        "1",
        "refractive index around the specimen",
        required=True,
        at_least=1,
    ),
    Entry(
        "pixel_size",
        "/instrument/pixel_size",
        (("2",),),
        "m",
        "pixel (y, x) in the specimen",
        required=True,
        positive=True,
    ),
    Entry(
        "illumination_na",
        "/instrument/illumination_na",
        (("view", "2"),),
        "1",
        "n sin θ of the light along (y, x), one direction a view",
        choice="illumination",
    ),
    Entry(
        "source_na",
        "/instrument/source_na",
        (("source", "2"),),
        "1",
        "n sin θ along (y, x) of each of several sources",
        choice="illumination",
    ),
    Entry(
        "pattern",
        "/instrument/pattern",
        (("view", "source"),),
        "1",
        "brightness of each source in each view",
        at_least=0,
    ),
    Entry(
        "rotation",
        "/instrument/rotation",
        (("view", "3", "3"),),
        "1",
        "turns the specimen's (z, y, x) into the laboratory's",
    ),
    Entry(
        "defocus",
        "/instrument/defocus",
        (("view",),),
        "m",
        "plane of focus along +z",
    ),
)
