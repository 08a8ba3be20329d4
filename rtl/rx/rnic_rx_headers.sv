// rnic_rx_headers: sorts BTH and extended headers into the fields of an RxHeader.
//
// Combinational. A header that the opcode does not have reads as zero. Payload lengths, dest_hit and
// sgid_index are not known here.
`include "streams.svh"
`include "wire.svh"

module rnic_rx_headers (
  input  bth_t         bth,
  input  opcode_info_t info,
  input  logic [255:0] ext,      // behind the BTH, first byte of the wire on top
  input  logic [127:0] src_gid,
  input  logic         ce,

  output rx_header_t   hdr
);

  reth_t       reth;
  aeth_t       aeth;
  atomic_eth_t atomic_eth;
  deth_t       deth;
  logic [31:0] word;             // ImmDt or IETH

  assign reth       = info.feth ? ext[223 -: RETH_W] : ext[255 -: RETH_W];
  assign aeth       = ext[255 -: AETH_W];
  assign atomic_eth = ext[255 -: ATOMIC_ETH_W];
  assign deth       = ext[255 -: DETH_W];
  assign word       = info.reth ? ext[127 -: 32] : info.deth ? ext[191 -: 32] : ext[255 -: 32];

  always_comb begin
    hdr           = '0;
    hdr.opcode    = bth.opcode;
    hdr.psn       = bth.psn;
    hdr.qpn       = bth.dest_qp;
    hdr.pkey      = bth.pkey;
    hdr.solicited = bth.se;
    hdr.ack_req   = bth.ackreq;
    hdr.pad       = bth.pad;
    hdr.ce        = ce || bth.fecn;
    hdr.becn      = bth.becn;
    hdr.src_gid   = src_gid;
    if (info.reth || info.atomiceth) begin
      hdr.reth_va   = reth.va;
      hdr.reth_rkey = reth.rkey;
    end
    if (info.reth)  hdr.reth_len = reth.length;
    if (info.ieth)  hdr.imm = word;
    if (info.immdt) hdr.imm = {word[7:0], word[15:8], word[23:16], word[31:24]};
    if (info.aeth) begin
      hdr.syndrome = {aeth.reserved, aeth.kind, aeth.value};
      hdr.msn      = aeth.msn;
    end
    if (info.atomicacketh) hdr.swap = ext[223 -: ATOMIC_ACK_ETH_W];
    if (info.atomiceth) begin
      hdr.swap    = atomic_eth.swap_add;
      hdr.compare = atomic_eth.compare;
    end
    if (info.deth) begin
      hdr.qkey    = deth.qkey;
      hdr.src_qpn = deth.src_qp;
    end
  end

endmodule
