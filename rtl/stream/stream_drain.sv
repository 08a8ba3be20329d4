// stream_drain: says when everything that was inside an in-order pipeline has left.
//
// What enters first leaves first, so two counters tell. What enters in the cycle of the request
// counts as inside. A request while one is under way takes its place. At most 2^15 inside.
module stream_drain (
  input  logic clk,
  input  logic rst,

  // What enters and what leaves
  input  logic enter_en,
  input  logic leave_en,

  // Request and answer
  input  logic drain_req_en,
  output logic drain_done_en
);

  localparam int W = 16;

  logic [W-1:0] entered_q;
  logic [W-1:0] left_q;
  logic [W-1:0] target_q;
  logic [W-1:0] missing;
  logic         busy_q;

  assign missing       = target_q - left_q;
  assign drain_done_en = busy_q && !drain_req_en && (missing == '0 || missing[W-1]);

  always_ff @(posedge clk) begin
    if (enter_en) entered_q <= entered_q + 1'b1;
    if (leave_en) left_q <= left_q + 1'b1;
    if (drain_req_en) target_q <= entered_q + W'(enter_en);
    busy_q <= drain_req_en || (busy_q && !drain_done_en);
    if (rst) begin
      entered_q <= '0;
      left_q    <= '0;
      busy_q    <= 1'b0;
    end
  end

endmodule
