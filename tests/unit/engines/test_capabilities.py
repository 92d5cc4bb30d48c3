from streamd.engines.capabilities import CAPABILITIES, TITLES, lacking


def test_srs_lacks_nothing_and_nginx_rtmp_what_it_cannot_speak() -> None:
    assert lacking("srs") == {}
    assert lacking("nginx-rtmp") == {"http-flv": "HTTP-FLV", "srt": "SRT", "webrtc": "WebRTC"}


def test_an_engine_can_or_lacks_each_thing() -> None:
    for engine, can in CAPABILITIES.items():
        assert can | lacking(engine).keys() == TITLES.keys()
        assert not can & lacking(engine).keys()
