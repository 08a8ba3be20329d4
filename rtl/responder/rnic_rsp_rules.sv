// rnic_rsp_rules: what a request packet is, and which rules it breaks (rocev2 4.2, steps 3, 4, 6).
//
// Combinational: the packet against the message in progress and the rights of its queue pair.
`include "responder.svh"
`include "wire.svh"
`include "codes.svh"

module rnic_rsp_rules (
  // The packet, its QP, the message in progress
  input  logic [RX_HEADER_W-1:0] hdr_data,
  input  logic [QP_CONFIG_W-1:0] cfg_data,
  input  logic                   in_send,
  input  logic                   in_write,
  input  logic [31:0]            write_left,  // bytes to come

  // What it is
  output logic                   is_send,
  output logic                   is_write,
  output logic                   is_read,
  output logic                   is_atomic,
  output logic                   starts,
  output logic                   ends,
  output logic                   takes_wqe,
  output logic [23:0]            packets,     // PSNs it takes: one for each response of a read

  // What is wrong with it
  output logic                   refused,     // sequence, opcode or rights
  output logic                   bad_length   // length, pad, total or alignment
);

  rx_header_t   hdr;
  qp_config_t   cfg;
  opcode_info_t info;
  logic [12:0]  mtu;
  logic         out_of_place;
  logic         no_right;
  logic         bad_size;
  logic         bad_reth;
  logic         bad_total;

  assign hdr       = hdr_data;
  assign cfg       = cfg_data;
  assign info      = opcode_info(hdr.opcode);
  assign is_send   = info.kind == PACKET_KIND_SEND;
  assign is_write  = info.kind == PACKET_KIND_WRITE;
  assign is_read   = info.kind == PACKET_KIND_READ;
  assign is_atomic = info.kind == PACKET_KIND_ATOMIC;
  assign starts    = info.first || info.only;
  assign ends      = info.last || info.only;
  assign takes_wqe = info.takes_wqe;
  assign mtu       = rsp_mtu_bytes(cfg.path_mtu);

  function automatic logic [23:0] count(input logic [31:0] length, input logic [2:0] code);
    logic [23:0] full;
    full  = 24'(({1'b0, length} + 33'(rsp_mtu_bytes(code)) - 33'd1) >> (4'd7 + 4'(code)));
    count = length == '0 ? 24'd1 : full;
  endfunction

  assign packets = is_read ? count(hdr.reth_len, cfg.path_mtu) : 24'd1;

  assign out_of_place = in_send  ? !is_send || starts
                      : in_write ? !is_write || starts
                      : !starts || !(is_send || is_write || is_read || is_atomic);
  assign no_right = (is_write && !cfg.access[ACCESS_REMOTE_WRITE_B])
                 || (is_read && !cfg.access[ACCESS_REMOTE_READ_B])
                 || (is_atomic && !cfg.access[ACCESS_REMOTE_ATOMIC_B]);
  assign refused  = out_of_place || no_right;

  // Payload and pad against the place in the message.
  assign bad_size = hdr.pad != 2'(-hdr.payload_len) || hdr.payload_len > mtu
                 || ((info.first || info.middle) && hdr.payload_len != mtu)
                 || (info.last && hdr.payload_len == '0)
                 || ((is_read || is_atomic) && hdr.payload_len != '0)
                 || (is_atomic && hdr.reth_va[2:0] != '0);

  assign bad_reth = info.reth && {32'd0, hdr.reth_len} > MAX_MESSAGE;

  // A WRITE must end with its last announced byte, and not before its last packet.
  assign bad_total = is_write && (info.first  ? hdr.reth_len <= 32'(hdr.payload_len)
                                : info.middle ? write_left <= 32'(hdr.payload_len)
                                : info.last   ? write_left != 32'(hdr.payload_len)
                                              : hdr.reth_len != 32'(hdr.payload_len));

  assign bad_length = bad_size || bad_reth || bad_total;

endmodule
