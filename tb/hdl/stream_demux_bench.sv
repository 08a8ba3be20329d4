// stream_demux_bench: stream_demux with the clock and reset that its streams are driven by.
module stream_demux_bench #(
  parameter int N        = 2,
  parameter int DATA_W   = 64,
  parameter int SELECT_W = N > 1 ? $clog2(N) : 1
) (
  input  logic                     clk,
  input  logic                     rst,

  input  logic [DATA_W-1:0]        s_data,
  input  logic [SELECT_W-1:0]      s_select,
  input  logic                     s_valid,
  output logic                     s_ready,

  output logic [N-1:0][DATA_W-1:0] m_data,
  output logic [N-1:0]             m_valid,
  input  logic [N-1:0]             m_ready
);

  stream_demux #(
    .N        (N),
    .DATA_W   (DATA_W),
    .SELECT_W (SELECT_W)
  ) u_demux (.*);

endmodule
