"""Questions of ``unflat init crystal``."""

from ..questions import Question

QUESTIONS = (
    Question(
        "acquisition.wavelength",
        "Wavelength of the X-rays, or the energy of their photons",
        "9 keV",
        "length",
        1e-12,
        1e-8,
        ("wavelength",),
        ("wavelength", "lambda", "energy", "photon_energy", "incident_wavelength", "incident_energy", "beam_energy"),
        photon=True,
    ),
    Question(
        "acquisition.detector_distance",
        "Distance of the detector from the crystal",
        "1.2 m",
        "length",
        1e-3,
        200.0,
        ("detector_distance",),
        ("detector_distance", "distance", "sample_detector_distance", "camera_distance", "arm"),
    ),
    Question(
        "acquisition.pixel_size",
        "Pixel of the detector",
        "55 um",
        "length",
        1e-6,
        1e-3,
        ("pixel_size",),
        ("pixel_size", "pixelsize", "pixel", "detector_pixel_size", "pixel_pitch"),
    ),
    Question(
        "acquisition.goniometer.beamline",
        "Beamline whose circles turn crystal and detector, by its name",
        "ID01",
        entries=("reciprocal_basis",),
    ),
    Question("acquisition.saturation", "Count from which a pixel of the detector is saturated", "60000", "number", 1.0),
)
