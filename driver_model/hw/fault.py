"""What happens when the adapter does not do what its programming model says."""

from __future__ import annotations


class AdapterFault(RuntimeError):
    """The adapter contradicted itself or the provider's books; nothing sensible can follow."""
