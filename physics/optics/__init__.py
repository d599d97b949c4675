"""Light through a specimen: propagation, scattering models, pupil, illumination and image formation."""
