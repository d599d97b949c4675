"""Page of many scans."""

from pathlib import Path

from unflat.recon.runs.batch_record import ScanRecord, State
from unflat.recon.visualization import batch_page
from unflat.recon.visualization.batch_page import THUMBNAIL, BatchRow, write_batch_page


def test_pictures_of_further_rows_are_beside_the_page(tmp_path: Path, monkeypatch) -> None:  # noqa: ANN001
    monkeypatch.setattr(batch_page, "_MOST_EMBEDDED", 1)
    rows = [BatchRow(ScanRecord(name, f"{name}.h5", State.DONE)) for name in ("a", "b 1", "c")]
    for row in rows[:2]:
        picture = tmp_path / row.scan.name / THUMBNAIL
        picture.parent.mkdir(parents=True)
        picture.write_bytes(b"picture")
    write_batch_page(tmp_path, rows, [], is_running=False)
    page = (tmp_path / "index.html").read_text("utf-8")
    assert page.count("data:image/jpeg;base64") == 1
    assert 'src="b%201/figures/thumbnail.jpg"' in page
    assert page.count("<img") == 2
