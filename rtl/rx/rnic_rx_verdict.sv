// rnic_rx_verdict: says of a frame that ended why it has no effect, or that it lives.
//
// Combinational. The order is that of rocev2 1.15; a check that reads bytes stands behind the one
// that they are there.
`include "codes.svh"
`include "rx.svh"

module rnic_rx_verdict (
  input  logic        off,       // receiving was disabled when it began
  input  logic        bad,       // the MAC says so
  input  logic [15:0] bytes,     // of the frame
  input  rx_net_t     net,
  input  rx_check_t   check,
  input  logic        crc_good,

  output logic [4:0]  reason     // DropReason
);

  localparam int MAX_FRAME = 4206;

  logic [16:0] have;
  logic [16:0] l2_end;
  logic [16:0] l3_end;

  assign have   = 17'(bytes);
  assign l2_end = net.vlan ? 17'd18 : 17'd14;
  assign l3_end = l2_end + (net.v6 ? 17'd40 : 17'd20);

  always_comb begin
    reason = DROP_REASON_NONE;
    if (off)                            reason = DROP_REASON_DISABLED;
    else if (bad)                       reason = DROP_REASON_BAD_FRAME;
    else if (have > 17'(MAX_FRAME))     reason = DROP_REASON_LONG;
    else if (have < 17'd14)             reason = DROP_REASON_SHORT;
    else if (have < l2_end)             reason = DROP_REASON_SHORT;
    // Frames that are not RoCEv2 leave here for the raw queue, once there is one,
    else if (!net.v4 && !net.v6)        reason = DROP_REASON_ETHERTYPE;
    else if (have < l3_end)             reason = DROP_REASON_SHORT;
    else if (net.ip_bad)                reason = DROP_REASON_IP_HEADER;
    else if (check.checksum)            reason = DROP_REASON_IP_CHECKSUM;
    else if (net.fragment)              reason = DROP_REASON_FRAGMENT;
    else if (net.not_udp)               reason = DROP_REASON_NOT_ROCE;
    else if (have < l3_end + 17'd8)     reason = DROP_REASON_SHORT;
    // and here.
    else if (check.port)                reason = DROP_REASON_NOT_ROCE;
    else if (have < net.ip_end)         reason = DROP_REASON_LENGTH;
    else if (check.length)              reason = DROP_REASON_LENGTH;
    else if (check.no_bth)              reason = DROP_REASON_SHORT;
    else if (!crc_good)                 reason = DROP_REASON_BAD_ICRC;
    else if (check.tver)                reason = DROP_REASON_BAD_TVER;
    // UC, UD and XRC branch off here, once they are served.
    else if (check.not_served)          reason = DROP_REASON_BAD_OPCODE;
    else if (check.no_room)             reason = DROP_REASON_SHORT;
    else if (check.too_long)            reason = DROP_REASON_LONG;
  end

endmodule
