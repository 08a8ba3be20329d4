// rnic_rsp_hold: queue pairs whose acknowledge waits for more requests, and for how long.
//
// All wait equally long, so a FIFO knows whose time is up first. A queue pair stands here once; if
// it comes again before it left, it leaves at its first time, which is early. `hurry` lets all go.
module rnic_rsp_hold #(
  parameter int QP_COUNT = 256,
  localparam int QP_W    = $clog2(QP_COUNT)
) (
  input  logic            clk,
  input  logic            rst,

  // An acknowledge begins to wait
  input  logic            hold_en,
  input  logic [QP_W-1:0] hold_qpn,

  // The time is up
  output logic [QP_W-1:0] due_qpn,
  output logic            due_valid,
  input  logic            due_ready,

  // Cycles; no waiting; queue pairs here
  input  logic [15:0]     delay,
  input  logic            hurry,
  output logic [QP_W:0]   held
);

  logic [QP_COUNT-1:0] inside_q;
  logic [16:0]         now_q;
  logic [16:0]         since;
  logic [16:0]         waited;
  logic                valid;
  logic                push;

  assign push = hold_en && !inside_q[hold_qpn];

  stream_fifo #(.DATA_W(QP_W + 17), .DEPTH(QP_COUNT)) u_line (
    .clk,
    .rst,
    .s_data  ({hold_qpn, now_q}),
    .s_valid (push),
    .s_ready (),
    .m_data  ({due_qpn, since}),
    .m_valid (valid),
    .m_ready (due_valid && due_ready),
    .count   (held)
  );

  // Whoever waits at all is taken out long before the counter comes round.
  assign waited    = now_q - since;
  assign due_valid = valid && (hurry || waited >= {1'b0, delay});

  always_ff @(posedge clk) begin
    now_q <= now_q + 17'd1;
    if (due_valid && due_ready) inside_q[due_qpn] <= 1'b0;
    if (push)                   inside_q[hold_qpn] <= 1'b1;
    if (rst) begin
      now_q    <= '0;
      inside_q <= '0;
    end
  end

endmodule
