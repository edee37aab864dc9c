"""What bookings cost in us-east-1, from what they need: US dollars per million bookings, at on-demand prices. Pure.

Counted: processors, what crosses zones, what goes through the NAT gateway to the providers, and disks for what is kept. Not
counted: the control plane of the cluster, monitoring, backups, support, the providers' own prices, people.
"""

import math

from msgspec import Struct

from tests.bench.scale_model import Size

MEMBERS = 3
"""Of a replica set; and a broker's nodes, each of which keeps a copy of every queue."""
ELSEWHERE = 2 / 3
"""The share of connections that lead into another of three zones."""
MILLION, HOUR, GB = 1e6, 3600, 1e9


class Bytes(Struct, frozen=True, forbid_unknown_fields=True):
    """For one booking, measured. `published` and `queued`: bodies and headers of its events, once each and once for each queue
    they flow into; `store`: between services and store, both ways; `oplog`: what members tell each other; `kept`: on one disk."""

    published: float
    queued: float
    store: float
    oplog: float
    provider: float
    kept: float

    @property
    def between_zones(self) -> float:
        """What crosses from one zone into another."""
        copies = MEMBERS - 1
        broker = self.published * ELSEWHERE + self.queued * (copies + ELSEWHERE)
        return broker + self.store * ELSEWHERE + self.oplog * copies


class Prices(Struct, frozen=True, forbid_unknown_fields=True):
    """US dollars. `between_zones_gb` is both directions together."""

    service_vcpu_hour: float
    server_vcpu_hour: float
    disk_gb_month: float
    between_zones_gb: float
    nat_gb: float


class Bill(Struct, frozen=True):
    """US dollars per million bookings; `kept` for each month that a million bookings are kept."""

    services: float
    broker: float
    store: float
    network: float
    kept: float

    @property
    def once(self) -> float:
        """All that a booking costs once."""
        return self.services + self.broker + self.store + self.network


def bill(size: Size, rate: float, bytes: Bytes, prices: Prices) -> Bill:
    """For a system of this size that has so many bookings each second, all day long.

    A replica is paid as one vCPU. The store's secondaries are as large as its primary, since each may have to take its place.
    """
    hours = MILLION / rate / HOUR
    network = bytes.between_zones * prices.between_zones_gb + bytes.provider * prices.nat_gb
    nodes = math.ceil(size.broker / MEMBERS) * MEMBERS
    return Bill(
        services=sum(size.replicas.values()) * prices.service_vcpu_hour * hours,
        broker=nodes * prices.server_vcpu_hour * hours,
        store=size.store * MEMBERS * prices.server_vcpu_hour * hours,
        network=network * MILLION / GB,
        kept=bytes.kept * MEMBERS * MILLION / GB * prices.disk_gb_month,
    )
