"""Questions on the settings that matter most, as ``unflat init`` asks them, and the check of their answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from ..config import with_overrides
from ..config.base import KindSettings
from ..config.photon_energy import PLANCK_TIMES_LIGHT
from ..config.units import Dimension, format_quantity, parse_with_unit, with_article
from ..errors import ConfigError, Diagnostic


@dataclass(frozen=True)
class Question:
    """A question on one setting.

    Args:
        setting: Key of the setting, as ``volume.depth``.
        text: Question, without a mark.
        example: Answer that is an example.
        dimension: Dimension of the answer; None for an answer that is no number.
        least: Smallest sensible value in SI.
        most: Largest sensible value in SI.
        entries: Arrays of an acquisition of which any makes the question needless.
        names: Names under which other programs store the number, in lower case; a unit may follow, as in ``lambda_nm``.
        photon: Whether the energy of a photon may stand for a wavelength.
        repeat: Number of axes that one length stands for.
    """

    setting: str
    text: str
    example: str
    dimension: Dimension | None = None
    least: float = 0.0
    most: float = float("inf")
    entries: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    photon: bool = False
    repeat: int = 1

    def assignment(self, answer: str) -> str:
        """Write the answer as ``KEY=VALUE``.

        Raises:
            ConfigError: If it is no number of the dimension, without a unit, or no sensible one.
        """
        text = answer.strip()
        if self.dimension is None or self._is_place(text):
            return f"{self.setting}={text}"
        parts = [part.strip(" '\"") for part in text.strip("[]").split(",")]
        for part in parts:
            self._require_sensible(part)
        if len(parts) == 1 and self.repeat == 1:
            return f"{self.setting}={parts[0]}"
        quoted = ", ".join(f"'{part}'" for part in (parts * self.repeat if len(parts) == 1 else parts))
        return f"{self.setting}=[{quoted}]"

    def _is_place(self, text: str) -> bool:
        """Whether the answer names a place in a file, for a setting that may be one."""
        return bool(self.entries) and (text.startswith("/") or ":" in text)

    def _require_sensible(self, text: str) -> None:
        """Refuse an answer that is no sensible number of the dimension.

        Raises:
            ConfigError: With the example.
        """
        try:
            value, dimension = parse_with_unit(text)
        except ValueError as error:
            raise self._fault(str(error)) from None
        if self.dimension != "number" and dimension is None:
            raise self._fault(f"{text!r} has no unit")
        if self.photon and dimension == "energy" and value > 0:
            value = PLANCK_TIMES_LIGHT / value
        elif dimension not in (self.dimension, None):
            raise self._fault(f"{text!r} is {with_article(str(dimension))}, not {with_article(str(self.dimension))}")
        if not self.least <= value <= self.most:
            low, high = (format_quantity(limit, self.dimension or "number") for limit in (self.least, self.most))
            raise self._fault(f"{text!r} is not between {low} and {high}")

    def _fault(self, message: str) -> ConfigError:
        return ConfigError(Diagnostic(self.setting, message, f"answer as {self.example!r}"))


def answer_question(config: KindSettings, question: Question, answer: str) -> KindSettings:
    """Set the answer to a question.

    Args:
        config: The config so far.
        question: The question.
        answer: Answer of a person.

    Returns:
        The config with the answer.

    Raises:
        ConfigError: If the answer, or the config with it, is wrong.
    """
    return cast(KindSettings, with_overrides(config, [question.assignment(answer)]))


def open_questions(questions: Sequence[Question], overrides: Sequence[str], known: Mapping[str, str]) -> list[Question]:
    """List the questions that neither an option nor the acquisition answers.

    Args:
        questions: All questions of a kind.
        overrides: Assignments of the command line.
        known: Place of each array that the acquisition holds.
    """
    given = [assignment.replace(": ", "=", 1).partition("=")[0].strip() for assignment in overrides]

    def is_open(question: Question) -> bool:
        is_given = any(question.setting == key or question.setting.startswith(f"{key}.") for key in given)
        return not is_given and not any(name in known for name in question.entries)

    return [question for question in questions if is_open(question)]
