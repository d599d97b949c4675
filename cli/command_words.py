"""Words of another command of unflat, checked as that command would, and written with absolute paths."""

import os
from collections.abc import Collection, Sequence
from typing import Any

import click
from click.core import ParameterSource


class CommandWords:
    """Words of a command line, parsed by its command.

    Args:
        context: Context of the command, with its parameters.
        raw: Words of each parameter as they were given, by its name.
    """

    def __init__(self, context: click.Context, raw: dict[str, Any]) -> None:
        self.context = context
        self._raw = raw

    @classmethod
    def parse(cls, group: click.Group, parent: click.Context, words: Sequence[str]) -> "CommandWords":
        """Parse the words after ``unflat``.

        Args:
            group: Commands of unflat.
            parent: Context of the group.
            words: Name of a command, its arguments and options.

        Raises:
            click.UsageError: If there is no such command, or it does not take the words.
        """
        name, command, rest = group.resolve_command(parent, list(words))
        if command is None:
            raise click.UsageError(f"No such command {words[0]!r}.", parent)
        context = command.make_context(name, list(rest), parent=parent)
        return cls(context, command.make_parser(context).parse_args(list(rest))[0])

    @property
    def name(self) -> str:
        """Name of the command."""
        return str(self.context.info_name)

    def has(self, name: str) -> bool:
        """Whether the command has a parameter."""
        return any(parameter.name == name for parameter in self.context.command.params)

    def invoke(self, receiver_key: str) -> Any:
        """Run the command, which hands its settings to a receiver where it knows of one, and return them.

        Args:
            receiver_key: Key of the receiver in ``Context.meta``.
        """
        self.context.meta[receiver_key] = lambda *arguments: arguments
        try:
            with self.context:
                return self.context.command.invoke(self.context)
        finally:
            del self.context.meta[receiver_key]

    def words(self, but: Collection[str] = ()) -> list[str]:
        """Write arguments and options, without the name of the command, with absolute paths.

        Args:
            but: Names of parameters to leave out.
        """
        parameters = [p for p in self.context.command.params if p.name not in but and self._is_given(p)]
        arguments = [p for p in parameters if isinstance(p, click.Argument)]
        options = [p for p in parameters if not isinstance(p, click.Argument)]
        return [word for parameter in (*arguments, *options) for word in self._write(parameter)]

    def _is_given(self, parameter: click.Parameter) -> bool:
        name = parameter.name or ""
        if not parameter.expose_value:  # Its source is not noted.
            return isinstance(self._raw.get(name), int | str | list)
        return self.context.get_parameter_source(name) is ParameterSource.COMMANDLINE

    def _write(self, parameter: click.Parameter) -> list[str]:
        value = self._raw[parameter.name or ""]
        if isinstance(parameter, click.Argument):
            values = value if isinstance(value, list | tuple) else [value]
            return [_absolute(str(one), parameter) for one in values]
        flag = parameter.opts[-1]
        if isinstance(parameter, click.Option) and parameter.count:
            return [flag] * int(value)
        if isinstance(parameter, click.Option) and parameter.is_flag:
            return [flag if value else parameter.secondary_opts[-1]]
        words = []
        for one in value if parameter.multiple else [value]:
            parts = one if parameter.nargs != 1 else [one]
            words += [flag, *(_absolute(str(part), parameter) for part in parts)]
        return words


def _absolute(word: str, parameter: click.Parameter) -> str:
    """Write a path from the root; any other word, and ``-`` for a stream, as it is."""
    return os.path.abspath(word) if isinstance(parameter.type, click.Path) and word != "-" else word  # noqa: PTH100
