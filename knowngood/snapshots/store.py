"""The artifact store: create-only objects in a directory or a cloud bucket, through obstore.

obstore reaches file, S3, Azure Blob and Google Cloud Storage alike, and its `create` mode is the
backend's own (O_EXCL-like linking on disk, `If-None-Match: *` on S3): two writers of one path can
never both win. Credentials come from each cloud's usual environment (AWS_*, AZURE_*, GOOGLE_*).
"""

import uuid
from collections.abc import Iterator
from typing import Any, Final, cast
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import from_url

from knowngood.errors import Refused, Unreachable

_SCHEMES: Final = ("file", "s3", "az", "azure", "gs", "memory")


class ArtifactStore:
    """Objects that are written once; paths use `/` and stay below the store's URL."""

    def __init__(self, backend: Any, url: str) -> None:
        self._backend = backend
        self.url = url

    def create(self, path: str, content: bytes) -> bool:
        """Write an object that does not exist yet; False when it does, and is left as it is.

        Raises:
            Unreachable: the store did not answer or refused the write.
        """
        try:
            obstore.put(self._backend, path, content, mode="create")
        except AlreadyExistsError:
            return False
        except (BaseError, OSError) as error:
            raise self._unreachable("write", path, error) from None
        return True

    def read(self, path: str) -> bytes | None:
        """Read an object, or None when there is none; Unreachable when the store fails."""
        try:
            return bytes(obstore.get(self._backend, path).bytes())
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise self._unreachable("read", path, error) from None

    def list(self, prefix: str) -> list[str]:
        """Return the paths below a prefix, in order; Unreachable when the store fails."""
        try:
            return sorted(str(entry["path"]) for entry in self._entries(prefix))
        except FileNotFoundError:
            return []
        except (BaseError, OSError) as error:
            raise self._unreachable("list", prefix, error) from None

    def delete(self, path: str) -> None:
        """Delete an object; one that is gone already is no error."""
        try:
            obstore.delete(self._backend, path)
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise self._unreachable("delete", path, error) from None

    def check(self) -> None:
        """Prove that objects can be created, read and deleted.

        Raises:
            Unreachable: they cannot; the message names the setting.
        """
        probe = f"doctor/{uuid.uuid4()}"
        self.create(probe, b"knowngood")
        if self.read(probe) != b"knowngood":
            raise Unreachable(f"KNOWNGOOD_ARTIFACTS_URL={self.url}: what was written is not read")
        self.delete(probe)

    def _entries(self, prefix: str) -> Iterator[dict[str, Any]]:
        for batch in obstore.list(self._backend, prefix=prefix):
            yield from cast("list[dict[str, Any]]", batch)

    def _unreachable(self, verb: str, path: str, error: Exception) -> Unreachable:
        # The first line only: what follows is a dump of the request.
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return Unreachable(
            f"the artifact store KNOWNGOOD_ARTIFACTS_URL={self.url} cannot {verb} {path}: {said}"
        )


def open_store(url: str, **options: Any) -> ArtifactStore:
    """Open the store at a URL; `file://` directories are made. `options` go to obstore.

    Raises:
        Refused: the URL is no store's.
        Unreachable: the directory cannot be made.
    """
    scheme = urlsplit(url).scheme
    expected = "give file:///directory, s3://bucket/prefix, az://container/prefix or gs://bucket"
    if scheme not in _SCHEMES or urlsplit(url).password:
        raise Refused("KNOWNGOOD_ARTIFACTS_URL", urlsplit(url).scheme + "://…", expected)
    if scheme == "file":
        options["mkdir"] = True
    try:
        return ArtifactStore(from_url(url, **options), url)
    except (BaseError, OSError) as error:
        said = str(error).strip().splitlines()[0]
        raise Unreachable(f"KNOWNGOOD_ARTIFACTS_URL={url}: {said}") from None
    except ValueError as error:
        raise Refused("KNOWNGOOD_ARTIFACTS_URL", url, f"{error}; {expected}") from None
