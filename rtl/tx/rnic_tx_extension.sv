// rnic_tx_extension: the headers between BTH and payload, as the opcode says.
//
// Combinational. Bytes in wire order, the first on top, zero behind the last. The 16 reserved bytes of a
// CNP count as such a header.
`include "streams.svh"
`include "wire.svh"

module rnic_tx_extension (
  input  logic [TX_PACKET_W-1:0] pkt,
  output logic [223:0]           ext,
  output logic [4:0]             ext_bytes
);

  tx_packet_t      p;
  opcode_info_t    info;
  reth_t           reth;
  atomic_eth_t     atomic;
  atomic_ack_eth_t atomic_ack;
  aeth_t           aeth;
  imm_dt_t         immdt;
  ieth_t           ieth;
  logic [7:0]      syndrome;
  logic [31:0]     imm;
  logic [31:0]     tail;
  logic [4:0]      tail_bytes;

  assign p        = pkt;
  assign info     = opcode_info(p.opcode);
  assign syndrome = p.syndrome;
  assign imm      = p.imm;

  always_comb begin
    reth.va             = p.reth_va;
    reth.rkey           = p.reth_rkey;
    reth.length         = p.reth_len;
    atomic.va           = p.reth_va;
    atomic.rkey         = p.reth_rkey;
    atomic.swap_add     = p.swap;
    atomic.compare      = p.compare;
    atomic_ack.original = p.swap;
    aeth.reserved       = syndrome[7];
    aeth.kind           = syndrome[6:5];
    aeth.value          = syndrome[4:0];
    aeth.msn            = p.msn;
    immdt.data          = {imm[7:0], imm[15:8], imm[23:16], imm[31:24]};
    ieth.rkey           = imm;
  end

  assign tail = info.immdt ? immdt : info.ieth ? ieth : 32'd0;

  always_comb begin
    if (info.atomiceth)  ext = atomic;
    else if (info.reth)  ext = {reth, tail, 64'd0};
    else if (info.aeth)  ext = {aeth, info.atomicacketh ? atomic_ack : 64'd0, 128'd0};
    else                 ext = {tail, 192'd0};
  end

  assign tail_bytes = info.immdt || info.ieth ? 5'd4 : 5'd0;

  always_comb begin
    if (info.kind == PACKET_KIND_CNP) ext_bytes = 5'd16;
    else if (info.atomiceth)    ext_bytes = 5'd28;
    else if (info.reth)         ext_bytes = 5'd16 + tail_bytes;
    else if (info.atomicacketh) ext_bytes = 5'd12;
    else if (info.aeth)         ext_bytes = 5'd4;
    else                        ext_bytes = tail_bytes;
  end

endmodule
