"""Ask Valet for a booking and wait for the outcome, with plain pika.

    AMQP_URL=amqps://user:password@broker:5671/valet CA_FILE=ca.pem python book_pika.py HOST START END [REQUEST_ID]

Exit code 0: confirmed, 2: rejected, 3: no outcome in time, 4: nothing takes booking requests.
"""

import json
import os
import ssl
import sys
import uuid

import pika
from pika.exceptions import NackError, UnroutableError

url, host, start, end = os.environ["AMQP_URL"], *sys.argv[1:4]
invitee = {"name": "Ada Example", "email": "ada@example.com", "time_zone": "America/New_York"}
request = {"source": "https://appointments.example.com", "id": sys.argv[4] if sys.argv[4:] else str(uuid.uuid4())}
event = {**request, "specversion": "1.0", "type": "booking-requested", "datacontenttype": "application/json"}
body = json.dumps({**event, "data": {"host": host, "start": start, "end": end, "invitee": invitee}}).encode()

parameters = pika.URLParameters(url)
tls = ssl.create_default_context(cafile=os.environ["CA_FILE"])  # checks the certificate and the host name
parameters.ssl_options = pika.SSLOptions(tls, server_hostname=parameters.host)
with pika.BlockingConnection(parameters) as connection:
    channel = connection.channel()
    channel.confirm_delivery()  # from here on basic_publish returns only when the broker has the message
    mine = channel.queue_declare("", exclusive=True, auto_delete=True).method.queue  # the broker makes up a name
    for key in ("booking-confirmed", "booking-rejected"):
        channel.queue_bind(mine, "events", routing_key=key)  # listen first, then ask
    properties = pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2)
    try:
        channel.basic_publish("events", "booking-requested", body, properties, mandatory=True)
    except (NackError, UnroutableError):
        sys.exit(4)  # mandatory: no queue takes booking requests, Valet is not set up here
    connection.call_later(180, lambda: sys.exit(3))
    for _, _, message in channel.consume(mine, auto_ack=True):
        outcome = json.loads(message)
        if outcome["data"]["request"] == request:  # others' outcomes come by as well
            print(outcome["type"], outcome["data"]["booking"], outcome["data"].get("reason", ""))
            sys.exit(0 if outcome["type"] == "booking-confirmed" else 2)
