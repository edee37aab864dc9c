"""Questions about a host's rules: what they are, and what they shall be."""

import msgspec

from libs.contracts.questions import HostRules, StandingRules
from libs.mongo.errors import StoreUnavailable
from libs.telemetry.logs import logger
from services.availability.desk import BadQuestion, Desk, NotNow
from services.availability.outgoing import rules_event_of
from services.availability.rules import BadRules, checked, explained

TRIES = 5
"""So many others may change the same host's rules in the moment between reading and writing."""


def host_rules(host: str, desk: Desk) -> StandingRules:
    """The rules that hold for a host. Raises NotNow."""
    try:
        return desk.rules.get([host])[host]
    except StoreUnavailable:
        raise NotNow("the store does not answer: ask again in a moment") from None


def set_host_rules(host: str, given: dict[str, object], desk: Desk) -> StandingRules:
    """Have these rules hold from now on, all of them: what is not given is as if it was never set.

    The host need not be known yet. Rules that stand already make no new version. Raises BadQuestion, NotNow.
    """
    rules = _sound(given, desk)
    try:
        for _ in range(TRIES):
            standing = desk.rules.get([host])[host]
            if standing.rules == rules:
                return standing
            changed = StandingRules(host=host, version=standing.version + 1, rules=rules)
            event = rules_event_of(changed, desk.clock())
            if desk.rules.put(changed, event):
                desk.rules_relay.send({host: [event]})
                logger().info("host rules changed", host=host, version=changed.version)
                return changed
    except StoreUnavailable:
        raise NotNow("the store does not answer, and may have kept the rules: give them again in a moment") from None
    raise NotNow("others are changing the rules of this host: look at them, and give yours again")


def _sound(given: dict[str, object], desk: Desk) -> HostRules:
    try:
        rules = msgspec.convert(given, HostRules)
    except ValueError as error:  # msgspec's ValidationError is one
        raise BadQuestion(str(explained(error))) from None
    try:
        return checked(rules, desk.limits.grid_minutes)
    except BadRules as error:
        raise BadQuestion(str(error)) from None
