// rnic_cpl_drain: says when everything that was in the completer at a request has left.
//
// Its producers have been drained before. In the order in which work moves on: words that
// waited at the entrances reach the walk, the walk ends its events, and completions that
// waited leave. What comes later does not delay the answer.
module rnic_cpl_drain #(
  parameter int INPUTS  = 4,
  parameter int COUNT_W = 9,
  parameter int CQES_W  = 5
) (
  input  logic                            clk,
  input  logic                            rst,

  // Request and answer
  input  logic                            drain_req_en,
  output logic                            drain_done_en,

  // How many words wait at each entrance, and one that passes
  input  logic [INPUTS-1:0][COUNT_W-1:0]  waiting,
  input  logic [INPUTS-1:0]               pass_en,

  // Events of the walk, completions behind it
  input  logic                            enter_en,
  input  logic                            leave_en,
  input  logic [CQES_W-1:0]                cqes,
  input  logic                            cqe_en
);

  typedef enum logic [2:0] {IDLE, WORDS, ASK, EVENTS, COUNT, CQES, TELL} state_e;

  state_e                         state_q;
  logic [INPUTS-1:0][COUNT_W-1:0] words_q;
  logic [CQES_W-1:0]               cqes_q;
  logic                           ask;
  logic                           events_done_en;

  assign ask = state_q == ASK;

  stream_drain u_events (
    .clk,
    .rst,
    .enter_en,
    .leave_en,
    .drain_req_en  (ask),
    .drain_done_en (events_done_en)
  );

  always_ff @(posedge clk) begin
    case (state_q)
      IDLE:    ;
      WORDS:   if (words_q == '0) state_q <= ASK;
      ASK:     state_q <= EVENTS;
      EVENTS:  if (events_done_en) state_q <= COUNT;
      COUNT:   state_q <= CQES;
      CQES:    if (cqes_q == '0) state_q <= TELL;
      default: state_q <= IDLE;
    endcase
    for (int i = 0; i < INPUTS; i++) begin
      if (drain_req_en)                          words_q[i] <= waiting[i] - COUNT_W'(pass_en[i]);
      else if (pass_en[i] && words_q[i] != '0)   words_q[i] <= words_q[i] - 1'b1;
    end
    if (state_q == COUNT)              cqes_q <= cqes - CQES_W'(cqe_en);
    else if (cqe_en && cqes_q != '0)   cqes_q <= cqes_q - 1'b1;
    if (drain_req_en) state_q <= WORDS;
    if (rst) state_q <= IDLE;
  end

  assign drain_done_en = state_q == TELL && !drain_req_en;

endmodule
