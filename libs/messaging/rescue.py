"""What the broker itself gave up, made into dead letters.

A message that comes back too often is taken out of its queue by the broker, as it came: a request in the clear. It goes to a
queue that its own service alone may read; the service seals it and hands it on to the operators.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from libs.contracts.reasons import Reason
from libs.messaging import dead, intake, topology
from libs.messaging.intake import Raw
from libs.messaging.publisher import Outgoing, Publisher
from libs.messaging.sealer import Sealer
from libs.messaging.session import Settled
from libs.messaging.work import note_letter, sent_in_the_end

TOO_OFTEN = Reason.DELIVERED_TOO_OFTEN


class Rescue:
    """Works what one service was given back."""

    def __init__(
        self,
        source: topology.GivenUp,
        queues: Mapping[str, topology.Queue],
        publisher: Publisher,
        sealer: Callable[[], Sealer | None],
        stopping: Callable[[], bool],
    ) -> None:
        self._source = source
        self._queues = queues
        self._publisher = publisher
        self._sealer = sealer
        self._stopping = stopping

    def __call__(self, batch: Sequence[Raw]) -> Settled:
        """Make dead letters of a batch. What did not come from the broker is dropped: nobody else has business there."""
        letters = [self._letter(raw) for raw in batch if self._given_up(raw)]
        tags = [raw.tag for raw in batch]
        if sent_in_the_end(self._publisher, letters, self._source.name, self._stopping):
            return Settled(tags)
        return Settled([], tags)

    def _given_up(self, raw: Raw) -> bool:
        """Whether the broker took it out of one of this service's queues, and nobody else put it here."""
        name = str(_death(raw.headers).get("queue"))
        return raw.exchange == topology.DEAD and name.startswith(f"{self._source.service}.")

    def _letter(self, raw: Raw) -> Outgoing:
        death = _death(raw.headers)
        name = str(death.get("queue"))
        queue = self._queues.get(name) or topology.Queue(self._source.service, "unknown", ())
        keys = death.get("routing-keys")
        came = replace(
            raw,
            headers=_before(raw.headers),
            exchange=str(death.get("exchange") or ""),
            routing_key=str(keys[0]) if isinstance(keys, list) and keys else "",
            returned=0,  # of the queue that it lies in now
        )
        came = dead.opened(came, self._sealer()) or came
        item = intake.Unfit(TOO_OFTEN) if raw.returned >= intake.SUSPECT else intake.read(came, queue, len(raw.body))
        note_letter(queue, item, TOO_OFTEN)
        return dead.letter(queue, came, item, TOO_OFTEN, self._sealer())


def _death(headers: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where it lay before, as the broker says (https://www.rabbitmq.com/docs/dlx#effects)."""
    deaths = headers.get(intake.DEATHS)
    last = deaths[0] if isinstance(deaths, list) and deaths else None
    return last if isinstance(last, dict) else {}


def _before(headers: Mapping[str, Any]) -> Mapping[str, Any]:
    """The headers without that last death, as they were in the queue where it lay."""
    earlier = headers[intake.DEATHS][1:]
    return {**headers, intake.DEATHS: earlier} if earlier else {k: v for k, v in headers.items() if k != intake.DEATHS}
