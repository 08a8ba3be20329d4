// rnic_rx_dispatch: hands every header to who knows its queue pair, and brings the work back in order.
//
//   headers ─► look up config ─► check ─┬─► request ──► (responder) ─┐
//                                       ├─► response ─► (completer) ─┼─► work, in frame order
//                                       └─► drop ────────────────────┘
//                                       order FIFO ─────────────────┘
//
// A frame that fails a check (rocev2 1.15 step 3, in that order) is counted and comes out as a group of
// its own that moves nothing, so that its payload is consumed where it lies. One frame per cycle.
// UD and GSI, which have no connected peer to compare with, find their place at `kind_bad`.
//
// What a frame that passes says of congestion is told aside, without a ready: a mark (CE, FECN) and a
// notification (a CNP, or BECN in any other packet). A CNP is nothing else: it moves nothing, its marks
// do not count, and its P_Key is not looked at (rocev2 5.3, 8.1).
`include "codes.svh"
`include "rx.svh"
`include "streams.svh"
`include "wire.svh"
`include "assert.svh"

module rnic_rx_dispatch #(
  parameter int ORDER_DEPTH = 256  // frames between check and work
) (
  input  logic         clk,
  input  logic         rst,

  // Headers of good frames
  input  rx_header_t   s_hdr_data,
  input  logic         s_hdr_valid,
  output logic         s_hdr_ready,

  // Queue pair, two cycles later
  output logic [23:0]  qp_rd_qpn,
  input  qp_config_t   qp_rd_cfg,

  // Requests and their work
  output rx_header_t   m_req_hdr,
  output qp_config_t   m_req_cfg,
  output logic         m_req_valid,
  input  logic         m_req_ready,
  input  rx_work_t     s_req_work_data,
  input  logic         s_req_work_valid,
  output logic         s_req_work_ready,

  // Responses and their work
  output rx_header_t   m_rsp_hdr,
  output qp_config_t   m_rsp_cfg,
  output logic         m_rsp_valid,
  input  logic         m_rsp_ready,
  input  rx_work_t     s_rsp_work_data,
  input  logic         s_rsp_work_valid,
  output logic         s_rsp_work_ready,

  // All work in frame order, and where its end is to be told
  output rx_work_t     m_work_data,
  output logic [1:0]   m_work_side,  // RX_SIDE_*
  output logic         m_work_valid,
  input  logic         m_work_ready,

  // Congestion: a frame of this queue pair was marked; its peer asks it to slow down
  output logic         mark_en,
  output logic [15:0]  mark_qpn,
  output logic         cnp_en,
  output logic [15:0]  cnp_qpn,

  // Events: a frame enters; a frame is dropped
  output logic         enter_en,
  output logic         drop_en,
  output logic [4:0]   drop_reason
);

  localparam int CHECKED      = 8;   // frames between lookup and fork
  localparam int CHECKED_LOG  = 3;
  localparam int FORK_W       = 2 + RX_HEADER_W + QP_CONFIG_W;
  localparam int ORDER_W      = 2 + 6 + 7;

  // Look up: the answer does not wait, so its place behind the check is reserved before.

  logic [CHECKED_LOG:0] room_q;
  logic                 forked;
  logic                 issue;
  logic [3:1]           valid_q;
  rx_header_t           hdr1_q;
  rx_header_t           hdr2_q;
  rx_header_t           hdr3_q;
  qp_config_t           cfg3_q;

  assign issue       = s_hdr_valid && room_q != '0;
  assign s_hdr_ready = room_q != '0;
  assign qp_rd_qpn   = s_hdr_data.qpn;
  assign enter_en    = issue;

  always_ff @(posedge clk) begin
    hdr1_q  <= s_hdr_data;
    hdr2_q  <= hdr1_q;
    hdr3_q  <= hdr2_q;
    cfg3_q  <= qp_rd_cfg;
    valid_q <= {valid_q[2:1], issue};
    if (issue && !forked) room_q <= room_q - 1'b1;
    if (!issue && forked) room_q <= room_q + 1'b1;
    if (rst) begin
      valid_q <= '0;
      room_q  <= (CHECKED_LOG + 1)'(CHECKED);
    end
  end

  // Check: comparisons first, their order in the next cycle.

  opcode_info_t info;
  logic         response3_q;
  logic         cnp3_q;
  logic         kind_bad3_q;
  logic         state_bad3_q;
  logic         address_bad3_q;
  logic         pkey_bad3_q;
  logic [4:0]   reason;
  logic [1:0]   side;

  assign info = opcode_info(hdr2_q.opcode);

  always_ff @(posedge clk) begin
    response3_q <= info.response;
    cnp3_q      <= info.kind == PACKET_KIND_CNP;
    kind_bad3_q <= qp_rd_cfg.qp_type != QP_TYPE_RC;
    case (qp_rd_cfg.state)
      QP_STATE_RTS, QP_STATE_SQD: state_bad3_q <= 1'b0;
      QP_STATE_RTR, QP_STATE_SQE: state_bad3_q <= info.response;
      default:                    state_bad3_q <= 1'b1;
    endcase
    address_bad3_q <= hdr2_q.src_gid != qp_rd_cfg.dest_gid || !hdr2_q.dest_hit
                   || hdr2_q.sgid_index != qp_rd_cfg.sgid_index;
    // rocev2 5.3: the same key, not zero, and not both limited members.
    pkey_bad3_q <= hdr2_q.pkey[14:0] != qp_rd_cfg.pkey[14:0] || hdr2_q.pkey[14:0] == '0
                || !(hdr2_q.pkey[15] || qp_rd_cfg.pkey[15]);
  end

  always_comb begin
    reason = DROP_REASON_NONE;
    if (!cfg3_q.exists)      reason = DROP_REASON_BAD_QPN;
    else if (kind_bad3_q)    reason = DROP_REASON_QP_TYPE;
    else if (state_bad3_q)   reason = DROP_REASON_QP_STATE;
    else if (address_bad3_q) reason = DROP_REASON_BAD_ADDRESS;
    else if (pkey_bad3_q && !cnp3_q) reason = DROP_REASON_BAD_PKEY;

    side = RX_SIDE_REQ;
    if (reason != DROP_REASON_NONE || cnp3_q) side = RX_SIDE_NONE;
    else if (response3_q)                     side = RX_SIDE_RSP;
  end

  always_ff @(posedge clk) begin
    drop_en     <= valid_q[3] && reason != DROP_REASON_NONE;
    drop_reason <= reason;
    mark_en     <= valid_q[3] && reason == DROP_REASON_NONE && hdr3_q.ce && !cnp3_q;
    mark_qpn    <= 16'(hdr3_q.qpn);
    cnp_en      <= valid_q[3] && reason == DROP_REASON_NONE && (cnp3_q || hdr3_q.becn);
    cnp_qpn     <= 16'(hdr3_q.qpn);
    if (rst) begin
      drop_en <= 1'b0;
      mark_en <= 1'b0;
      cnp_en  <= 1'b0;
    end
  end

  // Fork

  rx_header_t         hdr;
  qp_config_t         cfg;
  logic [1:0]         fork_side;
  logic               fork_valid;
  logic               fork_room;   // room_q sees to it
  logic               order_ready;

  stream_fifo #(.DATA_W(FORK_W), .DEPTH(CHECKED)) u_checked (
    .clk,
    .rst,
    .s_data  ({side, hdr3_q, cfg3_q}),
    .s_valid (valid_q[3]),
    .s_ready (fork_room),
    .m_data  ({fork_side, hdr, cfg}),
    .m_valid (fork_valid),
    .m_ready (forked),
    .count   ()
  );

  `RNIC_ASSERT(checked_frames_have_room, !valid_q[3] || fork_room)

  assign m_req_hdr   = hdr;
  assign m_req_cfg   = cfg;
  assign m_req_valid = fork_valid && order_ready && fork_side == RX_SIDE_REQ;
  assign m_rsp_hdr   = hdr;
  assign m_rsp_cfg   = cfg;
  assign m_rsp_valid = fork_valid && order_ready && fork_side == RX_SIDE_RSP;

  always_comb begin
    case (fork_side)
      RX_SIDE_REQ: forked = m_req_valid && m_req_ready;
      RX_SIDE_RSP: forked = m_rsp_valid && m_rsp_ready;
      default:  forked = fork_valid && order_ready;
    endcase
  end

  // Merge: the order FIFO says whose turn it is.

  logic [1:0]                   turn;
  logic [5:0]                   turn_off;
  logic [6:0]                   turn_beats;
  logic                         turn_valid;
  logic                         turn_done;
  rx_work_t                     nothing;

  stream_fifo #(.DATA_W(ORDER_W), .DEPTH(ORDER_DEPTH)) u_order (
    .clk,
    .rst,
    .s_data  ({fork_side, hdr.payload_off, hdr.payload_beats}),
    .s_valid (forked),
    .s_ready (order_ready),
    .m_data  ({turn, turn_off, turn_beats}),
    .m_valid (turn_valid),
    .m_ready (turn_done),
    .count   ()
  );

  always_comb begin
    nothing               = '0;
    nothing.first         = 1'b1;
    nothing.last          = 1'b1;
    nothing.payload_off   = turn_off;
    nothing.payload_beats = turn_beats;
  end

  always_comb begin
    case (turn)
      RX_SIDE_REQ: begin
        m_work_data  = s_req_work_data;
        m_work_valid = turn_valid && s_req_work_valid;
      end
      RX_SIDE_RSP: begin
        m_work_data  = s_rsp_work_data;
        m_work_valid = turn_valid && s_rsp_work_valid;
      end
      default: begin
        m_work_data  = nothing;
        m_work_valid = turn_valid;
      end
    endcase
  end

  assign m_work_side      = turn;
  assign s_req_work_ready = turn_valid && turn == RX_SIDE_REQ && m_work_ready;
  assign s_rsp_work_ready = turn_valid && turn == RX_SIDE_RSP && m_work_ready;
  assign turn_done        = m_work_valid && m_work_ready && m_work_data.last;

endmodule
