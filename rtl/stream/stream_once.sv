// stream_once: a FIFO of numbers below COUNT that holds each number at most once.
//
// A number that waits is not put in a second time: it will be seen later than it was said, which is
// what a wake-up needs. So there is always room, and the source has no ready. One in and one out
// per cycle; a number that comes in the cycle in which it leaves is put in again.
`include "assert.svh"

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

  localparam int NUMBERS = 1 << NUMBER_W;

  logic [NUMBERS-1:0] waits_q;
  logic               leaves;
  logic               leaves_now;
  logic               enters;
  logic               has_room;
  logic [NUMBER_W+1:0] waiting;

  assign leaves     = m_valid && m_ready;
  assign leaves_now = leaves && m_number == s_number;
  assign enters     = s_en && (!waits_q[s_number] || leaves_now);

  // Twice as deep as there are numbers: a full FIFO takes nothing in the cycle in which one leaves,
  // and the one that leaves may be said in that cycle.
  stream_fifo #(
    .DATA_W (NUMBER_W),
    .DEPTH  (2 * NUMBERS)
  ) u_fifo (
    .clk,
    .rst,
    .s_data  (s_number),
    .s_valid (enters),
    .s_ready (has_room),
    .m_data  (m_number),
    .m_valid (m_valid),
    .m_ready (m_ready),
    .count   (waiting)
  );

  assign count = waiting[NUMBER_W:0];

  `RNIC_ASSERT(there_is_always_room, !enters || has_room)

  always_ff @(posedge clk) begin
    if (leaves) waits_q[m_number] <= 1'b0;
    if (enters) waits_q[s_number] <= 1'b1;
    if (rst) waits_q <= '0;
  end

endmodule
