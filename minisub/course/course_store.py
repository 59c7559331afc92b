"""The store of the course: the lists of visitors in a folder of their own, which has a bound."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minisub.common.files import Arrays, Json, MinisubError
from minisub.common.store import Store

# A form of the playground has tens of thousands of positions, and each makes lists of some 5 MB.
# Lists that are deleted are made again in seconds, when someone asks for them.
MAX_BYTES = 2 * 10**9


class CourseStore(Store):
    """A store whose lists are kept apart from those of studies, and take at most `MAX_BYTES`.

    Beyond that, lists are deleted; those that were not used for longest go first. All other entries
    are where every store has them.
    """

    def path(self, kind: str, key: str, suffix: str) -> Path:
        """Return the path of an entry, whether it exists or not.

        Args:
            kind: The folder of its kind.
            key: Its key.
            suffix: ".json" or ".safetensors".
        """
        return super().path("course_lists" if kind == "lists" else kind, key, suffix)

    def get_arrays(self, kind: str, key: str) -> Arrays | None:
        """Return stored arrays by name, or None.

        Args:
            kind: The folder of its kind.
            key: Its key.

        Raises:
            MinisubError: The entry is damaged.
        """
        with contextlib.suppress(OSError):
            os.utime(self.path(kind, key, ".safetensors"))  # it is used now
        try:
            return super().get_arrays(kind, key)
        except MinisubError:
            # Damaged; or another thread deleted it after this one had seen it, and then it is
            # simply not there.
            return super().get_arrays(kind, key)

    def put_arrays(self, kind: str, key: str, arrays: Mapping[str, Any], about: Json) -> None:
        """Keep arrays, what they are about and the checksum of both, in one file.

        Args:
            kind: The folder of its kind.
            key: Its key.
            arrays: By name.
            about: A JSON object that says what they are.
        """
        super().put_arrays(kind, key, arrays, about)
        if kind == "lists":
            self._delete_oldest(self.path(kind, key, ".safetensors").parent)

    def _delete_oldest(self, folder: Path) -> None:
        entries = []
        for path in folder.glob("*.safetensors"):
            with contextlib.suppress(OSError):  # another thread has deleted it
                about = path.stat()
                entries.append((about.st_mtime_ns, about.st_size, path))
        n_bytes = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if n_bytes <= MAX_BYTES:
                return
            # An open file can be read to its end, though its name is gone (not on Windows, where it
            # cannot be deleted and goes next time).
            with contextlib.suppress(OSError):
                path.unlink()
            n_bytes -= size
