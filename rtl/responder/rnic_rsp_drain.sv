// rnic_rsp_drain: says when everything that was in the responder at a request has left.
//
// In the order in which work moves on: frames leave receive, their groups retire, entries to
// flush complete, completions and errors are handed on, orders reach reply, no acknowledge is
// held back (`hurry`), every queue pair on the list has a turn, and packets that waited leave.
// New work does not delay it, but for flushes and errors, of which there is an end.
`include "responder.svh"

module rnic_rsp_drain #(
  parameter int QP_COUNT = 256,
  parameter int FLUSHES  = 16,
  localparam int QP_W    = $clog2(QP_COUNT)
) (
  input  logic                     clk,
  input  logic                     rst,

  // Request and answer
  input  logic                     drain_req_en,
  output logic                     drain_done_en,

  // What is inside
  input  logic                     enter_en,
  input  logic                     frame_en,
  input  logic [15:0]              groups_sent,
  input  logic [15:0]              groups_done,
  input  logic [$clog2(FLUSHES):0] flushes,
  input  logic [15:0]              cqes_made,
  input  logic                     cqe_en,
  input  logic                     errors_waiting,
  input  logic                     orders_waiting,
  output logic                     hurry,
  input  logic [QP_W:0]            held_qps,
  input  logic [QP_W:0]            ready_qps,
  input  logic                     turn_en,
  input  logic [1:0]               packets,
  input  logic                     packet_en
);

  typedef enum logic [3:0] {
    IDLE, FRAMES, GROUPS, FLUSH, CQES, ORDERS, HELD, TURNS, PACKETS, TELL
  } state_e;

  state_e        state_q;
  state_e        state_d;
  logic [15:0]   inside_q;   // frames between the entrance and the end of receive
  logic [15:0]   target_q;
  logic [15:0]   missing;
  logic [QP_W:0] turns_q;
  logic [1:0]    packets_q;
  logic [15:0]   inside_d;
  logic [15:0]   cqes_q;     // completions handed on
  logic [15:0]   missing_cqes;

  assign inside_d = inside_q + 16'(enter_en) - 16'(frame_en);
  assign missing = target_q - groups_done;
  assign missing_cqes = target_q - cqes_q;
  assign hurry = state_q != IDLE;

  always_comb begin
    state_d = state_q;
    case (state_q)
      IDLE:    if (drain_req_en) state_d = FRAMES;
      FRAMES:  if (target_q == '0) state_d = GROUPS;
      GROUPS:  if (missing == '0 || missing[15]) state_d = FLUSH;
      FLUSH:   if (flushes == '0) state_d = CQES;
      CQES:    if ((missing_cqes == '0 || missing_cqes[15]) && !errors_waiting) state_d = ORDERS;
      ORDERS:  if (!orders_waiting) state_d = HELD;
      HELD:    if (held_qps == '0) state_d = TURNS;
      TURNS:   if (turns_q == '0 || ready_qps == '0) state_d = PACKETS;
      PACKETS: if (packets_q == '0 || packets == '0) state_d = TELL;
      TELL:    state_d = IDLE;
      default: state_d = IDLE;
    endcase
  end

  always_ff @(posedge clk) begin
    state_q  <= state_d;
    inside_q <= inside_d;
    if (state_q == IDLE)   target_q <= inside_d;
    if (state_q == FRAMES) target_q <= target_q - 16'(frame_en && target_q != '0);
    if (state_q == FRAMES && target_q == '0) target_q <= groups_sent;

    if (state_q == FLUSH) target_q <= cqes_made;
    if (cqe_en) cqes_q <= cqes_q + 16'd1;

    if (state_q == HELD) turns_q <= ready_qps;
    if (state_q == TURNS && turn_en && turns_q != '0) turns_q <= turns_q - 1'b1;
    if (state_q == TURNS) packets_q <= packets;
    if (state_q == PACKETS && packet_en && packets_q != '0) packets_q <= packets_q - 2'd1;
    if (rst) begin
      state_q  <= IDLE;
      inside_q <= '0;
      cqes_q   <= '0;
    end
  end

  assign drain_done_en = state_q == TELL;

endmodule
