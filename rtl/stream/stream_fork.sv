// stream_fork: every beat goes to all of N streams.
//
// Each lane takes the beat when it can; the beat leaves upstream when the last lane has it.
// One beat per cycle while nobody stalls. Combinational from input to output.
module stream_fork #(
  parameter int N      = 2,
  parameter int DATA_W = 64
) (
  input  logic                     clk,
  input  logic                     rst,

  // Upstream
  input  logic [DATA_W-1:0]        s_data,
  input  logic                     s_valid,
  output logic                     s_ready,

  // Downstream, one lane per stream
  output logic [N-1:0][DATA_W-1:0] m_data,
  output logic [N-1:0]             m_valid,
  input  logic [N-1:0]             m_ready
);

  logic [N-1:0] had_q;  // lanes that have this beat already
  logic [N-1:0] have;   // lanes that have it after this cycle

  assign have    = had_q | m_ready;
  assign s_ready = have == '1;
  assign m_valid = {N{s_valid}} & ~had_q;
  assign m_data  = {N{s_data}};

  always_ff @(posedge clk) begin
    if (s_valid && s_ready)  had_q <= '0;
    else if (s_valid)        had_q <= have;
    if (rst) had_q <= '0;
  end

endmodule
