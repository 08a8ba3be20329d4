// rnic_qp_drained: says when the send queue of a QP in SQD has drained.
//
// rnic_admin names a QP when no message of it can start any more (requester drained behind the
// change of state). The queue has drained when as many messages have been retired as were ever
// started, whatever is sent again in between; then one SQ_DRAINED event leaves, and the watch
// ends. It also ends without one when admin says so, or when the QP goes to ERR.
//
// rnic_admin may ask at any time whether the messages of a QP have all been retired.
//
//   started_en, progress_en ─► counts per QP ─┬─► scan over the watched ─► m_event (asynchronous, EQ 0)
//                                   rd_qpn ───┴─► rd_drained
`include "streams.svh"
`include "codes.svh"

module rnic_qp_drained #(
  parameter int QP_COUNT = 256
) (
  input  logic                     clk,
  input  logic                     rst,

  // Whom to watch, and whom no longer
  input  logic [QP_WATCH_W-1:0]    s_watch_data,
  input  logic                     s_watch_valid,
  output logic                     s_watch_ready,
  input  logic                     error_en,
  input  logic [15:0]              error_qpn,

  // Messages the requester starts for the first time
  input  logic                     started_en,
  input  logic [15:0]              started_qpn,
  input  logic [15:0]              started_index,

  // What the completer publishes, as it changes
  input  logic                     progress_en,
  input  logic [15:0]              progress_qpn,
  input  logic [SQ_PROGRESS_W-1:0] progress_data,

  // Context of a new life
  input  logic [QP_INIT_W-1:0]     init_data,
  input  logic                     init_valid,
  output logic                     init_ready,

  // Is every message of this QP retired? The answer comes two cycles later
  input  logic [15:0]              rd_qpn,
  output logic                     rd_drained,

  // The event
  output logic [EVENT_REQ_W-1:0]   m_event_data,
  output logic                     m_event_valid,
  input  logic                     m_event_ready
);

  localparam int QP_W = $clog2(QP_COUNT);

  typedef enum logic [1:0] {LOOK, DECIDE, EVENT} state_e;

  state_e              state_q;
  logic [QP_COUNT-1:0] watched_q;
  logic [QP_W-1:0]     scan_q;
  logic                looking;
  logic                here;         // the QP looked at is watched
  logic                drained;
  logic [15:0]         started;
  logic [15:0]         retired;
  qp_watch_t           watch;
  qp_init_t            init;
  sq_progress_t        progress;

  assign watch    = s_watch_data;
  assign init     = init_data;
  assign progress = progress_data;
  assign looking  = state_q == LOOK;
  assign here     = watched_q[scan_q];
  assign drained  = state_q == DECIDE && here && started == retired;

  // ------------------------------------------------------------------ counts

  // Started and retired begin at 0; only the way to a new life writes both.
  logic init_now;
  assign init_now      = init_valid && init_ready;
  assign init_ready    = !started_en && !progress_en;
  assign s_watch_ready = 1'b1;

  logic clears;
  assign clears = init_now && (init.op == QP_INIT_OP_CREATE || init.op == QP_INIT_OP_DESTROY);

  logic [15:0] asked_started;
  logic [15:0] asked_retired;

  ram_1w2r #(
    .DATA_W (16),
    .DEPTH  (QP_COUNT),
    .BYPASS (1)
  ) u_started (
    .clk,
    .wr_en     (started_en || clears),
    .wr_addr   (started_en ? started_qpn[QP_W-1:0] : init.qpn[QP_W-1:0]),
    .wr_data   (started_en ? started_index + 16'd1 : 16'd0),
    .rd_a_en   (looking),
    .rd_a_addr (scan_q),
    .rd_a_data (started),
    .rd_b_en   (1'b1),
    .rd_b_addr (rd_qpn[QP_W-1:0]),
    .rd_b_data (asked_started)
  );

  ram_1w2r #(
    .DATA_W (16),
    .DEPTH  (QP_COUNT),
    .BYPASS (1)
  ) u_retired (
    .clk,
    .wr_en     (progress_en || clears),
    .wr_addr   (progress_en ? progress_qpn[QP_W-1:0] : init.qpn[QP_W-1:0]),
    .wr_data   (progress_en ? progress.msg_tail : 16'd0),
    .rd_a_en   (looking),
    .rd_a_addr (scan_q),
    .rd_a_data (retired),
    .rd_b_en   (1'b1),
    .rd_b_addr (rd_qpn[QP_W-1:0]),
    .rd_b_data (asked_retired)
  );

  always_ff @(posedge clk) rd_drained <= asked_started == asked_retired;

  // ------------------------------------------------------------------ one after the other

  event_req_t event_req;
  always_comb begin
    event_req            = '0;
    event_req.event_type = EVENT_TYPE_SQ_DRAINED;
    event_req.number     = 24'(scan_q);
  end
  assign m_event_data  = event_req;
  assign m_event_valid = state_q == EVENT;

  always_ff @(posedge clk) begin
    case (state_q)
      LOOK:    if (here) state_q <= DECIDE;
      DECIDE: begin
        if (drained) state_q <= EVENT;
        else         state_q <= LOOK;
      end
      default: if (m_event_ready) state_q <= LOOK;
    endcase

    if ((looking && !here) || (state_q == DECIDE && !drained) || (m_event_valid && m_event_ready))
      scan_q <= scan_q == QP_W'(QP_COUNT - 1) ? '0 : scan_q + 1'b1;

    if (s_watch_valid) watched_q[watch.qpn[QP_W-1:0]] <= watch.on;
    if (drained)       watched_q[scan_q] <= 1'b0;
    if (error_en)      watched_q[error_qpn[QP_W-1:0]] <= 1'b0;

    if (rst) begin
      state_q   <= LOOK;
      scan_q    <= '0;
      watched_q <= '0;
    end
  end

endmodule
