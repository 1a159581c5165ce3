"""What a driver raised, in the words of this library.

A driver's own message may hold an address with its signature, headers or keys: nothing of it is
repeated. Its class and the number of an answer tell enough.
"""

from __future__ import annotations

from ckread.errors import CheckpointError, CheckpointNotFoundError, MissingDependencyError

_DRIVERS = {
    "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs",
    "abfss": "adlfs", "hf": "huggingface_hub", "http": "aiohttp", "https": "aiohttp",
}  # fmt: skip
_TRY_AGAIN = "Try again; if it stays so, copy the checkpoint to this machine first."


class AccessDeniedError(CheckpointError, PermissionError):
    """The store lets nobody, or not this user, look at it."""


def failure(path: str, error: Exception) -> CheckpointError:
    """Give the error of this library for one that a driver raised."""
    if isinstance(error, CheckpointError):
        return error
    if isinstance(error, ImportError):
        scheme = path.rpartition("::")[2].partition("://")[0].lower()
        driver = _DRIVERS.get(scheme)
        return MissingDependencyError(
            f"{scheme}:// needs {driver or 'a driver of fsspec'}, which is not installed",
            path=path,
            remedy=f"pip install {driver}" if driver else None,
        )
    error = _root(error)
    status = _status(error)
    if isinstance(error, FileNotFoundError) or status == 404:
        return CheckpointNotFoundError("no such file", path=path)
    if isinstance(error, PermissionError) or status in (401, 403):
        number = f" ({status})" if status else ""
        remedy = "Credentials are the driver's: set them as for any other program that reads there."
        return AccessDeniedError(f"access is denied{number}", path=path, remedy=remedy)
    if type(error).__name__.startswith("NoCredentials"):
        remedy = "Set credentials as for any other program that reads there."
        if path.rpartition("::")[2].startswith("s3"):
            remedy += " A public bucket takes none: FSSPEC_S3='{\"anon\": true}'"
        return CheckpointError("no credentials were found", path=path, remedy=remedy)
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return CheckpointError("no answer in time", path=path, remedy=_TRY_AGAIN)
    if _is_of_connection(error):
        found = "the server cannot be reached, or broke off"
        return CheckpointError(found, path=path, remedy=_TRY_AGAIN)
    if status is not None and status >= 500:
        return CheckpointError(f"the server failed ({status})", path=path, remedy=_TRY_AGAIN)
    if status is not None:
        return CheckpointError(f"the server answered {status}", path=path)
    found = f"it cannot be read ({type(error).__name__})"
    return CheckpointError(found, path=path, remedy=_TRY_AGAIN)


def is_passing(error: Exception) -> bool:
    """Tell whether the same question may be answered a moment later."""
    error = _root(error)
    status = _status(error)
    if status is not None:
        return status >= 500 or status == 429
    is_late = isinstance(error, TimeoutError) or "Timeout" in type(error).__name__
    return is_late or _is_of_connection(error)


def _root(error: Exception) -> Exception:
    """Give what a driver says it did not find a file for; drivers of web servers always say so."""
    cause = error.__cause__
    is_wrapped = isinstance(error, FileNotFoundError) and isinstance(cause, Exception)
    return cause if is_wrapped and isinstance(cause, Exception) else error


def _is_of_connection(error: Exception) -> bool:
    return isinstance(error, ConnectionError) or "Connect" in type(error).__name__


def _status(error: Exception) -> int | None:
    """Give the number of an answer, wherever a driver keeps it."""
    response = getattr(error, "response", None)
    metadata = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    for found in (
        getattr(error, "status", None),
        getattr(error, "code", None),
        getattr(error, "status_code", None),
        getattr(response, "status_code", None),
        metadata.get("HTTPStatusCode"),
    ):
        if isinstance(found, int) and 400 <= found < 600:
            return found
    cause = error.__cause__
    return _status(cause) if isinstance(cause, Exception) else None
