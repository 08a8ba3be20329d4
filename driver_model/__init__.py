"""An NDKPI provider for the adapter: plain event-driven Python over the small `Device` protocol."""
