"""Ask Valet when a host is free, with plain kombu.

    AMQP_URL=amqps://user:password@broker:5671/valet CA_FILE=ca.pem python slots.py HOST START END MINUTES

Exit code 0: answered (also with no free time), 2: refused, 3: no answer in time, 4: nobody answers such questions.
"""

import contextlib
import json
import os
import ssl
import sys
import time
import uuid
from typing import Any
from urllib.parse import urlsplit

from kombu import Connection, Consumer, Exchange, Message, Producer, Queue

SECONDS = 10
url, host, start, end, minutes = os.environ["AMQP_URL"], *sys.argv[1:5]
asked = {"host": host, "start": start, "end": end, "duration_minutes": int(minutes)}
body = json.dumps({"args": [], "kwargs": asked}).encode()

tls = {"ca_certs": os.environ["CA_FILE"], "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": urlsplit(url).hostname}
questions = Exchange("nameko-rpc", type="topic", no_declare=True)
reply_to = "amq.rabbitmq.reply-to"  # an address that the broker lends to this channel; it needs no queue and no right
correlation = str(uuid.uuid4())
found: list[Any] = []


def hear(message: Message) -> None:
    if message.properties.get("correlation_id") == correlation:
        found.append(json.loads(message.body))


def returned(*_: Any) -> None:
    sys.exit(4)  # mandatory: no queue takes such questions, Valet is not set up here


mine = Queue(reply_to, no_declare=True)
with (
    Connection(url, ssl=tls, connect_timeout=10) as connection,
    connection.channel() as channel,
    Consumer(channel, queues=[mine], on_message=hear, no_ack=True, auto_declare=False),  # listen first, then ask
):
    producer = Producer(channel, exchange=questions, on_return=returned, auto_declare=False)  # on the same channel
    kind = {"content_type": "application/json", "content_encoding": "utf-8", "expiration": SECONDS}
    reply = {"reply_to": reply_to, "correlation_id": correlation}
    producer.publish(body, routing_key="availability.slots", mandatory=True, **reply, **kind)
    deadline = time.monotonic() + SECONDS
    with contextlib.suppress(TimeoutError):
        while not found and (left := deadline - time.monotonic()) > 0:
            connection.drain_events(timeout=left)

if not found:
    sys.exit(3)
if error := found[0].get("error"):
    print(error["exc_type"], error["value"])
    sys.exit(2)
answer = found[0]["result"]
for slot in answer["slots"]:
    print(slot["start"], slot["end"])
print("why:", answer["why"])
