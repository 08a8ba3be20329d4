// rnic_rsp_turns: which queue pair in ERR flushes a receive entry next.
//
// A queue pair that went to ERR wants turns: the WQE in hand first, then one receive entry per
// turn until none is left; doorbells wake it again. Numbers are scanned, one per cycle in which
// check is free. A turn ends the wish for one before the indices are read, so a doorbell that
// comes later makes a new wish. FLUSHES of them may be on their way at a time.
`include "responder.svh"

module rnic_rsp_turns #(
  parameter int QP_COUNT = 256,
  parameter int FLUSHES  = 16,
  localparam int QP_W    = $clog2(QP_COUNT)
) (
  input  logic            clk,
  input  logic            rst,

  // Wishes: a queue pair went to ERR; a receive ring has more
  input  logic            error_en,
  input  logic [QP_W-1:0] error_qpn,
  input  logic            doorbell_en,
  input  logic [15:0]     doorbell_ring,

  // Turns: `qpn` stays while check is at work on one
  input  logic            free,        // check could begin something
  output logic [QP_W-1:0] qpn,
  output logic            due,
  output logic            in_hand,     // the turn is for the WQE in hand
  input  logic            begin_en,
  input  logic            flush_en,    // something is flushed
  input  logic            flushed_en,  // it left the responder

  // A new life
  input  logic            init_en,
  input  logic [QP_W-1:0] init_qpn,

  // Flushes on their way
  output logic [$clog2(FLUSHES):0] flushes
);

  logic [QP_COUNT-1:0] pending_q;  // wants a turn
  logic [QP_COUNT-1:0] begun_q;    // its WQE in hand was flushed

  assign due     = pending_q[qpn] && flushes != ($clog2(FLUSHES) + 1)'(FLUSHES);
  assign in_hand = !begun_q[qpn];

  always_ff @(posedge clk) begin
    if (free && !begin_en && !due) qpn <= qpn + 1'b1;

    if (begin_en) pending_q[qpn] <= 1'b0;
    if (flush_en) begin
      begun_q[qpn]   <= 1'b1;
      pending_q[qpn] <= 1'b1;
    end
    if (doorbell_en && doorbell_ring < 16'(QP_COUNT) && begun_q[doorbell_ring[QP_W-1:0]])
      pending_q[doorbell_ring[QP_W-1:0]] <= 1'b1;
    if (error_en) pending_q[error_qpn] <= 1'b1;
    if (init_en) begin
      pending_q[init_qpn] <= 1'b0;
      begun_q[init_qpn]   <= 1'b0;
    end

    if (flush_en && !flushed_en) flushes <= flushes + 1'b1;
    if (!flush_en && flushed_en) flushes <= flushes - 1'b1;
    if (rst) begin
      qpn       <= '0;
      pending_q <= '0;
      begun_q   <= '0;
      flushes   <= '0;
    end
  end

endmodule
