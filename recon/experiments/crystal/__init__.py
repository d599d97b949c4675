"""Crystal: from a rocking curve of Bragg diffraction to density and strain."""
