"""The registry on a directory and on a real S3 server."""

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from moto.server import ThreadedMotoServer

from knowngood.errors import KnownBad, RecordDamaged, Refused, Unreachable
from knowngood.snapshots.record import SnapshotRecord
from knowngood.snapshots.registry import SnapshotRegistry
from knowngood.snapshots.store import ArtifactStore, open_store


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    if request.param == "file":
        return open_store((tmp_path / "artifacts").as_uri())
    endpoint = request.getfixturevalue("s3")
    bucket = f"b{os.urandom(6).hex()}"
    httpx.put(f"{endpoint}/{bucket}").raise_for_status()
    return open_store(
        f"s3://{bucket}/knowngood",
        endpoint=endpoint,
        access_key_id="test",
        secret_access_key="test",
        region="us-east-1",
        client_options={"allow_http": True},
    )


def record(run_id: str = "r-1", *, name: str = "Main", second: int = 0) -> SnapshotRecord:
    return SnapshotRecord.seal(
        flow_id="f",
        flow_name=name,
        snapshot_version_id="3.0",
        active_version_id="2.0",
        routing={"queue": "care"},
        dependencies=(),
        configuration_digest=None,
        taken_at=datetime(2026, 11, 24, 12, 0, second, tzinfo=UTC),
        requested_by="ci",
        description="before 3.0",
        run_id=run_id,
    )


def test_a_record_reads_back_as_it_was_written(store: ArtifactStore) -> None:
    registry = SnapshotRegistry(store)
    registry.write(record())
    assert registry.latest("f") == record()
    assert registry.find("f", "r-1") == record()


def test_a_record_is_written_once_and_never_changed(store: ArtifactStore) -> None:
    registry = SnapshotRegistry(store)
    registry.write(record())
    assert registry.write(record(name="Changed")).flow_name == "Main"
    assert registry.latest("f") == record()


def test_of_many_writers_of_one_path_exactly_one_wins(store: ArtifactStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: store.create("race", str(n).encode()), range(8)))
    assert won.count(True) == 1
    assert store.read("race") == str(won.index(True)).encode()


def test_records_come_newest_first(store: ArtifactStore) -> None:
    registry = SnapshotRegistry(store)
    for second in (2, 0, 1):
        registry.write(record(f"r-{second}", second=second))
    assert [each.run_id for each in registry.list("f")] == ["r-2", "r-1", "r-0"]


def test_a_version_found_bad_stays_bad(store: ArtifactStore) -> None:
    registry = SnapshotRegistry(store)
    registry.mark_good("f", "2.0", "w-1", "passed")
    registry.mark_bad("f", "2.0", "r-1", "errors")
    registry.mark_good("f", "1-beta.0", "w-2", "passed")
    found = registry.verdicts("f")
    assert (found.known_good, found.known_bad) == (("1-beta.0",), frozenset({"2.0"}))


def test_an_open_run_is_noted_until_it_is_closed(store: ArtifactStore) -> None:
    registry = SnapshotRegistry(store)
    registry.open_run("r-1", b"note")
    registry.open_run("r-1", b"another")
    assert registry.open_runs() == [b"note"]
    registry.close_run("r-1")
    registry.close_run("r-1")
    assert registry.open_runs() == []


def test_a_store_that_works_passes_its_check_and_keeps_nothing_of_it(store: ArtifactStore) -> None:
    store.check()
    assert store.list("doctor/") == []


def test_a_damaged_record_is_never_used(tmp_path: Path) -> None:
    registry = SnapshotRegistry(open_store(tmp_path.as_uri()))
    registry.write(record())
    (path,) = registry.paths("f")
    file = tmp_path / path
    file.write_text(file.read_text().replace('"2.0"', '"9.0"'))
    with pytest.raises(RecordDamaged, match="does not match its digest"):
        registry.latest("f")


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unreachable, match="KNOWNGOOD_ARTIFACTS_URL"):
        open_store((tmp_path / "file" / "below").as_uri())


@pytest.mark.parametrize("url", ["ftp://host/x", "artifacts", "s3://user:hunter2@bucket"])
def test_a_url_of_no_store_is_refused_without_its_secret(url: str) -> None:
    with pytest.raises(Refused, match="KNOWNGOOD_ARTIFACTS_URL") as caught:
        open_store(url)
    assert "hunter2" not in str(caught.value)


def test_a_revision_that_was_rolled_back_is_refused_and_no_other(store: ArtifactStore) -> None:
    registry = SnapshotRegistry(store)
    registry.refuse_bad_revision("f", "3fa9c1e")
    registry.mark_revision_bad("f", "3fa9c1e", "r-9", "errors after deploy 41")
    registry.mark_revision_bad("f", "3fa9c1e", "r-10", "again")
    with pytest.raises(KnownBad, match="errors after deploy 41") as refused:
        registry.refuse_bad_revision("f", "3fa9c1e")
    assert "knowngood status r-9" in refused.value.action
    registry.refuse_bad_revision("f", "8be02d7")
    registry.refuse_bad_revision("another-flow", "3fa9c1e")


def test_a_record_from_before_revisions_keeps_its_digest() -> None:
    older = record().model_dump(mode="json")
    del older["revision"]
    digest = hashlib.sha256(
        json.dumps(
            {name: value for name, value in older.items() if name != "digest"},
            sort_keys=True,
            separators=(",", ":"),
        ).encode()
    ).hexdigest()
    stored = json.dumps({**older, "digest": f"sha256:{digest}"}).encode()
    assert SnapshotRecord.from_bytes(stored, "f").revision is None


def test_a_record_s_digest_covers_its_revision() -> None:
    told = record().model_copy(update={"revision": "3fa9c1e"})
    with pytest.raises(RecordDamaged):
        SnapshotRecord.from_bytes(told.to_bytes(), "f")
