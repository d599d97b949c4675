"""The shipped configs, generated from the settings' descriptions; nothing here is code."""
