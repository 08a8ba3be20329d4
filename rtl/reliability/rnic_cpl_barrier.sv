// rnic_cpl_barrier: holds words back until the receive pipeline has been drained once.
//
// Two kinds of words say that a received frame must not write any more: the result of a local
// operation, whose key is gone, and the flush of a queue pair, whose receive buffers go back to
// the host. A frame that passed its check before may still be on its way to memory; so the word
// waits until everything that was in the receive pipeline has left. One drain serves all words
// that wait when it begins. Words that need no drain pass, but not each other.
module rnic_cpl_barrier #(
  parameter int DATA_W = 16,
  parameter int DEPTH  = 16
) (
  input  logic                   clk,
  input  logic                   rst,

  // Words, and whether they have to wait
  input  logic [DATA_W-1:0]      s_data,
  input  logic                   s_hold,
  input  logic                   s_valid,
  output logic                   s_ready,
  output logic [DATA_W-1:0]      m_data,
  output logic                   m_valid,
  input  logic                   m_ready,

  // Words inside
  output logic [$clog2(DEPTH):0] count,

  // Drain of the receive pipeline; a request of somebody else only makes it longer
  output logic                   drain_req_en,
  input  logic                   drain_done_en
);

  localparam int COUNT_W = $clog2(DEPTH) + 1;

  logic               head_hold;
  logic               head_valid;
  logic               waiting_q;
  logic [COUNT_W-1:0] batch_q;    // words that the drain under way serves
  logic [COUNT_W-1:0] free_q;     // words at the head that may leave
  logic               leave;

  stream_fifo #(
    .DATA_W (DATA_W + 1),
    .DEPTH  (DEPTH)
  ) u_words (
    .clk,
    .rst,
    .s_data  ({s_hold, s_data}),
    .s_valid,
    .s_ready,
    .m_data  ({head_hold, m_data}),
    .m_valid (head_valid),
    .m_ready (leave),
    .count
  );

  assign m_valid      = head_valid && (!head_hold || free_q != '0);
  assign leave        = m_valid && m_ready;
  assign drain_req_en = head_valid && head_hold && free_q == '0 && !waiting_q;

  always_ff @(posedge clk) begin
    if (drain_req_en) begin
      waiting_q <= 1'b1;
      batch_q   <= count;
    end else if (waiting_q && drain_done_en) begin
      waiting_q <= 1'b0;
      free_q    <= batch_q;
    end else if (leave && free_q != '0) begin
      free_q <= free_q - 1'b1;
    end
    if (rst) begin
      waiting_q <= 1'b0;
      free_q    <= '0;
    end
  end

endmodule
