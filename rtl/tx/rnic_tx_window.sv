// rnic_tx_window: keeps what waits inside the transmit pipeline short.
//
// Every stage has room for as much as its own worst case needs; together that would be thousands of
// cycles of frames in front of a slow wire, through which a new answer, or a packet that is sent
// again, has to wait. Packets enter while less than LIMIT beats are inside, the frame buffer
// included: enough for two host round trips of 250 cycles at a beat a cycle.
`include "assert.svh"

module rnic_tx_window #(
  parameter int LIMIT = 768,
  parameter int DEPTH = 512,     // packets: they count at least two beats
  parameter int BEATS_W = 10
) (
  input  logic               clk,
  input  logic               rst,

  // A packet enters, with this payload, or leaves for the frame buffer; beats in there
  input  logic               enter_en,
  input  logic [12:0]        enter_len,
  input  logic               leave_en,
  input  logic [BEATS_W-1:0] buffered,

  output logic               open
);

  logic [12:0] inside_q;
  logic [6:0]  enters;
  logic [6:0]  leaves;
  logic        room;
  logic        some;

  assign enters = 7'd2 + 7'((enter_len + 13'd63) >> 6);

  stream_fifo #(
    .DATA_W (7),
    .DEPTH  (DEPTH)
  ) u_packets (
    .clk,
    .rst,
    .s_data  (enters),
    .s_valid (enter_en),
    .s_ready (room),
    .m_data  (leaves),
    .m_valid (some),
    .m_ready (leave_en),
    .count   ()
  );

  always_ff @(posedge clk) begin
    inside_q <= inside_q + (enter_en ? 13'(enters) : '0) - (leave_en ? 13'(leaves) : '0);
    open     <= inside_q + 13'(buffered) < 13'(LIMIT);
    if (rst) begin
      inside_q <= '0;
      open     <= 1'b0;
    end
  end

  `RNIC_ASSERT(a_packet_that_enters_has_a_place, !enter_en || room)
  `RNIC_ASSERT(a_packet_that_leaves_was_there, !leave_en || some)

endmodule
