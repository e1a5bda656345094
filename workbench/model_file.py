"""A model file's bytes, before anybody says what they mean."""

from pathlib import Path

from workbench.schema import BadInputError, Fault


def content_of(path: Path, largest_mb: int) -> bytes:
    """The whole file; `BadInputError` where it is larger than `largest_mb`, or holds nothing."""
    if path.stat().st_size > largest_mb << 20:
        raise BadInputError([Fault("fault.model.large", path.name, values={"limit_mb": largest_mb})])
    content = path.read_bytes()
    if not content.strip(b" \r\n\t\0"):
        raise BadInputError([Fault("fault.model.empty", path.name)])
    return content
