// stream_demux: one stream to one of N, as each beat says.
//
// Combinational, one beat per cycle. A beat for a lane that stalls holds up those behind
// it. A selection of N or more goes nowhere: the beat is taken and dropped.
module stream_demux #(
  parameter int N        = 2,
  parameter int DATA_W   = 64,
  parameter int SELECT_W = N > 1 ? $clog2(N) : 1
) (
  // Upstream, and which lane the beat goes to
  input  logic [DATA_W-1:0]        s_data,
  input  logic [SELECT_W-1:0]      s_select,
  input  logic                     s_valid,
  output logic                     s_ready,

  // Downstream, one lane per stream
  output logic [N-1:0][DATA_W-1:0] m_data,
  output logic [N-1:0]             m_valid,
  input  logic [N-1:0]             m_ready
);

  logic [N-1:0] select;

  for (genvar i = 0; i < N; i++) begin : g_lane
    assign select[i]  = s_select == SELECT_W'(i);
    assign m_data[i]  = s_data;
    assign m_valid[i] = s_valid && select[i];
  end

  assign s_ready = (select & ~m_ready) == '0;

endmodule
