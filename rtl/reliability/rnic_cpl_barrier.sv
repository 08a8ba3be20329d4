// rnic_cpl_barrier: a local operation completes when no older frame can use what it took away.
//
// LOCAL_INV makes a key invalid in the transmit pipeline, while a received frame that passed its
// key check before may still be on its way to memory. So the result of a local operation waits
// until the receive pipeline has been drained once; other results behind it wait too.
`include "streams.svh"

module rnic_cpl_barrier (
  input  logic                   clk,
  input  logic                   rst,

  // Results of the transmit pipeline (TxResult)
  input  logic [TX_RESULT_W-1:0] s_result_data,
  input  logic                   s_result_valid,
  output logic                   s_result_ready,
  output logic [TX_RESULT_W-1:0] m_result_data,
  output logic                   m_result_valid,
  input  logic                   m_result_ready,

  // Drain of the receive pipeline; a request of somebody else only makes it longer
  output logic                   drain_req_en,
  input  logic                   drain_done_en
);

  typedef enum logic [1:0] {PASS, WAIT, RELEASE} state_e;

  state_e     state_q;
  tx_result_t result;
  logic       held;

  assign result = s_result_data;
  assign held   = result.local_op && state_q != RELEASE;

  assign m_result_data  = s_result_data;
  assign m_result_valid = s_result_valid && !held;
  assign s_result_ready = m_result_ready && !held;
  assign drain_req_en   = state_q == PASS && s_result_valid && result.local_op;

  always_ff @(posedge clk) begin
    case (state_q)
      PASS:    if (drain_req_en) state_q <= WAIT;
      WAIT:    if (drain_done_en) state_q <= RELEASE;
      default: if (m_result_ready) state_q <= PASS;
    endcase
    if (rst) state_q <= PASS;
  end

endmodule
