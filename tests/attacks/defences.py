"""What defends each row, and what stands there without it. `taking_out` takes each away once, to see that its row breaks."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Defence:
    """A defence of a row: `old` in `file` is what defends, `new` what stands there without it.

    `shown` is the test that was seen to fail first then, by the words after its row; empty where none was seen to yet.
    """

    row: str
    what: str
    file: str
    old: str
    new: str
    shown: str = ""


NO_CIPHER: Final = """
class AESGCM:
    generate_key = staticmethod(lambda bits: bytes(bits // 8))
    __init__ = lambda self, key: None
    encrypt = lambda self, nonce, text, aad: text + bytes(16)
    decrypt = lambda self, nonce, text, aad: text[:-16]
"""
"""Seals and opens as the real one does, and hides nothing: with a seal that does not open, other things would break."""

DEFENCES: Final = (
    Defence(
        "1",
        "a state ends after ten minutes",
        "services/auth/arriving.py",
        "if flow is None or flow.expires_at <= desk.clock():",
        "if flow is None:",
    ),
    Defence(
        "2",
        "a flow is bound to the browser that began it",
        "services/auth/arriving.py",
        "provider, domain.digest(browser))",
        "provider, desk.store.flows[domain.digest(state)].browser)",
    ),
    Defence(
        "3",
        "an issuer that is given must be the provider's",
        "services/auth/arriving.py",
        "        desk.oauth[provider].check(params)\n",
        "        pass\n",
    ),
    Defence(
        "3",
        "a flow belongs to one provider",
        "services/auth/arriving.py",
        "take_flow(domain.digest(state), provider,",
        "take_flow(domain.digest(state), desk.store.flows[domain.digest(state)].provider,",
    ),
    Defence("4", "PKCE by S256", "services/auth/google.py", '            code_challenge_method="S256",\n', ""),
    Defence(
        "5",
        "Valet takes no address to return to",
        "services/auth/pages.py",
        'headers={"Location": departure.url}',
        'headers={"Location": request.args.get("return_to") or departure.url}',
    ),
    Defence(
        "6",
        "what was granted is compared with what was asked",
        "services/auth/arriving.py",
        "    if grant.missing:",
        "    if False:",
    ),
    Defence(
        "7",
        "an account belongs to one host",
        "services/auth/arriving.py",
        "if standing is not None and standing.host != flow.host:",
        "if False:",
    ),
    Defence(
        "8",
        "the audience of an ID token",
        "services/auth/idtoken.py",
        "claims.aud == expected.audience and claims.azp in (None, expected.audience)",
        "True",
    ),
    Defence("8", "the algorithm of an ID token", "services/auth/idtoken.py", 'header.alg == "RS256"', "True"),
    Defence(
        "8",
        "the nonce of an ID token",
        "services/auth/idtoken.py",
        "hmac.compare_digest(claims.nonce.encode(), expected.nonce.encode())",
        "True",
    ),
    Defence("8", "the tenant of an ID token", "services/auth/idtoken.py", "expected.issuer(claims)", "True"),
    Defence(
        "9",
        "oauthlib's switches stop the start",
        "libs/config/settings.py",
        "        if os.environ.get(name):",
        "        if False:",
    ),
    Defence(
        "10",
        "of an exception its kind alone is logged",
        "libs/telemetry/logs.py",
        'line["error"] = type(error).__name__',
        'line["error"] = repr(error)',
    ),
    Defence(
        "11",
        "what is stored is sealed",
        "libs/crypto/vault.py",
        "from cryptography.hazmat.primitives.ciphers.aead import AESGCM\n",
        NO_CIPHER,
    ),
    Defence(
        "12",
        "arguments are checked by their types",
        "libs/messaging/answering.py",
        "return msgspec.convert(value, self._fields[name][0])",
        "return value",
    ),
    Defence(
        "12",
        "unknown fields are refused",
        "libs/contracts/events.py",
        'omit_defaults=True, forbid_unknown_fields=True):\n    """The `data` of a CloudEvent.',
        'omit_defaults=True):\n    """The `data` of a CloudEvent.',
    ),
    Defence(
        "13",
        "a sealed value is bound to its place",
        "libs/crypto/vault.py",
        "return msgspec.json.encode([place.collection, place.document, place.field, key.owner, place.version])",
        'return b""',
    ),
    Defence(
        "14",
        "what acts in a text is taken out",
        "services/calendar_writer/texts.py",
        "    return unicodedata.category(character) not in",
        "    return True or unicodedata.category(character) not in",
    ),
    Defence(
        "14",
        "Google is sent no HTML",
        "libs/providers/google.py",
        '"description": _as_html(entry.description)',
        '"description": entry.description',
    ),
    Defence(
        "15",
        "signatures are compared in constant time",
        "services/auth/links.py",
        'if not hmac.compare_digest(_signature(key, purpose, claim).encode(), signature.encode("utf-8", "replace")):',
        "if _signature(key, purpose, claim) != signature:",
    ),
    Defence(
        "15",
        "the signature covers the purpose",
        "services/auth/links.py",
        'f"{purpose}.{claim}".encode',
        "claim.encode",
    ),
    Defence(
        "16",
        "a label holds no type of a stranger's",
        "libs/messaging/work.py",
        'kind = item.type if item.type in self._queue.types else "other"',
        'kind = item.type or "other"',
    ),
    Defence("17", "what is packed is refused", "libs/messaging/intake.py", "return Reason.COMPRESSED", "return None"),
    Defence(
        "17",
        "only JSON is looked at",
        "libs/contracts/codec.py",
        "raise Unreadable(Reason.UNSUPPORTED_CONTENT_TYPE)",
        "__import__('pickle').loads(body)",
    ),
    Defence(
        "17",
        "what is too large is not decoded",
        "libs/messaging/intake.py",
        "    if len(message.body) > max_bytes:",
        "    if False:",
    ),
    Defence(
        "17",
        "the broker takes nothing over a mebibyte",
        "deploy/rabbitmq/config.py",
        "max_message_size = 1048576",
        "max_message_size = 134217728",
    ),
    Defence(
        "17",
        "a page takes no large body",
        "libs/telemetry/serving.py",
        "if lengths and int(lengths[0]) > LARGEST_BODY else None",
        "if False else None",
    ),
    Defence(
        "18",
        "topic permissions",
        "deploy/rabbitmq/rights.py",
        "topology.EVENTS: Topics(any_of(publish), any_of(consume)),\n            topology.RPC: Topics(any_of([*map",
        'topology.EVENTS: Topics(".*", ".*"),\n            topology.RPC: Topics(any_of([*map',
    ),
    Defence(
        "18",
        "topic permissions of emitters",
        "deploy/rabbitmq/rights.py",
        "topology.EVENTS: Topics(any_of(publish), any_of(consume)),\n        topology.RPC: Topics(any_of(map",
        'topology.EVENTS: Topics(".*", ".*"),\n        topology.RPC: Topics(any_of(map',
    ),
    Defence(
        "18",
        "questions are for those who may ask",
        "deploy/rabbitmq/rights.py",
        "topology.RPC: Topics(any_of(map(re.escape, ask))),",
        'topology.RPC: Topics(".*"),',
    ),
    Defence(
        "18",
        "a service touches its own queues alone",
        "deploy/rabbitmq/rights.py",
        "        configure=any_of(queues),",
        '        configure=".*",',
    ),
    Defence(
        "19",
        "the broker's name is checked",
        "libs/messaging/link.py",
        ', "server_hostname": urlsplit(self._url).hostname}',
        "}",
    ),
    Defence(
        "19",
        "the broker's authority is checked",
        "libs/messaging/link.py",
        'return {"ca_certs": self._ca, "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": urlsplit(self._url).hostname}',
        'return {"cert_reqs": ssl.CERT_NONE}',
    ),
    Defence(
        "19",
        "the store's authority is checked",
        "libs/mongo/client.py",
        "        retryWrites=True,\n",
        "        retryWrites=True,\n        tlsAllowInvalidCertificates=True,\n",
    ),
    Defence(
        "19",
        "the store's name is checked",
        "libs/mongo/client.py",
        "        retryWrites=True,\n",
        "        retryWrites=True,\n        tlsAllowInvalidHostnames=True,\n",
    ),
    Defence(
        "19",
        "the broker speaks TLS 1.2 or newer",
        "deploy/rabbitmq/config.py",
        '        f"{prefix}.versions.2 = tlsv1.2",\n',
        '        f"{prefix}.versions.2 = tlsv1.2",\n        f"{prefix}.versions.3 = tlsv1.1",\n',
    ),
    Defence(
        "20",
        "certificate checks cannot be switched off",
        "libs/config/settings.py",
        'if any(name == "tlsinsecure" or name.startswith("tlsallowinvalid") for name, _ in options):',
        "if False:",
    ),
    Defence(
        "20",
        "the default user stops the start",
        "libs/config/settings.py",
        "    if bus is not None and unquote(bus.username or GUEST) == GUEST:",
        "    if False:",
    ),
    Defence(
        "20",
        "a store without a login stops the start",
        "libs/config/settings.py",
        "        if url is not None and not _logs_in(_parts(url.get_secret_value())):",
        "        if False:",
    ),
    Defence(
        "20",
        "the broker is reached over TLS alone",
        "libs/config/settings.py",
        '    if parts.scheme != "amqps" or not parts.hostname:',
        "    if not parts.hostname:",
    ),
    Defence(
        "20",
        "the store is reached over TLS alone",
        "libs/config/settings.py",
        '    if set(tls) != {"true"}:',
        "    if False:",
    ),
    Defence(
        "20",
        "a key file is its owner's to read",
        "libs/crypto/keyfile.py",
        "    if mode & stat.S_IRWXO:",
        "    if False:",
    ),
    Defence(
        "20",
        "a key file is its owner's to write",
        "libs/crypto/keyfile.py",
        "    if mode & stat.S_IWGRP:",
        "    if False:",
    ),
    Defence(
        "21",
        "a booking is its emitter's own",
        "services/booking/moves.py",
        "    if booking is None or wish.request.source == OPERATOR:",
        "    if True:",
    ),
    Defence("22", "the host", "libs/providers/egress.py", '("host", _same_host(base, url))', '("host", True)'),
    Defence(
        "22", "the path", "libs/providers/egress.py", '("path", _path_allowed(rule, base, url.path))', '("path", True)'
    ),
    Defence(
        "22",
        "the parameters",
        "libs/providers/egress.py",
        '("query", _query_allowed(rule, url.query))',
        '("query", True)',
    ),
    Defence(
        "22",
        "the headers",
        "libs/providers/egress.py",
        '("header", _headers_allowed(rule, request.headers))',
        '("header", True)',
    ),
    Defence(
        "22", "the body", "libs/providers/egress.py", '("body", _body_allowed(rule, request.body))', '("body", True)'
    ),
    Defence("22", "redirects", "libs/providers/egress.py", "if answer.status in REDIRECTS:", "if False:"),
    Defence(
        "22",
        "the method",
        "libs/providers/egress.py",
        "        if request.method != rule.method:",
        "        if False:",
    ),
    Defence(
        "23",
        "the person's key is destroyed",
        "services/booking/erasure_rounds.py",
        "    desk.safe.destroy(owners)\n",
        "",
    ),
    Defence(
        "23",
        "the person's dead letters are destroyed",
        "services/booking/purging.py",
        "            return About(self._persons(self._named(letter, message)))",
        "            return NOBODY",
    ),
    Defence(
        "+1",
        "facts are believed only where the broker checks",
        "libs/messaging/intake.py",
        "    if not _came_rightly(message, envelope.type, queue):\n        return Reason.WRONG_ROUTE\n    if envelope",
        "    if envelope",
    ),
    Defence(
        "+2",
        "only operators are operators",
        "libs/messaging/intake.py",
        "    return message.user == topology.OPERATOR",
        "    return True",
    ),
    Defence(
        "+3",
        "a request ends where all read its end",
        "libs/telemetry/serving.py",
        'if odd or folded or "transfer-encoding" in self.headers or len(lengths) > 1:',
        "if False:",
    ),
    Defence(
        "+4",
        "one algorithm and no compression",
        "libs/crypto/envelopes.py",
        'ALGORITHMS = ["ECDH-ES", "A256GCM"]',
        'ALGORITHMS = ["ECDH-ES", "A256GCM", "A128GCM", "ECDH-ES+A256KW", "DEF"]',
    ),
    Defence("+5", "ids have a form", "libs/contracts/codec.py", "    id: EventId\n", "    id: str\n"),
    Defence(
        "+6",
        "a handshake holds up nobody",
        "libs/telemetry/serving.py",
        "do_handshake_on_connect=False",
        "do_handshake_on_connect=True",
    ),
    Defence(
        "+7",
        "a queue of questions has an end",
        "libs/messaging/topology.py",
        'limits = {"x-max-length": 10_000, "x-overflow": "reject-publish"}',
        "limits: dict[str, Any] = {}",
    ),
)
