"""Settings: described, unit-aware configs in YAML, checked all at once."""

from .base import Flag, Settings
from .dump import dump_commented, json_schema, setting_line
from .load import ConfigClasses, load_settings, parse_settings, with_overrides
from .source import Source
from .units import Angle, Length, Memory, Time

__all__ = [
    "Angle",
    "ConfigClasses",
    "Flag",
    "Length",
    "Memory",
    "Settings",
    "Source",
    "Time",
    "dump_commented",
    "json_schema",
    "load_settings",
    "parse_settings",
    "setting_line",
    "with_overrides",
]
