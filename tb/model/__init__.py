"""A second opinion on RoCEv2: plain Python that shares no wire definition with the device."""
