"""All dashboards there are."""

from deploy.grafana import auth, availability, booking, bus_and_store, calendar_writer, overview, providers

BOARDS = (
    overview.BOARD,
    booking.BOARD,
    auth.BOARD,
    availability.BOARD,
    calendar_writer.BOARD,
    providers.BOARD,
    bus_and_store.BOARD,
)
