from tidecast_simulator.testbed.node.files import write_at_once


def written(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.relative_to(folder).parts[0].startswith("..")
    }


def test_the_files_are_there_with_their_content_and_mode(tmp_path):
    assert write_at_once(tmp_path, {"a": (b"1", 0o440), "deep/b": (b"2", 0o600)})

    assert {name: (tmp_path / name).read_bytes() for name in ("a", "deep/b")} == {"a": b"1", "deep/b": b"2"}
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o440


def test_all_files_change_at_once_by_one_link(tmp_path):
    write_at_once(tmp_path, {"a": (b"1", 0o644), "b": (b"1", 0o644)})
    link = (tmp_path / "a").readlink()
    before = (tmp_path / "..data").readlink()

    assert write_at_once(tmp_path, {"a": (b"2", 0o644), "b": (b"2", 0o644)})

    assert (tmp_path / "a").readlink() == link
    assert (tmp_path / "..data").readlink() != before
    assert not (tmp_path / before).exists()
    assert [(tmp_path / name).read_bytes() for name in "ab"] == [b"2", b"2"]


def test_nothing_is_touched_when_nothing_changed(tmp_path):
    write_at_once(tmp_path, {"a": (b"1", 0o644)})
    before = (tmp_path / "..data").readlink()

    assert not write_at_once(tmp_path, {"a": (b"1", 0o644)})
    assert (tmp_path / "..data").readlink() == before


def test_a_file_that_is_no_longer_told_is_gone(tmp_path):
    write_at_once(tmp_path, {"a": (b"1", 0o644), "b": (b"2", 0o644)})
    write_at_once(tmp_path, {"a": (b"1", 0o644)})

    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("..")) == ["a"]


def test_an_open_reader_keeps_the_old_content(tmp_path):
    write_at_once(tmp_path, {"a": (b"old", 0o644)})
    with (tmp_path / "a").open("rb") as reader:
        write_at_once(tmp_path, {"a": (b"new", 0o644)})
        assert reader.read() == b"old"
