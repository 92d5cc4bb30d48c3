"""Where a storage is, and where what lies in it can be fetched. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

SHOWN_OPTIONS = frozenset(
    {"bucket", "bucket_id", "container", "endpoint", "region", "root", "default_storage_class"}
)
"""Options of storages that may be shown. Every other may be a secret, and is kept as one."""

_NAMED_BUCKET = {
    "s3": "bucket",
    "cos": "bucket",
    "oss": "bucket",
    "obs": "bucket",
    "gcs": "bucket",
    "b2": "bucket",
    "azblob": "container",
}
_BUCKET_IN_HOST = ("cos", "oss", "obs")
_USUAL_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Place:
    """A storage as `opendal` is told of it.

    Attributes:
        scheme: of the service.
        options: for the service; some are secrets.
    """

    scheme: str
    options: Mapping[str, str] = field(repr=False)


def place_of(url: str, options: Mapping[str, str]) -> Place:
    """Return a storage from its address and options, as the file has them.

    Args:
        url: SCHEME://BUCKET/PREFIX, webdav://HOST/PREFIX or fs:///DIRECTORY.
        options: what the service asks for.
    """
    scheme, _, rest = url.partition("://")
    first, _, prefix = rest.partition("/")
    found = dict(options)
    found["root"] = f"/{prefix.strip('/')}"
    if scheme in _NAMED_BUCKET:
        found[_NAMED_BUCKET[scheme]] = first
    elif scheme == "webdav":
        found.setdefault("endpoint", f"https://{first}")
    if scheme == "s3":
        found.setdefault("region", _USUAL_REGION)
        if "access_key_id" in found:  # what the file says counts, and nothing that is lying about
            found.setdefault("disable_config_load", "true")
            found.setdefault("disable_ec2_metadata", "true")
    return Place(scheme, found)


def directory_of(url: str) -> str | None:
    """Return the directory on this machine that a storage is; None where it is elsewhere."""
    scheme, _, rest = url.partition("://")
    return f"/{rest.strip('/')}" if scheme == "fs" else None


def web_address(url: str, options: Mapping[str, str]) -> str:
    """Return what the addresses of uploaded files begin with, without a slash at the end.

    It is a web address where the service has one for its objects, which does not say that anybody
    may fetch them; otherwise the storage's own, as `b2://bucket/prefix`.
    """
    scheme, _, rest = url.partition("://")
    first, _, prefix = rest.partition("/")
    path = quote(prefix.strip("/"))
    endpoint = options.get("endpoint", "").rstrip("/")
    if endpoint and "://" not in endpoint:
        endpoint = f"https://{endpoint}"
    base = url.rstrip("/")
    if scheme == "s3" and endpoint:
        base = f"{endpoint}/{first}/{path}"
    elif scheme == "s3":
        region = options.get("region", _USUAL_REGION)
        base = f"https://{first}.s3.{region}.amazonaws.com/{path}"
    elif scheme in _BUCKET_IN_HOST and endpoint:
        parts = urlsplit(endpoint)
        base = f"{parts.scheme}://{first}.{parts.netloc}/{path}"
    elif scheme == "gcs":
        base = f"https://storage.googleapis.com/{first}/{path}"
    elif scheme == "azblob" and endpoint:
        base = f"{endpoint}/{first}/{path}"
    elif scheme == "webdav":
        base = f"{endpoint or f'https://{first}'}/{path}"
    return base.rstrip("/")
