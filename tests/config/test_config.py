"""Configs: numbers with units, YAML 1.2, all faults at once with their places, and round trips."""

import json
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from unflat.recon.config import dump_commented, json_schema, parse_settings, with_overrides
from unflat.recon.config.base import KindSettings
from unflat.recon.config.document import parse_document
from unflat.recon.config.source import Source
from unflat.recon.config.units import Dimension, format_quantity, parse_quantity, parse_with_unit, si_factor
from unflat.recon.config.value_types import view_indices
from unflat.recon.errors import ConfigError
from unflat.recon.experiments.cell.config import CellSettings
from unflat.recon.experiments.configs import load_config, parse_config


def cell(text: str = "", *overrides: str) -> CellSettings:
    settings = parse_config(f"kind: cell\n{text}", overrides, name="run.yaml")
    assert isinstance(settings, CellSettings)
    return settings


def faults(text: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, overrides, name="run.yaml")
    return [str(fault) for fault in caught.value.faults]


class TestUnits:
    @pytest.mark.parametrize(
        ("text", "dimension", "value"),
        [
            ("0.2 um", "length", 0.2e-6),
            ("0.2µm", "length", 0.2e-6),
            ("0.2 μm", "length", 0.2e-6),
            ("515 nm", "length", 515e-9),
            ("4 mm", "length", 4e-3),
            ("1e-7", "length", 1e-7),
            ("180 deg", "angle", 3.141592653589793),
            ("10 min", "time", 600.0),
            ("4 GiB", "memory", 4 * 1024.0**3),
            (".5e1 kB", "memory", 5000.0),
        ],
    )
    def test_text_becomes_si(self, text: str, dimension: Dimension, value: float) -> None:
        assert parse_quantity(text, dimension) == value

    @given(st.floats(1e-12, 1e6), st.sampled_from(["length", "angle", "time", "memory"]))
    def test_a_formatted_quantity_parses_to_exactly_the_same_number(self, value: float, dimension: Dimension) -> None:
        assert parse_quantity(format_quantity(value, dimension), dimension) == value

    def test_a_quantity_is_formatted_in_its_usual_unit(self) -> None:
        assert format_quantity(0.2e-6, "length") == "0.2 um"
        assert format_quantity(90.0, "time") == "90 s"
        assert format_quantity(120e-6, "length") == "0.12 mm"

    @pytest.mark.parametrize("text", ["9 parsec", "nm", "1,5 um", "--3 um", "um 3"])
    def test_a_text_that_is_no_length_is_refused_with_an_example(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"a length such as '0\.2 um'"):
            parse_quantity(text, "length")

    def test_a_wrong_dimension_is_named(self) -> None:
        with pytest.raises(ValueError, match=r"'3 deg' is an angle; expected a length"):
            parse_quantity("3 deg", "length")

    def test_a_unit_has_a_factor_and_a_plain_number_has_no_dimension(self) -> None:
        assert si_factor("nm") == 1e-9
        assert parse_with_unit("3") == (3.0, None)


class TestYaml:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("1e-3", 1e-3),
            ("1.", 1.0),
            ("012", 12),
            ("0o14", 12),
            ("0x1F", 31),
            ("1:30", "1:30"),
            ("on", "on"),
            ("no", "no"),
            ("true", True),
            ("~", None),
            ("", None),
            ("2024-01-02", "2024-01-02"),
            ("1_000", "1_000"),
            (".inf", float("inf")),
            ("'9'", "9"),
        ],
    )
    def test_scalars_follow_yaml_1_2(self, text: str, value: object) -> None:
        read = parse_document(f"key: {text}", "").data["key"]
        assert read == value
        assert type(read) is type(value)

    def test_equal_keys_are_a_fault_that_names_the_first_line(self) -> None:
        assert faults("kind: cell\nseed: 1\nseed: 2\n") == [
            "run.yaml:3:1: seed: is set already in line 2; keep one of them"
        ]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("kind: [cell", "run.yaml:1:12: not valid YAML"),
            ("kind: cell\n\tseed: 1", "run.yaml:2:1: a tab"),
            ("- cell", "run.yaml:1:1: expected lines 'key: value', found a list"),
            ("kind: cell\nseed: !!python/object:os.system 1", "is not allowed here"),
            ("kind: \x00", "not a text of YAML"),
            ("a: &a [*a]", "an alias that contains itself"),
        ],
    )
    def test_a_text_that_is_no_config_is_refused_with_its_place(self, text: str, message: str) -> None:
        assert message in "\n".join(faults(text))

    def test_an_empty_section_has_its_defaults(self) -> None:
        assert cell("volume:\nfit:\n  refine:\n") == CellSettings()


class TestFaults:
    def test_all_faults_are_reported_in_order_of_place(self) -> None:
        reported = faults(
            "kind: cell\n"
            "seed: on\n"
            "volume:\n"
            "  depht: 9 um\n"
            "  spacing: 3 deg\n"
            "acquisition:\n"
            "  crop: [1, 2, 3]\n"
            "  turn: {axis: q}\n"
            "fit:\n"
            "  gain: true\n"
            "  steps: 0\n"
            "optics.wavelenght: 3\n"
        )
        assert [f.split(" ")[0] for f in reported] == [
            "run.yaml:2:1:",
            "run.yaml:4:3:",
            "run.yaml:5:3:",
            "run.yaml:7:3:",
            "run.yaml:8:10:",
            "run.yaml:10:3:",
            "run.yaml:11:3:",
            "run.yaml:12:1:",
        ]
        assert reported[1] == "run.yaml:4:3: volume.depht: unknown key; did you mean 'depth'?"
        assert reported[2].startswith("run.yaml:5:3: volume.spacing: '3 deg' is an angle; expected a length")
        assert reported[3] == "run.yaml:7:3: acquisition.crop: must be a list of 2, not [1, 2, 3]"
        assert reported[5] == "run.yaml:10:3: fit.gain: unknown key; did you mean 'fit.refine.gain'?"

    def test_a_wrong_choice_is_refused_with_the_valid_ones(self) -> None:
        (fault,) = faults("kind: cell\nphysics: {model: multi_slice}\n")
        assert fault == (
            "run.yaml:2:11: physics.model: 'multi_slice' is none of multislice, ssnp, linear; "
            "did you mean 'multislice'?"
        )

    def test_a_missing_or_unknown_kind_is_refused_with_the_known_ones(self) -> None:
        assert faults("seed: 1") == [
            "run.yaml: kind: is required; write 'kind: cell' or 'kind: crystal' or 'kind: shape'"
        ]
        assert faults("kind: cel") == [
            "run.yaml:1:1: kind: 'cel' is no kind of experiment; write 'kind: cell' or 'kind: crystal' or 'kind: shape'"
        ]

    def test_sections_that_contradict_each_other_are_refused(self) -> None:
        assert "the section led_grid is not given" in faults("kind: cell\nacquisition: {illumination: led_grid}")[0]
        assert "not below the medium_index" in faults("kind: cell\nsimulate: {numerical_aperture: 1.4}")[0]

    def test_a_file_that_cannot_be_read_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"No such file.*unflat init"):
            load_config(tmp_path / "absent.yaml")
        (tmp_path / "binary.yaml").write_bytes(b"kind: \xff\xfe")
        with pytest.raises(ConfigError, match=r"binary.yaml:1:7: not text: byte 0xff is not UTF-8"):
            load_config(tmp_path / "binary.yaml")
        with pytest.raises(ConfigError, match="cannot be read"):
            load_config(tmp_path)


class TestOverrides:
    def test_an_override_takes_precedence_over_the_file(self) -> None:
        changed = cell("volume: {depth: 3 um}", "volume.depth=12 um", "fit.refine.sources=true", "seed=7")
        assert (changed.volume.depth, changed.fit.refine.sources, changed.seed) == (12e-6, True, 7)

    def test_an_override_may_be_a_list_a_section_or_empty(self) -> None:
        changed = cell(
            "", "acquisition.crop=[64, 32]", "acquisition.ring={na: 0.5, count: 8}", "acquisition.background="
        )
        assert changed.acquisition.crop == (64, 32)
        assert changed.acquisition.ring is not None
        assert changed.acquisition.background is None

    def test_faults_of_overrides_name_the_option(self) -> None:
        assert set(faults("kind: cell", "fit.stepz=3", "nonsense", "seed.x=1")) == {
            "--set nonsense: is no assignment; write --set volume.depth='12 um'",
            "--set fit.stepz=3: fit.stepz: unknown key; did you mean 'steps'?",
            "--set seed.x=1: seed: must be a whole number, not {'x': 1}",
        }

    def test_overrides_change_settings(self) -> None:
        assert with_overrides(CellSettings(), ["fit.steps=5"]).model_dump()["fit"]["steps"] == 5


class TestWriting:
    def test_a_commented_config_parses_to_the_same_settings(self) -> None:
        assert parse_config(dump_commented(CellSettings)) == CellSettings()

    def test_every_field_is_described(self) -> None:
        def undescribed(model: type, path: str = "") -> list[str]:
            missing = []
            for name, field in model.model_fields.items():  # type: ignore[attr-defined]
                if not field.description:
                    missing.append(path + name)
                if isinstance(field.annotation, type) and hasattr(field.annotation, "model_fields"):
                    missing += undescribed(field.annotation, f"{path}{name}.")
            return missing

        assert undescribed(CellSettings) == []

    def test_changed_values_survive_a_round_trip(self) -> None:
        changed = cell(
            "acquisition:\n"
            "  images: /entry/I raw\n"
            "  field: {real: /re, imag: /im, scale: 0.01}\n"
            "  wavelength: /@w in nm\n"
            "  pixel_size: [0.1 um, 2e-7]\n"
            "  views: '::2'\n"
            "  turn: {axis: x, angles: /angle in deg}\n"
            "volume: {depth: 9 um, spacing: [0.3 um, 0.1 um, 0.1 um], size: 4 um}\n"
        )
        assert parse_config(dump_commented(changed)) == changed
        assert parse_config(dump_commented(changed, only_set=True)) == changed.model_copy()

    def test_the_schema_names_the_kind_and_closes_every_section(self) -> None:
        schema = json.loads(json_schema(CellSettings))
        assert schema["properties"]["kind"]["const"] == "cell"
        assert all(d["additionalProperties"] is False for d in schema["$defs"].values() if d.get("type") == "object")


class TestSources:
    @pytest.mark.parametrize(
        ("text", "path", "attribute", "unit"),
        [
            ("/I_raw", "/I_raw", "", ""),
            ("/@wavelength_um in um", "/", "wavelength_um", "um"),
            ("/camera@step in nm", "/camera", "step", "nm"),
            ("/entry/x y", "/entry/x y", "", ""),
            ("/group/", "/group", "", ""),
        ],
    )
    def test_a_source_in_a_file_is_parsed(self, text: str, path: str, attribute: str, unit: str) -> None:
        source = Source.parse(text)
        assert (source.path, source.attribute, source.unit) == (path, attribute, unit)
        assert not source.is_literal

    def test_a_literal_is_converted_to_si(self) -> None:
        assert Source.parse(["0.2 um", "200 nm"], "length").literal == [0.2e-6, 0.2e-6]
        assert float(Source.parse("0.63 um").value) == 0.63e-6
        assert Source.parse("/x in um").factor == 1e-6

    @pytest.mark.parametrize("wrong", ["I_raw", "/x@", "/x in furlong", True, {"a": 1}, "0.6 deg"])
    def test_a_source_that_is_neither_path_nor_number_is_refused(self, wrong: object) -> None:
        with pytest.raises(ValueError, match=r"path|attribute|unit|angle"):
            Source.parse(wrong, "length")


class TestViews:
    @pytest.mark.parametrize(
        ("views", "indices"),
        [("all", [0, 1, 2, 3, 4]), ("::2", [0, 2, 4]), ("1:3", [1, 2]), ((4, -5), [4, 0])],
    )
    def test_a_selection_converts_to_indices(self, views: str | tuple[int, ...], indices: list[int]) -> None:
        assert view_indices(views, 5) == indices

    @pytest.mark.parametrize("views", ["5:", (5,)])
    def test_a_selection_of_nothing_is_refused(self, views: str | tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match=r"selects none of 5 views|beyond the last of 5 views"):
            view_indices(views, 5)

    @pytest.mark.parametrize("text", ["some", "[]", "'::0'", "[a]", "3"])
    def test_a_selection_of_no_views_is_a_fault_of_the_config(self, text: str) -> None:
        assert "expected 'all', a slice" in faults(f"kind: cell\nacquisition: {{views: {text}}}")[0]


class TestClasses:
    def test_the_caller_hands_in_the_classes_of_configs(self) -> None:
        class Toy(KindSettings):
            kind: Literal["toy"] = Field("toy", description="Kind of experiment.")
            width: float = Field(1.0, description="Width of the kernel.")

        classes = {"toy": Toy}
        assert parse_settings("kind: toy", classes, ["width=3"]) == Toy(width=3.0)
        assert parse_settings(dump_commented(Toy), classes) == Toy()
        assert json.loads(json_schema(Toy))["title"] == "unflat config: toy"
        with pytest.raises(ConfigError, match=r"'cell' is no kind of experiment; write 'kind: toy'"):
            parse_settings("kind: cell", classes)
