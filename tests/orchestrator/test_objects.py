"""The object store that is a folder."""

from pathlib import Path

import pytest

from amelia.adapters.local.objects import FolderObjects
from amelia.errors import Malformed, NotFound, Refused


async def test_what_was_put_is_read_back_and_verified(tmp_path: Path) -> None:
    store = FolderObjects(tmp_path / "o")
    claim = await store.put("wf/diff", b"data")
    assert claim.key == f"wf/diff/{claim.sha256}"
    assert await store.get(claim) == b"data"
    (tmp_path / "file").write_bytes(b"data")
    assert await store.put_file("wf/diff", tmp_path / "file") == claim
    (tmp_path / "o" / claim.key).write_bytes(b"dat!")
    with pytest.raises(Malformed):
        await store.get(claim)
    (tmp_path / "o" / claim.key).unlink()
    with pytest.raises(NotFound):
        await store.get(claim)


async def test_a_named_object_is_replaced_whole(tmp_path: Path) -> None:
    store = FolderObjects(tmp_path)
    assert await store.read("a/b.json") is None
    await store.write("a/b.json", b"1")
    await store.write("a/b.json", b"2")
    assert await store.read("a/b.json") == b"2"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.json"]


@pytest.mark.parametrize("key", ["../x", "/x", "a/../../x", ""])
async def test_a_key_stays_in_the_folder(tmp_path: Path, key: str) -> None:
    with pytest.raises(Refused):
        await FolderObjects(tmp_path / "o").write(key, b"")
