// rnic_tx_drain: says when everything that was inside has left.
//
// Packets leave in the order in which they came, so it is enough to count down what was inside.
// The answer also waits for a moment in which no result is on its way.
`include "assert.svh"

module rnic_tx_drain #(
  parameter int COUNT_W = 12
) (
  input  logic clk,
  input  logic rst,

  // Packets
  input  logic enter_en,
  input  logic leave_en,
  input  logic results_empty,

  // Drain
  input  logic drain_req_en,
  output logic drain_done_en
);

  logic [COUNT_W-1:0] inside_q;
  logic [COUNT_W-1:0] left_q;
  logic               busy_q;

  always_ff @(posedge clk) begin
    if (enter_en && !leave_en) inside_q <= inside_q + 1'b1;
    if (!enter_en && leave_en) inside_q <= inside_q - 1'b1;
    drain_done_en <= 1'b0;
    if (drain_req_en) begin
      left_q <= inside_q + COUNT_W'(enter_en) - COUNT_W'(leave_en);
      busy_q <= 1'b1;
    end else if (busy_q) begin
      if (left_q == '0 && results_empty) begin
        busy_q        <= 1'b0;
        drain_done_en <= 1'b1;
      end
      if (left_q != '0 && leave_en) left_q <= left_q - 1'b1;
    end
    if (rst) begin
      inside_q      <= '0;
      busy_q        <= 1'b0;
      drain_done_en <= 1'b0;
    end
  end

  `RNIC_ASSERT(nothing_leaves_twice, !leave_en || inside_q != '0)

endmodule
