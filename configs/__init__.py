"""The shipped configs, generated from the settings' descriptions, and the template of a workflow; no code."""
