"""Why something happened: the closed list of reasons that events carry. Kebab-case; a value, once published, keeps its meaning."""

from enum import StrEnum


class Reason(StrEnum):
    """A reason in an event or a dead letter. Consumers must accept values that they do not know yet."""

    # The request itself
    MALFORMED_REQUEST = "malformed-request"
    TOO_LARGE = "too-large"
    TIME_WITHOUT_OFFSET = "time-without-offset"
    END_BEFORE_START = "end-before-start"
    OFF_GRID = "off-grid"
    TOO_LONG = "too-long"
    IN_THE_PAST = "in-the-past"
    TOO_FAR_AHEAD = "too-far-ahead"
    UNKNOWN_TIME_ZONE = "unknown-time-zone"
    INVALID_EMAIL = "invalid-email"
    IDENTITY_REUSED = "identity-reused"
    UNSEALED = "unsealed"
    SEAL_UNREADABLE = "seal-unreadable"
    # The host and the calendar
    UNKNOWN_HOST = "unknown-host"
    HOST_NOT_CONNECTED = "host-not-connected"
    HOST_BUSY = "host-busy"
    TIME_TAKEN = "time-taken"
    CALENDAR_UNREADABLE = "calendar-unreadable"
    HOLD_EXPIRED = "hold-expired"
    # The host's own rules
    OUTSIDE_HOURS = "outside-hours"
    TOO_SHORT_NOTICE = "too-short-notice"
    DURATION_NOT_OFFERED = "duration-not-offered"
    DAILY_LIMIT_REACHED = "daily-limit-reached"
    # Changes of a booking
    UNKNOWN_BOOKING = "unknown-booking"
    BOOKING_OVER = "booking-over"
    BOOKING_NOT_CONFIRMED = "booking-not-confirmed"
    CHANGE_PENDING = "change-pending"
    TOO_MANY_CHANGES = "too-many-changes"
    CANCELLED_ON_REQUEST = "cancelled-on-request"
    REMOVED_BY_HOST = "removed-by-host"
    PERSON_ERASED = "person-erased"
    # Writing to the calendar
    PROVIDER_UNAVAILABLE = "provider-unavailable"
    PROVIDER_SWITCHED_OFF = "provider-switched-off"
    RATE_LIMITED = "rate-limited"
    RECONNECT_NEEDED = "reconnect-needed"
    FOREIGN_ENTRY = "foreign-entry"
    REFUSED_BY_PROVIDER = "refused-by-provider"
    CALENDAR_NOT_FOUND = "calendar-not-found"
    MOVED_BY_HOST = "moved-by-host"
    OVERLAPPED_BY_HOST = "overlapped-by-host"
    # Connections
    CONNECTED = "connected"
    RECONNECTED = "reconnected"
    GRANT_DEAD = "grant-dead"
    DISCONNECTED_BY_HOST = "disconnected-by-host"
    # Messages that cannot be handled
    NOT_A_CLOUDEVENT = "not-a-cloudevent"
    MALFORMED_EVENT = "malformed-event"
    UNKNOWN_TYPE = "unknown-type"
    UNSUPPORTED_CONTENT_TYPE = "unsupported-content-type"
    COMPRESSED = "compressed"
    WRONG_ROUTE = "wrong-route"
    FOREIGN_SOURCE = "foreign-source"
    ATTEMPTS_EXHAUSTED = "attempts-exhausted"
    DELIVERED_TOO_OFTEN = "delivered-too-often"
    # Passing trouble, named in retries and their metric
    STORE_UNAVAILABLE = "store-unavailable"
    BUS_UNAVAILABLE = "bus-unavailable"
    SERVICE_UNAVAILABLE = "service-unavailable"
    LOST_RACE = "lost-race"
    HANDLER_FAILED = "handler-failed"
