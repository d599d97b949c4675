"""Questions of ``unflat init cell``."""

from ..questions import Question

QUESTIONS = (
    Question(
        "acquisition.wavelength",
        "Vacuum wavelength of the light",
        "532 nm",
        "length",
        1e-7,
        2e-5,
        ("wavelength",),
        ("wavelength", "lambda", "lambda0", "wavelen", "wave_length", "energy", "photon_energy"),
        photon=True,
    ),
    Question(
        "acquisition.numerical_aperture",
        "Numerical aperture of the objective",
        "0.65",
        "number",
        0.01,
        1.8,
        ("numerical_aperture",),
        ("numerical_aperture", "na", "na_obj", "objective_na", "na_objective", "lens_na"),
    ),
    Question(
        "acquisition.medium_index",
        "Refractive index of the medium around the specimen",
        "1.333",
        "number",
        1.0,
        2.0,
        ("medium_index",),
        ("medium_index", "n_medium", "n_m", "nm", "n", "medium_refractive_index", "index_medium"),
    ),
    Question(
        "acquisition.pixel_size",
        "Pixel in the specimen: that of the camera over the magnification",
        "0.2 um",
        "length",
        5e-9,
        1e-5,
        ("pixel_size",),
        ("pixel_size", "pixelsize", "pixel", "pixel_pitch", "px", "sample_pixel_size"),
    ),
    Question("volume.depth", "Depth of the box, which must contain the specimen", "9 um", "length", 1e-7, 1e-2),
)
