"""The ICRC's CRC-32 as linear algebra: what a whole beat of bytes does to the register at once.

The register is kept in reflected form, without the final complement; a byte is fed by
``state = TABLE[(state ^ byte) & 255] ^ state >> 8``. Feeding is linear over GF(2), hence
``after(state, beat) = M64 * state ^ f(beat)`` with matrices that are written here as one mask per
bit of the result: the bit is the parity of the masked operand.
"""

from __future__ import annotations

POLYNOMIAL = 0xEDB88320
SEED = 0xDEBB20E3
RESIDUE = 0xDEBB20E3
BEAT_BYTES = 64
ETHERNET_BYTES = 14
VLAN_BYTES = 18

Matrix = tuple[int, ...]
"""Masks, one per bit of the result, lowest bit first."""


def feed(state: int, data: bytes) -> int:
    """The register after ``data``, bit by bit."""
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (POLYNOMIAL if state & 1 else 0)
    return state


def unfeed_zeros(state: int, count: int) -> int:
    """The register that becomes ``state`` when ``count`` zero bytes are fed."""
    for _ in range(8 * count):
        top = state >> 31
        state = (state ^ (POLYNOMIAL if top else 0)) << 1 | top
    return state


def apply(matrix: Matrix, value: int) -> int:
    """Matrix times vector."""
    return sum((mask & value).bit_count() % 2 << bit for bit, mask in enumerate(matrix))


def _from_columns(columns: list[int]) -> Matrix:
    rows = [0] * 32
    for position, column in enumerate(columns):
        for bit in range(32):
            rows[bit] |= (column >> bit & 1) << position
    return tuple(rows)


def beat_matrix() -> Matrix:
    """f: 64 bytes, the first in bits 7:0, fed into a register that is zero."""
    columns = []
    for position in range(8 * BEAT_BYTES):
        byte, bit = divmod(position, 8)
        columns.append(feed(0, bytes([1 << bit]) + bytes(BEAT_BYTES - 1 - byte)))
    return _from_columns(columns)


def shift_matrix(count: int) -> Matrix:
    """What ``count`` zero bytes do to the register; a negative count undoes as many."""
    columns = [1 << bit for bit in range(32)]
    if count < 0:
        return _from_columns([unfeed_zeros(column, -count) for column in columns])
    return _from_columns([feed(column, bytes(count)) for column in columns])
