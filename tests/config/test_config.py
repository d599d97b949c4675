"""Configs: numbers with units, YAML 1.2, every fault at once with its place, and texts that load back to themselves."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unflat.recon.config import dump_commented, json_schema, load_config, parse_config, with_overrides
from unflat.recon.config.document import read_document
from unflat.recon.config.fields import selected
from unflat.recon.config.source import Source
from unflat.recon.config.units import Dimension, parse, parse_any, show, si_factor
from unflat.recon.errors import ConfigError
from unflat.recon.experiments.cell.config import CellSettings


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
        assert parse(text, dimension) == value

    @given(st.floats(1e-12, 1e6), st.sampled_from(["length", "angle", "time", "memory"]))
    def test_what_is_shown_reads_back_to_the_last_bit(self, value: float, dimension: Dimension) -> None:
        assert parse(show(value, dimension), dimension) == value

    def test_a_common_number_is_shown_as_people_write_it(self) -> None:
        assert show(0.2e-6, "length") == "0.2 um"
        assert show(90.0, "time") == "90 s"
        assert show(120e-6, "length") == "0.12 mm"

    @pytest.mark.parametrize("text", ["9 parsec", "nm", "1,5 um", "--3 um", "um 3"])
    def test_what_is_no_length_is_refused_with_an_example(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"expected a length such as '0\.2 um'"):
            parse(text, "length")

    def test_a_wrong_dimension_is_named(self) -> None:
        with pytest.raises(ValueError, match=r"'3 deg' is an angle; expected a length"):
            parse("3 deg", "length")

    def test_a_factor_is_known_by_its_unit_alone(self) -> None:
        assert si_factor("nm") == 1e-9
        assert parse_any("3") == (3.0, None)


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
    def test_scalars_are_those_of_yaml_1_2(self, text: str, value: object) -> None:
        read = read_document(f"key: {text}", "").data["key"]
        assert read == value
        assert type(read) is type(value)

    def test_the_last_of_two_equal_keys_does_not_win_in_silence(self) -> None:
        assert faults("kind: cell\nseed: 1\nseed: 2\n") == [
            "run.yaml:3:1: seed: is set already in line 2; keep one of them"
        ]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("kind: [cell", "run.yaml:1:12: not valid YAML"),
            ("kind: cell\n\tseed: 1", "run.yaml:2:1: a tab, where YAML needs spaces"),
            ("- cell", "run.yaml:1:1: expected keys such as 'kind: cell', found a list"),
            ("kind: cell\nseed: !!python/object:os.system 1", "is not allowed here"),
            ("kind: \x00", "not a text of YAML"),
            ("a: &a [*a]", "an alias that contains itself"),
        ],
    )
    def test_what_is_no_config_is_said_so(self, text: str, message: str) -> None:
        assert message in "\n".join(faults(text))

    def test_an_empty_section_is_its_defaults(self) -> None:
        assert cell("volume:\nfit:\n  refine:\n") == CellSettings()


class TestFaults:
    def test_every_fault_comes_at_once_in_order_with_its_place(self) -> None:
        found = faults(
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
        assert [f.split(" ")[0] for f in found] == [
            "run.yaml:2:1:",
            "run.yaml:4:3:",
            "run.yaml:5:3:",
            "run.yaml:7:3:",
            "run.yaml:8:10:",
            "run.yaml:10:3:",
            "run.yaml:11:3:",
            "run.yaml:12:1:",
        ]
        assert found[1] == "run.yaml:4:3: volume.depht: unknown key; did you mean 'depth'?"
        assert found[2].startswith("run.yaml:5:3: volume.spacing: '3 deg' is an angle; expected a length")
        assert found[3] == "run.yaml:7:3: acquisition.crop: must be a list of 2, not [1, 2, 3]"
        assert found[5] == "run.yaml:10:3: fit.gain: unknown key; did you mean 'fit.refine.gain'?"

    def test_a_wrong_choice_names_the_right_ones(self) -> None:
        (found,) = faults("kind: cell\nphysics: {model: multi_slice}\n")
        assert found == (
            "run.yaml:2:11: physics.model: 'multi_slice' is none of multislice, ssnp, linear; "
            "did you mean 'multislice'?"
        )

    def test_a_missing_or_unknown_kind_is_named(self) -> None:
        assert faults("seed: 1") == [
            "run.yaml: kind: is required; write 'kind: cell' or 'kind: crystal' or 'kind: shape'"
        ]
        assert faults("kind: cel") == [
            "run.yaml:1:1: kind: 'cel' is no kind of experiment; write 'kind: cell' or 'kind: crystal' or 'kind: shape'"
        ]

    def test_sections_that_contradict_each_other_are_refused(self) -> None:
        assert "the section led_grid is not given" in faults("kind: cell\nacquisition: {illumination: led_grid}")[0]
        assert "not below the medium_index" in faults("kind: cell\nsimulate: {numerical_aperture: 1.4}")[0]

    def test_a_file_that_cannot_be_read_is_one_line(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"No such file.*unflat init"):
            load_config(tmp_path / "absent.yaml")
        (tmp_path / "binary.yaml").write_bytes(b"kind: \xff\xfe")
        with pytest.raises(ConfigError, match="byte 6 is not UTF-8"):
            load_config(tmp_path / "binary.yaml")
        with pytest.raises(ConfigError, match="cannot be read"):
            load_config(tmp_path)


class TestOverrides:
    def test_an_override_goes_before_the_file(self) -> None:
        changed = cell("volume: {depth: 3 um}", "volume.depth=12 um", "fit.refine.sources=true", "seed=7")
        assert (changed.volume.depth, changed.fit.refine.sources, changed.seed) == (12e-6, True, 7)

    def test_an_override_may_be_a_list_a_section_or_nothing(self) -> None:
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

    def test_settings_change_by_the_same_words(self) -> None:
        assert with_overrides(CellSettings(), ["fit.steps=5"]).model_dump()["fit"]["steps"] == 5


class TestWriting:
    def test_a_commented_config_loads_back_to_itself(self) -> None:
        assert parse_config(dump_commented(CellSettings)) == CellSettings()

    def test_every_field_is_described(self) -> None:
        def undescribed(model: type, path: str = "") -> list[str]:
            found = []
            for name, field in model.model_fields.items():  # type: ignore[attr-defined]
                if not field.description:
                    found.append(path + name)
                if isinstance(field.annotation, type) and hasattr(field.annotation, "model_fields"):
                    found += undescribed(field.annotation, f"{path}{name}.")
            return found

        assert undescribed(CellSettings) == []

    def test_what_was_changed_survives_writing(self) -> None:
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

    def test_the_schema_allows_what_the_defaults_are_and_closes_every_section(self) -> None:
        schema = json.loads(json_schema("cell"))
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
    def test_a_place_in_a_file(self, text: str, path: str, attribute: str, unit: str) -> None:
        source = Source.parse(text)
        assert (source.path, source.attribute, source.unit) == (path, attribute, unit)
        assert not source.is_literal

    def test_a_literal_is_in_si(self) -> None:
        assert Source.parse(["0.2 um", "200 nm"], "length").literal == [0.2e-6, 0.2e-6]
        assert float(Source.parse("0.63 um").value) == 0.63e-6
        assert Source.parse("/x in um").factor == 1e-6

    @pytest.mark.parametrize("wrong", ["I_raw", "/x@", "/x in furlong", True, {"a": 1}, "0.6 deg"])
    def test_what_is_neither_is_refused(self, wrong: object) -> None:
        with pytest.raises(ValueError, match=r"path|attribute|unit|angle"):
            Source.parse(wrong, "length")


class TestViews:
    @pytest.mark.parametrize(
        ("views", "indices"),
        [("all", [0, 1, 2, 3, 4]), ("::2", [0, 2, 4]), ("1:3", [1, 2]), ((4, -5), [4, 0])],
    )
    def test_a_selection_names_indices(self, views: str | tuple[int, ...], indices: list[int]) -> None:
        assert selected(views, 5) == indices

    @pytest.mark.parametrize("views", ["5:", (5,)])
    def test_a_selection_of_nothing_is_refused(self, views: str | tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match=r"selects none of 5 views|beyond the last of 5 views"):
            selected(views, 5)

    @pytest.mark.parametrize("text", ["some", "[]", "'::0'", "[a]", "3"])
    def test_what_selects_nothing_is_a_fault_of_the_config(self, text: str) -> None:
        assert "expected 'all', a slice" in faults(f"kind: cell\nacquisition: {{views: {text}}}")[0]
