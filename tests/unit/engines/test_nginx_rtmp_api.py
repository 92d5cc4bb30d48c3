import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.engines.base import Player
from streamd.engines.nginx_rtmp_api import Published, Statistics, parse_statistics
from streamd.errors import EngineError

STATISTICS = b"""<?xml version="1.0" encoding="utf-8" ?>
<rtmp><nginx_version>1.22.1</nginx_version><server>
<application><name>live</name><live>
<stream><name>cam</name><time>3008</time><bytes_in>106479</bytes_in>
<client><id>4</id><address>192.0.2.9</address><publishing/><active/></client>
<client><id>7</id><address>192.0.2.10</address><active/></client>
<client><id>8</id><address>127.0.0.1</address><active/></client>
<meta><video><width>160</width><height>120</height><codec>H264</codec><profile>Baseline</profile>
</video><audio><codec>AAC</codec><profile>LC</profile><sample_rate>44100</sample_rate></audio></meta>
<nclients>3</nclients><publishing/><active/></stream>
<stream><name>waited-for</name><bytes_in>0</bytes_in>
<client><id>9</id><address>192.0.2.10</address></client><nclients>1</nclients></stream>
<stream><name>waited-for-here</name><bytes_in>0</bytes_in>
<client><id>10</id><address>127.0.0.1</address></client>
<client><id>12</id><address>::1</address></client><nclients>2</nclients></stream>
<nclients>6</nclients></live></application>
<application><name>lot/west</name><live>
<stream><name>bare</name><bytes_in>0</bytes_in>
<meta><video><width>0</width><height>0</height></video></meta>
<client><id>11</id><address>192.0.2.9</address><publishing/></client><publishing/></stream>
</live></application></server></rtmp>
"""


def test_streams_are_read_that_are_published_or_waited_for_elsewhere() -> None:
    statistics = parse_statistics(STATISTICS)
    assert statistics.waited == {"live/waited-for"}
    assert statistics.published == [
        Published(
            app="live",
            name="cam",
            client_id="4",
            bytes_in=106_479,
            players=(Player("7", "192.0.2.10", "rtmp"),),
            video="H264 Baseline 160x120",
            audio="AAC LC 44100",
        ),
        Published("lot/west", "bare", "11", 0, (), None, None),
    ]


def test_an_idle_server_has_none() -> None:
    assert parse_statistics(b"<rtmp><server></server></rtmp>") == Statistics([])


@pytest.mark.parametrize("text", [b"", b"not found", b"<rtmp>", b"\xff"])
def test_anything_else_is_refused(text: bytes) -> None:
    with pytest.raises(EngineError, match="cannot be read"):
        parse_statistics(text)


@given(st.binary())
def test_any_page_is_read_or_refused(text: bytes) -> None:
    try:
        parse_statistics(text)
    except EngineError:
        return
