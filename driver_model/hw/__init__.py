"""The adapter's programming model: registers, rings, doorbells, codecs, admin commands."""
