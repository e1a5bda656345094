import pytest

from workbench import durable


def test_a_file_is_written_whole(tmp_path):
    durable.write(tmp_path / "new" / "a.json", b"one")
    durable.write(tmp_path / "new" / "a.json", b"two")
    assert (tmp_path / "new" / "a.json").read_bytes() == b"two"
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_an_error_leaves_the_old_file_and_no_scraps(tmp_path):
    durable.write(tmp_path / "a.json", b"old")
    with pytest.raises(TypeError):
        durable.write(tmp_path / "a.json", "not bytes")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_bytes() == b"old"
