"""Only the right broker is talked to, and nobody learns the password from an error."""

import logging
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from deploy.local.certs import ensure_certificates
from libs.config.settings import Settings
from libs.messaging.errors import BusUnavailable
from libs.messaging.link import Link
from libs.messaging.publisher import Outgoing, Publisher
from libs.messaging.tap import Tap
from tests.integration.messaging.support import Proxy


def _with(operator: Settings, **changes: object) -> Settings:
    return Settings.model_validate(operator.model_dump() | changes)


def _url(operator: Settings) -> str:
    assert operator.amqp_url is not None
    return operator.amqp_url.get_secret_value()


def _password(operator: Settings) -> str:
    return urlsplit(_url(operator)).password or "?"


def test_another_authority_is_refused(operator: Settings, tmp_path: Path) -> None:
    # given an authority that is not the broker's
    ensure_certificates(tmp_path)
    stranger = Link(_with(operator, ca_bundle=tmp_path / "ca.pem"), "tests")
    # then no connection is made
    with pytest.raises(BusUnavailable, match="SSLCertVerificationError"):
        stranger.open()


def test_without_a_bundle_the_systems_authorities_decide(operator: Settings) -> None:
    with pytest.raises(BusUnavailable, match="SSLCertVerificationError"):
        Link(_with(operator, ca_bundle=None), "tests").open()


def test_a_host_name_that_is_not_in_the_certificate_is_refused(operator: Settings) -> None:
    # given another address of the same machine (all of 127/8 is this host), behind which the broker itself answers
    proxy = Proxy(urlsplit(_url(operator)).port or 0, "127.0.0.2")
    wrong = urlsplit(_url(operator))._replace(
        netloc=f"{urlsplit(_url(operator)).username}:{_password(operator)}@127.0.0.2:{proxy.port}"
    )
    # then it is refused, because that name is not in the certificate
    with pytest.raises(BusUnavailable, match="SSLCertVerificationError"):
        Link(_with(operator, amqp_url=wrong.geturl()), "tests").open()
    assert proxy.connections == 1
    proxy.close()


def test_the_password_is_in_no_error(operator: Settings, caplog: pytest.LogCaptureFixture) -> None:
    # given a wrong password, a closed port, a wrong virtual host
    url, password = _url(operator), _password(operator)
    port = f":{urlsplit(url).port}/"
    caplog.set_level(logging.DEBUG)
    for bad in (url.replace(password, f"x{password}x"), url.replace(port, ":1/"), url + "-other"):
        uses: tuple[Callable[[Link], object], ...] = (lambda at: at.open(), _publish, Tap)
        for use in uses:
            with pytest.raises(BusUnavailable) as caught:
                use(Link(_with(operator, amqp_url=bad), "tests"))
            # then the whole chain of exceptions and all logs keep it to themselves
            assert password not in "".join(traceback.format_exception(caught.value))
            assert password not in caplog.text
    assert password not in repr(Link(operator, "tests"))


def _publish(link: Link) -> None:
    Publisher(link, 1).publish([Outgoing("", "nowhere", b"", "text/plain")])


def test_a_closed_port_is_told_at_once(operator: Settings) -> None:
    # given that nobody listens
    url = _url(operator)
    closed = Link(_with(operator, amqp_url=url.replace(f":{urlsplit(url).port}/", ":1/")), "tests")
    # when it is tried
    started = time.monotonic()
    with pytest.raises(BusUnavailable):
        closed.open()
    # then it is known at once: who retries, and when, is decided elsewhere
    assert time.monotonic() - started < 1
