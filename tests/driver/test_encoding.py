"""What goes to the adapter, byte by byte, written out by hand from the programming model."""

from __future__ import annotations

from driver_model.device_loopback import LoopbackDevice
from driver_model.hw.cq_ring import CqRing
from driver_model.hw.doorbell import ring_cq, ring_queue
from driver_model.hw.registers import gid_of
from driver_model.hw.wqe import (
    FastRegister,
    InlineTransfer,
    LocalInvalidate,
    Nop,
    Transfer,
    encode_receive,
    inline_blocks,
    sge_blocks,
)
from driver_model.loopback.world import World
from spec.codes import Access
from spec.layouts import ArmType, Cqe, CqeFlag, CqeOp, Doorbell, Sge, WqeFlag, WrOp


def bytes_of(text: str) -> bytes:
    """Hex digits with any spacing."""
    return bytes.fromhex("".join(text.split()))


def test_write_with_three_sges_takes_two_blocks() -> None:
    sges = [
        Sge(addr=0x1122_3344_5566_7788, length=0x10, token=0xAABB_CC01),
        Sge(addr=0x1000, length=0x20, token=2),
        Sge(addr=0x2000, length=0x30, token=3),
    ]
    work = Transfer(WrOp.WRITE, sges, WqeFlag.FENCE, 0x0102_0304_0506_0708, 0xDEAD_BEEF)
    assert work.encode(0x1_FFFE, 0x1234_5678, signaled=True) == bytes_of(
        """
        03 03 32 00  fe ff 00 00  60 00 00 00  00 00 00 00
        08 07 06 05 04 03 02 01   ef be ad de  78 56 34 12
        88 77 66 55 44 33 22 11   10 00 00 00  01 cc bb aa
        00 10 00 00 00 00 00 00   20 00 00 00  02 00 00 00
        00 20 00 00 00 00 00 00   30 00 00 00  03 00 00 00
        """
    ) + bytes(48)


def test_send_and_invalidate_carries_its_token_where_immediate_data_is() -> None:
    work = Transfer(WrOp.SEND_INV, [], WqeFlag.SOLICITED, imm=0x0A0B_0C0D)
    assert work.encode(7, 9, signaled=False) == bytes_of(
        """
        02 04 01 00  07 00 00 00  00 00 00 00  0d 0c 0b 0a
        00 00 00 00 00 00 00 00   00 00 00 00  09 00 00 00
        """
    ) + bytes(32)


def test_inline_bytes_begin_in_the_upper_half_of_the_head() -> None:
    data = bytes(range(1, 41))
    entry = InlineTransfer(WrOp.SEND, data).encode(0, 5, signaled=True)
    assert entry[:32] == bytes_of(
        """
        00 09 02 00  00 00 00 00  28 00 00 00  00 00 00 00
        00 00 00 00 00 00 00 00   00 00 00 00  05 00 00 00
        """
    )
    assert entry[32:] == data + bytes(56)


def test_fast_register_names_its_page_list() -> None:
    work = FastRegister(
        token=0x0000_2A01,
        access=Access.LOCAL_WRITE | Access.REMOTE_WRITE,
        base=0x7000_0064,
        length=0x1_2345,
        pages=0x9_0000_0008,
        direct=False,
        page_shift=12,
    )
    assert work.encode(3, 4, signaled=True) == bytes_of(
        """
        09 01 01 03  03 00 00 00  0c 00 00 00  01 2a 00 00
        64 00 00 70 00 00 00 00   00 00 00 00  04 00 00 00
        08 00 00 00 09 00 00 00   45 23 01 00 00 00 00 00
        00 00 00 00 00 00 00 00   00 00 00 00 00 00 00 00
        """
    )


def test_invalidate_and_nop() -> None:
    head = LocalInvalidate(0x0000_2A01, WqeFlag.FENCE).encode(1, 2, signaled=False)
    assert head[:16] == bytes_of("08 02 01 00  01 00 00 00  00 00 00 00  01 2a 00 00")
    assert Nop().encode(0, 0xFFFF_FFFF, signaled=True) == bytes_of(
        """
        0b 01 01 00  00 00 00 00  00 00 00 00  00 00 00 00
        00 00 00 00 00 00 00 00   00 00 00 00  ff ff ff ff
        """
    ) + bytes(32)


def test_receive_entry_has_room_for_three_sges() -> None:
    entry = encode_receive([Sge(addr=1, length=2, token=3)], 0x1_0005, 0x99)
    assert entry == bytes_of(
        """
        99 00 00 00  01 00 05 00  00 00 00 00  00 00 00 00
        01 00 00 00 00 00 00 00   02 00 00 00  03 00 00 00
        """
    ) + bytes(32)


def test_blocks_grow_with_sges_and_inline_bytes() -> None:
    assert [sge_blocks(n) for n in (0, 2, 3, 6, 7, 10, 11, 14)] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert [inline_blocks(n) for n in (0, 32, 33, 96, 97, 160, 161, 224)] == [
        1, 1, 2, 2, 3, 3, 4, 4,
    ]  # fmt: skip


def test_doorbells_are_eight_bytes_at_the_place_of_their_kind() -> None:
    rung: list[tuple[int, bytes]] = []

    class Bell(LoopbackDevice):
        def ring(self, offset: int, data: bytes) -> None:
            rung.append((offset, data))

    device = Bell(World())
    ring_queue(device, Doorbell.SQ, 0x12_3456, 0x1_FFFF)
    ring_queue(device, Doorbell.EQ, 1, 2)
    ring_cq(device, 5, 0x1_00_0007, ArmType.SOLICITED, 7)
    assert rung == [
        (0x00, bytes_of("56 34 12 00 ff ff 00 00")),
        (0x20, bytes_of("01 00 00 00 02 00 00 00")),
        # arm type 2 in bits 25:24, sequence 3 in bits 27:26
        (0x18, bytes_of("05 00 00 0e 07 00 00 00")),
    ]


def test_completion_is_read_by_its_phase() -> None:
    device = LoopbackDevice(World())
    ring = CqRing(device, 0, 2)
    entry = bytearray(
        bytes_of(
            """
            78 56 34 12  02 00 00 00  cd ab 00 0a  40 00 00 00
            01 cc bb aa  00 05 00 00  00 00 00 00  00 00 00 00
            """
        )
    )
    ring.buffer.memory[:32] = entry
    assert ring.take() is None
    entry[31] = 0x80
    ring.buffer.memory[:32] = entry
    assert ring.take() == Cqe(
        wr_id=0x1234_5678,
        wqe_index=2,
        qpn=0xABCD,
        opcode=CqeOp.RECV_INV,
        byte_len=64,
        imm=0xAABB_CC01,
        flags=CqeFlag.SOLICITED | CqeFlag.INVALIDATED,
        phase=1,
    )
    ring.buffer.memory[32:64] = entry
    assert ring.take() is not None
    assert ring.take() is None  # the second pass waits for phase 0
    entry[31] = 0
    ring.buffer.memory[:32] = entry
    assert ring.take() is not None


def test_gid_of_both_families() -> None:
    assert gid_of("10.1.2.3") == bytes_of("00 00 00 00 00 00 00 00 00 00 ff ff 0a 01 02 03")
    assert gid_of("fe80::1") == bytes_of("fe 80 00 00 00 00 00 00 00 00 00 00 00 00 00 01")
