// stream_once: a FIFO of numbers below COUNT that holds each number at most once.
//
// A number that waits is not put in a second time: it will be seen later than it was said, which is
// what a wake-up needs. So there is always room, and the source has no ready. One in and one out
// per cycle; a number that comes in the cycle in which it leaves is put in again.
module stream_once #(
  parameter int COUNT  = 256,
  localparam int NUMBER_W = COUNT > 1 ? $clog2(COUNT) : 1
) (
  input  logic                clk,
  input  logic                rst,

  // In
  input  logic                s_en,
  input  logic [NUMBER_W-1:0] s_number,

  // Out
  output logic [NUMBER_W-1:0] m_number,
  output logic                m_valid,
  input  logic                m_ready,

  // Numbers that wait
  output logic [NUMBER_W:0]   count
);

  localparam int DEPTH = 1 << NUMBER_W;

  logic [DEPTH-1:0] waits_q;
  logic             leaves;
  logic             leaves_now;
  logic             enters;
  logic             unused_ready;

  assign leaves     = m_valid && m_ready;
  assign leaves_now = leaves && m_number == s_number;
  assign enters     = s_en && (!waits_q[s_number] || leaves_now);

  stream_fifo #(
    .DATA_W (NUMBER_W),
    .DEPTH  (DEPTH)
  ) u_fifo (
    .clk,
    .rst,
    .s_data  (s_number),
    .s_valid (enters),
    .s_ready (unused_ready),
    .m_data  (m_number),
    .m_valid (m_valid),
    .m_ready (m_ready),
    .count   (count)
  );

  always_ff @(posedge clk) begin
    if (leaves) waits_q[m_number] <= 1'b0;
    if (enters) waits_q[s_number] <= 1'b1;
    if (rst) waits_q <= '0;
  end

endmodule
