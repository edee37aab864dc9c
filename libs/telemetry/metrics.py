"""Every metric Valet has, in one place. Base units, `_total` for counters, labels from closed lists: never an id or an address."""

from prometheus_client import Counter, Gauge, Histogram, Info

FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SLOW = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 600.0, 3600.0)
WAITS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 600.0, 3600.0, 21_600.0, 86_400.0)
ERASURES = (1.0, 10.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 21_600.0, 86_400.0)
SIZES = (1, 2, 5, 10, 25, 50, 100, 200, 500, 1000)

BUILD = Info("valet_build", "What runs here: service, version, and the revision it was built from (VALET_REVISION).")
LOG_LINES = Counter("valet_log_lines_total", "Lines logged, by level.", ["level"])
TIMER_SECONDS = Histogram(
    "valet_timer_seconds", "Time of one run of a timer, by how it ended.", ["timer", "outcome"], buckets=FAST
)
TRACE_SPANS = Counter("valet_trace_spans_total", "Spans of traces, by whether the collector took them.", ["outcome"])

EVENTS_HANDLED = Counter("valet_events_handled_total", "Events by what became of them.", ["queue", "type", "outcome"])
EVENTS_RETRIED = Counter("valet_events_retried_total", "Events put off, by reason.", ["queue", "reason"])
DEAD_LETTERS = Counter("valet_dead_letters_total", "Events given up, by reason.", ["queue", "reason"])
BATCH_SIZE = Histogram("valet_batch_size_events", "Events handled together.", ["queue"], buckets=SIZES)
BATCH_SECONDS = Histogram("valet_batch_seconds", "Time to handle a batch.", ["queue"], buckets=FAST)
EVENT_WAIT = Histogram(
    "valet_event_wait_seconds",
    "From an event's first sight in Valet to the end of its handling, waits in delays included.",
    ["queue"],
    buckets=WAITS,
)
BATCHES_IN_FLIGHT = Gauge("valet_batches_in_flight", "Batches being handled.", ["queue"])
BATCHES_LIMIT = Gauge("valet_batches_in_flight_limit", "How many batches may be handled at once.", ["queue"])
CONSUMER_UP = Gauge("valet_consumer_up", "1 while the queue is being consumed.", ["queue"])
PUBLISH_SECONDS = Histogram("valet_publish_seconds", "Time until a flight of messages is confirmed.", buckets=FAST)
PUBLISH_FAILURES = Counter("valet_publish_failures_total", "Flights that were not confirmed.")
OUTBOX_LEFT = Gauge(
    "valet_outbox_left_events", "Events in the outbox that the last sweep found waiting.", ["collection"]
)
OUTBOX_OLDEST = Gauge(
    "valet_outbox_oldest_seconds", "Age of the oldest event in the outbox at the last sweep.", ["collection"]
)

RPC_SECONDS = Histogram(
    "valet_rpc_seconds", "Time to an answer, by question and outcome.", ["question", "outcome"], buckets=FAST
)
RPC_ANSWERED = Histogram(
    "valet_rpc_answer_seconds",
    "Time to make an answer, by question and outcome.",
    ["question", "outcome"],
    buckets=FAST,
)
STORE_SECONDS = Histogram("valet_store_seconds", "Time of a command to MongoDB.", ["command", "outcome"], buckets=FAST)

DECISION_SECONDS = Histogram(
    "valet_decision_seconds", "From a booking or move requested to decided.", ["outcome"], buckets=SLOW
)
WRITE_SECONDS = Histogram(
    "valet_calendar_write_seconds",
    "From confirmed to standing in the calendar; excused if provider or host did not let us meanwhile.",
    ["provider", "excused"],
    buckets=SLOW,
)
EFFECT_OLDEST = Gauge("valet_calendar_effect_oldest_seconds", "Age of the oldest entry not yet written or removed.")
PARKED_OLDEST = Gauge(
    "valet_calendar_parked_oldest_seconds", "Age of the oldest entry that waits for its host to connect again."
)
EFFECTS = Gauge("valet_calendar_effects", "Entries that are not as they should be, by how they stand.", ["standing"])
EFFECTS_BEYOND_REACH = Counter(
    "valet_calendar_effects_beyond_reach_total",
    "Entries left in an account that is no longer connected, while a new one was made elsewhere.",
    ["provider"],
)
RECONCILED = Counter(
    "valet_calendar_reconciled_total", "Entries compared with their calendars, by what was found.", ["finding"]
)
CHANGES = Counter(
    "valet_booking_changes_total", "Cancellations and moves, by what became of them.", ["type", "outcome"]
)
RETENTION_OVERDUE = Gauge(
    "valet_retention_overdue_bookings",
    "Documents kept for longer than VALET_RETENTION_DAYS; at most 100,000 are counted.",
)
RETENTION_OVERDUE_SECONDS = Gauge(
    "valet_retention_overdue_seconds", "How long ago the oldest of them should have been forgotten."
)
HOLDS_OPEN = Gauge("valet_holds_open", "Bookings and moves that are not decided yet.")
HOLD_OLDEST = Gauge("valet_hold_oldest_seconds", "Age of the oldest booking or move that is not decided yet.")
REJECTED = Counter("valet_bookings_rejected_total", "Bookings rejected, by reason.", ["reason"])
SEAL_BROKEN = Counter(
    "valet_seal_broken_total", "Ciphertexts that did not open in their place: tampering, or a lost key."
)
KEYRING_UNUSABLE = Gauge(
    "valet_keyring_unusable", "1 while the key file cannot be used and the master keys read before are used on."
)
KEYRING_INFO = Gauge("valet_keyring_info", "1 for the master key that new data keys are wrapped with.", ["current"])
KEY_AGE = Gauge(
    "valet_keyring_key_age_seconds",
    "Age of each master key in the key file; where the file does not say when it was made, the time since this process saw it.",
    ["key"],
)
DATA_KEYS_UNREADABLE = Counter(
    "valet_data_keys_unreadable_total", "Data keys that could not be unwrapped: no such master key, or a wrong one."
)
ERASURES_OPEN = Gauge("valet_erasures_open", "Erasures that are not finished.")
ERASURE_OLDEST = Gauge("valet_erasure_oldest_seconds", "Time since the oldest open erasure was asked for.")
ERASURES_FINISHED = Counter("valet_erasures_finished_total", "Erasures finished.")
ERASURE_SECONDS = Histogram("valet_erasure_seconds", "From an erasure asked for to finished.", buckets=ERASURES)
CALENDARS_UNREADABLE = Counter(
    "valet_calendars_unreadable_total", "Calendars that could not be read, by provider and why.", ["provider", "why"]
)

EGRESS_REFUSED = Counter(
    "valet_egress_refused_total", "Requests not on the allow-list, stopped before they left.", ["provider", "operation"]
)
PROVIDER_REQUESTS = Counter(
    "valet_provider_requests_total", "Requests to providers.", ["provider", "operation", "outcome"]
)
PROVIDER_SECONDS = Histogram(
    "valet_provider_request_seconds", "Time of a request to a provider.", ["provider", "operation"], buckets=FAST
)
PROVIDER_LIMITED = Counter(
    "valet_provider_limited_total",
    "Answers by which a provider says that it is asked too often (429, or 403 with a rate reason).",
    ["provider", "operation"],
)
PROVIDER_QUOTA_PAUSES = Counter(
    "valet_provider_quota_pauses_total", "Long pauses, because a provider's quota is used up.", ["provider"]
)
PROVIDER_SWITCHED_OFF = Gauge(
    "valet_provider_switched_off", "1 while an operator has switched the provider off.", ["provider"]
)
PROVIDER_CIRCUIT_OPEN = Gauge(
    "valet_provider_circuit_open",
    "1 while a provider counts as down and is asked by a single probe only.",
    ["provider"],
)
PROVIDER_CIRCUIT_REFUSED = Counter(
    "valet_provider_circuit_refused_total", "Calls not made because a provider counts as down.", ["provider"]
)
TOKEN_REFRESHES = Counter("valet_token_refreshes_total", "Refreshes of access tokens.", ["provider", "outcome"])
CONNECTIONS_MADE = Counter(
    "valet_connections_total", "Connections to calendars, by what became of them.", ["provider", "outcome"]
)
RECONNECTS_NEEDED = Gauge(
    "valet_reconnect_needed_connections", "Connections that wait for their host to connect again.", ["provider"]
)
OLDEST_PROOF = Gauge(
    "valet_grant_oldest_proof_seconds",
    "Time since the provider last honoured the grant asked about longest ago.",
    ["provider"],
)
SLOT_QUESTIONS = Counter(
    "valet_slot_questions_total", "Questions about slots, by what was answered.", ["question", "outcome"]
)
SNAPSHOT_AGE = Histogram(
    "valet_busy_times_age_seconds", "Age of the oldest busy times that an answer about slots rests on.", buckets=SLOW
)
SNAPSHOT_BYTES = Gauge("valet_busy_times_kept_bytes", "Memory that remembered busy times take, roughly.")
