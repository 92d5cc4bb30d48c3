"""What streamd hands to an archive arrives as it was."""

from dataclasses import replace

import pytest

from streamd.archive.spec import ArchiveSpec, UploadSpec, from_json, to_json
from tests.unit.archive.values import SPEC

UPLOAD = UploadSpec(
    storage="cloud",
    url="s3://bucket/prefix",
    options={"region": "eu", "secret_access_key": "s3cret-0123"},
    when="segment",
    keep_local=False,
)


@pytest.mark.parametrize("spec", [SPEC, replace(SPEC, split_s=None, upload=UPLOAD)])
def test_a_spec_is_read_back(spec: ArchiveSpec) -> None:
    assert from_json(to_json(spec)) == spec


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"upload": null}', '{"upload": 1}'])
def test_what_is_no_spec_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of the JSON or of the spec
        from_json(text)


def test_secrets_of_a_spec_are_not_shown() -> None:
    assert "s3cret" not in repr(replace(SPEC, upload=UPLOAD))
