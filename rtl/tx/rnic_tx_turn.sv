// rnic_tx_turn: lets responder (0) and requester (1) send whole packets, in turn while both wait.
//
// The responder goes first when both begin to wait at once. Requests begin PACE cycles apart: one may
// be two beats long, and the peer's responder looks at one in three cycles, so a flood of short ones
// would fill its buffer. (Responses come slower by themselves.) Combinational from input to output;
// who was offered keeps the output until its last beat is taken. No loop over lanes: Icarus 11 may
// run processes with a `for` in always_comb for ever when they feed others of their kind.
`include "streams.svh"

module rnic_tx_turn #(
  parameter int PACE = 3  // 1 to 4
) (
  input  logic                        clk,
  input  logic                        rst,

  // Packets
  input  logic [1:0][TX_PACKET_W-1:0] s_pkt_data,
  input  logic [1:0]                  s_pkt_valid,
  output logic [1:0]                  s_pkt_ready,

  // One after the other
  output logic [TX_PACKET_W-1:0]      m_pkt_data,
  output logic                        m_pkt_valid,
  input  logic                        m_pkt_ready
);

  logic       next_q;  // who goes first when both wait
  logic       lock_q;
  logic       owner_q;
  logic       owner;
  logic       done;
  logic [1:0] wait_q;   // cycles until the requester may begin
  logic       may_begin;
  tx_packet_t pkt;

  assign may_begin = s_pkt_valid[1] && wait_q == '0;

  always_comb begin
    if (lock_q)                           owner = owner_q;
    else if (s_pkt_valid[0] && may_begin) owner = next_q;
    else                                  owner = may_begin;
  end

  assign m_pkt_data  = owner ? s_pkt_data[1] : s_pkt_data[0];
  assign m_pkt_valid = owner ? s_pkt_valid[1] : s_pkt_valid[0];
  assign s_pkt_ready = {m_pkt_ready && owner, m_pkt_ready && !owner};

  assign pkt  = m_pkt_data;
  assign done = m_pkt_valid && m_pkt_ready && pkt.last;

  always_ff @(posedge clk) begin
    if (m_pkt_valid) begin
      lock_q  <= !done;
      owner_q <= owner;
    end
    if (done) next_q <= !owner;
    if (m_pkt_valid && m_pkt_ready && owner && pkt.first) wait_q <= 2'(PACE - 1);
    else if (wait_q != '0)                                wait_q <= wait_q - 2'd1;
    if (rst) begin
      wait_q <= '0;
      next_q <= 1'b0;
      lock_q <= 1'b0;
    end
  end

endmodule
