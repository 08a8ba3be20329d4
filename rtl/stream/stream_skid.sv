// stream_skid: one-entry elastic buffer that registers ready.
//
// Cuts the ready path between two stages at full throughput: a beat that arrives
// in the cycle when the sink stalls is held here and leaves first. No latency.
module stream_skid #(
  parameter int DATA_W = 64
) (
  input  logic              clk,
  input  logic              rst,

  // Upstream
  input  logic [DATA_W-1:0] s_data,
  input  logic              s_valid,
  output logic              s_ready,

  // Downstream
  output logic [DATA_W-1:0] m_data,
  output logic              m_valid,
  input  logic              m_ready
);

  logic [DATA_W-1:0] hold_q;
  logic              full_q;

  assign s_ready = !full_q;
  assign m_valid = full_q || s_valid;
  assign m_data  = full_q ? hold_q : s_data;

  always_ff @(posedge clk) begin
    if (s_ready) hold_q <= s_data;
    full_q <= m_valid && !m_ready;
    if (rst) full_q <= 1'b0;
  end

endmodule
