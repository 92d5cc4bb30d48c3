"""Certificates as Prometheus metrics. Pure."""

from collections.abc import Iterator, Mapping
from typing import get_args

from prometheus_client.core import GaugeMetricFamily, Metric

from streamd.certificates.facts import CertificateState
from streamd.status.certificates import CertificateStatus


def certificate_metrics(certificates: Mapping[str, CertificateStatus]) -> Iterator[Metric]:
    """Yield the metrics of certificates."""
    not_after = GaugeMetricFamily(
        "streamd_certificate_not_after_seconds",
        "Unix time at which what is served expires; absent while it is self-signed.",
        labels=("certificate",),
    )
    state = GaugeMetricFamily(
        "streamd_certificate_state",
        "1 for the state that the certificate is in, 0 for every other.",
        labels=("certificate", "state"),
    )
    for name, certificate in certificates.items():
        if certificate.not_after is not None:
            not_after.add_metric((name,), certificate.not_after.timestamp())
        for each in get_args(CertificateState):
            state.add_metric((name, each), certificate.state == each)
    yield from (not_after, state)
