"""Which addresses a file may be fetched from."""

import asyncio
import ssl

import httpx
import pytest

from hsis_ingest import addresses
from hsis_ingest.addresses import AddressRules, CheckedTransport, is_public, name_in
from hsis_ingest.errors import SourceNotAllowed, SourceUnavailable
from tests.support.servers import served


class Chosen:
    """The settings that the rules look at."""

    fetch_allow_private = False
    fetch_private_hosts = "scenes.test, other.test"


PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001::1"]
NOT_PUBLIC = [
    "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255",
    "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.8", "192.0.2.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.88.99.1",
    "::", "::1", "fe80::1", "fe80::1%1", "fc00::1", "fd12::1", "fec0::1", "ff02::1",
    "::ffff:8.8.8.8", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1",
    "2002:7f00:1::", "2001:0:1::1", "2001:db8::1", "100::1", "fd00:ec2::254",
]  # fmt: skip


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://h/my%20cube.raw?x=1", "my cube.raw"),
        ("http://h/a/100%2541.npy", "100%41.npy"),
        ("http://h/a/", "a"),
        ("http://h", ""),
    ],
)
def test_the_name_of_a_file_in_a_url(url: str, name: str):
    assert name_in(httpx.URL(url)) == name


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str):
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_not_public(address: str):
    assert not is_public(address)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://example.org/a", "http"),
        ("http://xn--zz.org/a", "'http://xn--zz.org/a' is no URL"),
        ("file:///etc/passwd", "http"),
        ("https://user:word@example.org/a", "password"),
        ("https:///a", "host"),
        ("http://[::1", "URL"),
    ],
)
def test_a_url_that_cannot_be(url: str, why: str):
    with pytest.raises(SourceNotAllowed, match=why):
        AddressRules(Chosen()).check_url(url)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0x7f.1", "localhost", "[::1]", "[::ffff:7f00:1]"]
)
async def test_forms_of_this_machine(host: str):
    rules = AddressRules(Chosen())
    with pytest.raises(SourceNotAllowed, match="not public"):
        await rules.addresses(rules.check_url(f"http://{host}/a"))


async def test_one_address_that_is_not_public_is_enough():
    async def resolve(host, port):
        return ["8.8.8.8", "10.0.0.1"]

    rules = AddressRules(Chosen(), resolve)
    with pytest.raises(SourceNotAllowed):
        await rules.addresses(httpx.URL("http://mixed.test/"))


async def test_hosts_of_one_request_are_looked_up_at_once():
    asked, waiting, most = [], 0, 0

    async def resolve(host, port):
        nonlocal waiting, most
        asked.append((host, port))
        waiting += 1
        most = max(most, waiting)
        for _ in range(3):
            await asyncio.sleep(0)
        waiting -= 1
        if host == "h3":
            raise SourceUnavailable("not found")
        return ["10.0.0.1" if host in {"h7", "h5"} else "8.8.8.8"]

    rules = AddressRules(Chosen(), resolve)
    fine = [httpx.URL(f"http://h{n % 5}/{n}") for n in range(20)]
    await rules.check_hosts([])
    await rules.check_hosts([*fine, httpx.URL("https://h1/")])
    assert sorted(asked) == [
        ("h0", 80),
        ("h1", 80),
        ("h1", 443),
        ("h2", 80),
        ("h3", 80),
        ("h4", 80),
    ]
    with pytest.raises(SourceNotAllowed, match="h7 has an address"):
        await rules.check_hosts([httpx.URL(f"http://h{n}/") for n in reversed(range(20))])
    assert most == 8  # the most at once


async def test_a_name_server_that_never_answers_holds_no_request(monkeypatch):
    monkeypatch.setattr(addresses, "RESOLVE_TIMEOUT_S", 0.05)
    never = asyncio.Event()

    async def resolve(host, port):
        if host == "silent":
            await never.wait()
        return ["10.0.0.1"]

    rules = AddressRules(Chosen(), resolve)
    silent = httpx.URL("http://silent/")
    await rules.check_hosts([silent])  # it is looked up again when the file is fetched
    with pytest.raises(SourceNotAllowed, match="inside has an address"):
        await rules.check_hosts([silent, httpx.URL("http://inside/")])


async def test_the_connection_goes_to_the_address_that_was_checked():
    asked, seen = [], []

    async def app(scope, receive, send):
        if scope["type"] == "http":
            seen.append(dict(scope["headers"])[b"host"].decode())
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"here"})

    async def resolve(host, port):
        """A name server that changes its mind after the first question."""
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.255.255.1"]

    async with served(app) as url:
        port = httpx.URL(url).port
        transport = CheckedTransport(AddressRules(Chosen(), resolve))
        async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
            answer = await client.get(f"http://scenes.test:{port}/a")
    assert (answer.text, asked, seen) == ("here", ["scenes.test"], [f"scenes.test:{port}"])


async def test_tls_names_the_host_and_not_its_address():
    """The name that a server reads from the greeting of TLS (SNI)."""
    named = []

    async def greet(reader, writer):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = lambda _, name, __: named.append(name)
        connection = context.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(await reader.read(65_536))
        with pytest.raises(ssl.SSLError):  # there is no certificate to answer with
            connection.do_handshake()
        writer.close()
        await writer.wait_closed()

    async def resolve(host, port):
        return ["127.0.0.1"]

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = CheckedTransport(AddressRules(Chosen(), resolve))
    async with server, httpx.AsyncClient(transport=transport, trust_env=False) as client:
        with pytest.raises(httpx.TransportError):
            await client.get(f"https://scenes.test:{port}/")
    assert named == ["scenes.test"]
