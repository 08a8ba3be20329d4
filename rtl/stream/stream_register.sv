// stream_register: one pipeline stage that registers data and valid.
//
// Full throughput, one cycle of latency. Ready stays combinational: put a
// stream_skid in front of it where that path must be cut as well.
module stream_register #(
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

  assign s_ready = !m_valid || m_ready;

  always_ff @(posedge clk) begin
    if (s_ready) begin
      m_data  <= s_data;
      m_valid <= s_valid;
    end
    if (rst) m_valid <= 1'b0;
  end

endmodule
