"""Ask Valet for a booking and wait for the outcome, with plain kombu.

    AMQP_URL=amqps://user:password@broker:5671/valet CA_FILE=ca.pem python book.py HOST START END [REQUEST_ID]

Exit code 0: confirmed, 2: rejected, 3: no outcome in time, 4: nothing takes booking requests.
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

from kombu import Connection, Consumer, Exchange, Message, Producer, Queue, binding

url, host, start, end = os.environ["AMQP_URL"], *sys.argv[1:4]
invitee = {"name": "Ada Example", "email": "ada@example.com", "time_zone": "America/New_York"}
request = {"source": "https://appointments.example.com", "id": sys.argv[4] if sys.argv[4:] else str(uuid.uuid4())}
event = {**request, "specversion": "1.0", "type": "booking-requested", "datacontenttype": "application/json"}
body = json.dumps({**event, "data": {"host": host, "start": start, "end": end, "invitee": invitee}}).encode()

tls = {"ca_certs": os.environ["CA_FILE"], "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": urlsplit(url).hostname}
events = Exchange("events", type="topic", no_declare=True)  # Valet's own: other services may not declare it
outcomes = [binding(events, routing_key=key) for key in ("booking-confirmed", "booking-rejected")]
mine = Queue("", bindings=outcomes, exclusive=True, auto_delete=True, durable=False)  # the broker makes up a name
found: list[Any] = []


def hear(message: Message) -> None:
    outcome = json.loads(message.body)
    if outcome["data"]["request"] == request:  # others' outcomes come by as well
        found.append(outcome)
    message.ack()


def returned(*_: Any) -> None:
    sys.exit(4)  # mandatory: no queue takes booking requests, Valet is not set up here


with (
    Connection(url, ssl=tls, connect_timeout=10, transport_options={"confirm_publish": True}) as connection,
    Consumer(connection.channel(), queues=[mine], on_message=hear),  # listen first, then ask
):
    producer = Producer(connection.channel(), exchange=events, on_return=returned)
    kind = {"content_type": "application/cloudevents+json", "content_encoding": "utf-8", "delivery_mode": 2}
    producer.publish(body, routing_key="booking-requested", mandatory=True, confirm_timeout=10, **kind)
    deadline = time.monotonic() + 180
    with contextlib.suppress(TimeoutError):
        while not found and (left := deadline - time.monotonic()) > 0:
            connection.drain_events(timeout=left)

if not found:
    sys.exit(3)
outcome = found[0]
print(outcome["type"], outcome["data"]["booking"], outcome["data"].get("reason", ""))
sys.exit(0 if outcome["type"] == "booking-confirmed" else 2)
