// stream_fifo: first-in first-out buffer of DEPTH beats.
//
// One beat in and one out in every cycle, also when full or empty on one side.
// REGISTERED = 0: data is read as it is needed (distributed RAM); one cycle of latency.
// REGISTERED = 1: data is read ahead into an output register, so that a deep buffer
// fits block RAM with its output registered; two cycles of latency, DEPTH of 4 or more.
// `count` is how many beats are inside, the one at the output included.
module stream_fifo #(
  parameter int DATA_W     = 64,
  parameter int DEPTH      = 16,
  parameter bit REGISTERED = 0
) (
  input  logic                   clk,
  input  logic                   rst,

  // Upstream
  input  logic [DATA_W-1:0]      s_data,
  input  logic                   s_valid,
  output logic                   s_ready,

  // Downstream
  output logic [DATA_W-1:0]      m_data,
  output logic                   m_valid,
  input  logic                   m_ready,

  // Beats inside
  output logic [$clog2(DEPTH):0] count
);

  localparam int PTR_W = $clog2(DEPTH);

  if (DEPTH < (REGISTERED ? 4 : 2) || (DEPTH & (DEPTH - 1)) != 0) begin : g_check
    DEPTH_must_be_a_power_of_two_and_not_too_small u_stop ();
  end

  logic [DATA_W-1:0] mem [DEPTH];

  logic [PTR_W-1:0] wr_q;
  logic [PTR_W-1:0] rd_q;
  logic             push;
  logic             pop;

  assign s_ready = count != (PTR_W + 1)'(DEPTH);
  assign push    = s_valid && s_ready;
  assign pop     = m_valid && m_ready;

  always_ff @(posedge clk) begin
    if (push) mem[wr_q] <= s_data;
  end

  always_ff @(posedge clk) begin
    if (push) wr_q <= wr_q + 1'b1;
    if (push && !pop) count <= count + 1'b1;
    if (!push && pop) count <= count - 1'b1;
    if (rst) begin
      wr_q  <= '0;
      count <= '0;
    end
  end

  if (REGISTERED) begin : g_registered
    logic [PTR_W:0] waiting_q;  // beats in the memory, not yet in the output register
    logic           fetch;

    assign fetch = waiting_q != '0 && (!m_valid || m_ready);

    always_ff @(posedge clk) begin
      if (fetch) m_data <= mem[rd_q];
    end

    always_ff @(posedge clk) begin
      if (fetch) rd_q <= rd_q + 1'b1;
      if (push && !fetch) waiting_q <= waiting_q + 1'b1;
      if (!push && fetch) waiting_q <= waiting_q - 1'b1;
      m_valid <= fetch || (m_valid && !m_ready);
      if (rst) begin
        rd_q      <= '0;
        waiting_q <= '0;
        m_valid   <= 1'b0;
      end
    end
  end else begin : g_direct
    assign m_data  = mem[rd_q];
    assign m_valid = count != '0;

    always_ff @(posedge clk) begin
      if (pop) rd_q <= rd_q + 1'b1;
      if (rst) rd_q <= '0;
    end
  end

endmodule
