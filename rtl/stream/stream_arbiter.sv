// stream_arbiter: N streams into one, round robin.
//
// One beat per cycle; nobody waits for more than N - 1 others. A stream once chosen
// keeps the output until its beat is taken, and with HOLD_LAST = 1 until its `last`
// beat is taken, so that packets stay whole. Combinational from input to output.
module stream_arbiter #(
  parameter int N         = 2,
  parameter int DATA_W    = 64,
  parameter bit HOLD_LAST = 0,
  parameter int SOURCE_W  = N > 1 ? $clog2(N) : 1
) (
  input  logic                       clk,
  input  logic                       rst,

  // Upstream, one lane per stream
  input  logic [N-1:0][DATA_W-1:0]   s_data,
  input  logic [N-1:0]               s_last,
  input  logic [N-1:0]               s_valid,
  output logic [N-1:0]               s_ready,

  // Downstream, and which stream the beat is from
  output logic [DATA_W-1:0]          m_data,
  output logic                       m_last,
  output logic [SOURCE_W-1:0]        m_source,
  output logic                       m_valid,
  input  logic                       m_ready
);

  logic [SOURCE_W-1:0] next_q;    // first to be asked
  logic [SOURCE_W-1:0] locked_q;  // who keeps the output
  logic                lock_q;
  logic [SOURCE_W-1:0] chosen;
  logic                taken;
  logic                done;

  // The lowest requester from next_q upwards; else the lowest of all.
  always_comb begin
    chosen = next_q;
    for (int i = N - 1; i >= 0; i--)
      if (s_valid[i]) chosen = SOURCE_W'(i);
    for (int i = N - 1; i >= 0; i--)
      if (s_valid[i] && SOURCE_W'(i) >= next_q) chosen = SOURCE_W'(i);
    if (lock_q) chosen = locked_q;
  end

  assign m_source = chosen;
  assign m_valid  = s_valid[chosen];
  assign m_data   = s_data[chosen];
  assign m_last   = s_last[chosen];

  for (genvar i = 0; i < N; i++) begin : g_ready
    assign s_ready[i] = m_ready && m_valid && chosen == SOURCE_W'(i);
  end

  assign taken = m_valid && m_ready;
  assign done  = taken && (m_last || !HOLD_LAST);

  always_ff @(posedge clk) begin
    if (done) begin
      if (chosen == SOURCE_W'(N - 1)) next_q <= '0;
      else                            next_q <= chosen + 1'b1;
    end
    if (m_valid) locked_q <= chosen;
    if (m_valid) lock_q   <= !done;
    if (rst) begin
      next_q <= '0;
      lock_q <= 1'b0;
    end
  end

endmodule
