// rnic_responder: executes requests and makes their responses.
//
//                        ┌─► fetch (host)
//   s_req ─► rsp_check ──┴─► rsp_receive ─► m_work      check, write (rtl/rx)      s_done
//                                 │                                                  │
//                                 └── flushed entries ──────────────────────► rsp_retire ─► m_cqe
//                                                                                    │  └─► m_error
//   m_pkt ◄── rsp_reply ◄────────────────────────────────────────────────────────────┘
//
// Exactly one group of work per request, in order. It always takes requests, whatever the way
// out does: replies wait in a ring per queue pair whose places are reserved in rsp_check.
`include "responder.svh"

module rnic_responder #(
  parameter int QP_COUNT  = 256,
  parameter int SRQ_COUNT = 64,
  parameter int IN_FLIGHT = 128
) (
  input  logic                       clk,
  input  logic                       rst,

  // Requests, with the configuration of their QP
  input  logic [RX_HEADER_W-1:0]     s_req_hdr,
  input  logic [QP_CONFIG_W-1:0]     s_req_cfg,
  input  logic                       s_req_valid,
  output logic                       s_req_ready,

  // Work for the receive pipeline, and what it has done
  output logic [RX_WORK_W-1:0]       m_work_data,
  output logic                       m_work_valid,
  input  logic                       m_work_ready,
  input  logic [RX_DONE_W-1:0]       s_done_data,
  input  logic                       s_done_valid,
  output logic                       s_done_ready,

  // Responses, and those that could not be sent
  output logic [TX_PACKET_W-1:0]     m_pkt_data,
  output logic                       m_pkt_valid,
  input  logic                       m_pkt_ready,
  input  logic [TX_RESULT_W-1:0]     s_result_data,
  input  logic                       s_result_valid,
  output logic                       s_result_ready,

  // Completions and errors
  output logic [CQE_REQ_W-1:0]       m_cqe_data,
  output logic                       m_cqe_valid,
  input  logic                       m_cqe_ready,
  output logic [QP_ERROR_W-1:0]      m_error_data,
  output logic                       m_error_valid,
  input  logic                       m_error_ready,

  // Doorbells of receive rings; queue pairs that went to ERR
  input  logic [RING_UPDATE_W-1:0]   s_rq_data,
  input  logic                       s_rq_valid,
  output logic                       s_rq_ready,
  input  logic [15:0]                s_flush_data,
  input  logic                       s_flush_valid,
  output logic                       s_flush_ready,

  // Receive entries taken by frames
  output logic                       claim_en,
  output logic [15:0]                claim_rq,

  // Host reads of receive entries
  output logic [DMA_READ_REQ_W-1:0]  m_dma_data,
  output logic                       m_dma_valid,
  input  logic                       m_dma_ready,
  input  logic [DMA_READ_DATA_W-1:0] s_dma_data,
  input  logic                       s_dma_en,

  // Completion entries begun and answered, free running; one may be about to begin
  input  logic [15:0]                cqes_begun,
  input  logic [15:0]                cqes_answered,
  input  logic                       cqes_beginning,

  // Asynchronous events: COMM_EST, LAST_WQE_REACHED
  output logic [EVENT_REQ_W-1:0]     m_event_data,
  output logic                       m_event_valid,
  input  logic                       m_event_ready,

  // Requests that one acknowledge may cover, and cycles that it may wait for more
  input  logic [7:0]                 ack_every,
  input  logic [15:0]                ack_delay,

  // Configuration, two cycles after the number: of receive rings, and of queue pairs by reply
  // and by flush
  output logic [15:0]                rq_rd_id,
  input  logic [RQ_CONFIG_W-1:0]     rq_rd_cfg,
  output logic [23:0]                qp_rd_qpn,
  input  logic [QP_CONFIG_W-1:0]     qp_rd_cfg,
  output logic [23:0]                flush_rd_qpn,
  input  logic [QP_CONFIG_W-1:0]     flush_rd_cfg,

  // Context of a new life; drain
  input  logic [QP_INIT_W-1:0]       init_data,
  input  logic                       init_valid,
  output logic                       init_ready,
  input  logic                       drain_req_en,
  output logic                       drain_done_en,

  // Events
  output logic                       ev_duplicate_en,
  output logic                       ev_sequence_en,
  output logic                       ev_no_wqe_en,
  output logic                       ev_resource_en,
  output logic                       ev_ack_en,
  output logic                       ev_nak_en,
  output logic                       ev_rnr_nak_en
);

  localparam int QP_W    = $clog2(QP_COUNT);
  localparam int FLUSHES = 16;

  // ------------------------------------------------------------------ init goes to all

  logic [4:0][QP_INIT_W-1:0] stage_init_data;
  logic [4:0]                stage_init_valid;
  logic [4:0]                stage_init_ready;

  stream_fork #(.N(5), .DATA_W(QP_INIT_W)) u_init (
    .clk,
    .rst,
    .s_data  (init_data),
    .s_valid (init_valid),
    .s_ready (init_ready),
    .m_data  (stage_init_data),
    .m_valid (stage_init_valid),
    .m_ready (stage_init_ready)
  );

  // ------------------------------------------------------------------ stages

  logic [RSP_CMD_W-1:0]     cmd_data;
  logic                     cmd_valid;
  logic                     cmd_ready;
  logic [QP_W-1:0]          reads_rd_qpn;
  logic                     reads_rd_en;
  logic [RSP_READS_W-1:0]   reads_rd_data;
  logic [QP_W-1:0]          orders_rd_qpn;
  logic                     orders_rd_en;
  logic [RSP_ORDERS_W-1:0]  orders_rd_data;
  logic                     established_en;
  logic [QP_W-1:0]          established_qpn;
  logic [$clog2(FLUSHES):0] flushes;
  logic                     flushed_en;

  rnic_rsp_check #(
    .QP_COUNT (QP_COUNT),
    .RQ_COUNT (QP_COUNT + SRQ_COUNT),
    .FLUSHES  (FLUSHES)
  ) u_check (
    .clk,
    .rst,
    .s_req_hdr,
    .s_req_cfg,
    .s_req_valid,
    .s_req_ready,
    .s_rq_data,
    .s_rq_valid,
    .s_rq_ready,
    .s_flush_data,
    .s_flush_valid,
    .s_flush_ready,
    .flushed_en,
    .qp_rd_qpn   (flush_rd_qpn),
    .qp_rd_cfg   (flush_rd_cfg),
    .reads_rd_qpn,
    .reads_rd_en,
    .reads_rd_data,
    .orders_rd_qpn,
    .orders_rd_en,
    .orders_rd_data,
    .m_cmd_data  (cmd_data),
    .m_cmd_valid (cmd_valid),
    .m_cmd_ready (cmd_ready),
    .claim_en,
    .claim_rq,
    .init_data   (stage_init_data[0]),
    .init_valid  (stage_init_valid[0]),
    .init_ready  (stage_init_ready[0]),
    .flushes,
    .established_en,
    .established_qpn,
    .ev_duplicate_en,
    .ev_sequence_en,
    .ev_no_wqe_en,
    .ev_resource_en
  );

  logic [QP_W-1:0]        poison_qpn;
  logic                   poisoned;
  logic [RSP_FLUSH_W-1:0] entry_data;
  logic                   entry_valid;
  logic                   entry_ready;
  logic                   frame_en;
  logic [15:0]            groups_sent;

  rnic_rsp_receive #(.QP_COUNT(QP_COUNT), .IN_FLIGHT(IN_FLIGHT)) u_receive (
    .clk,
    .rst,
    .s_cmd_data    (cmd_data),
    .s_cmd_valid   (cmd_valid),
    .s_cmd_ready   (cmd_ready),
    .rq_rd_id,
    .rq_rd_cfg,
    .m_dma_data,
    .m_dma_valid,
    .m_dma_ready,
    .s_dma_data,
    .s_dma_en,
    .poison_qpn,
    .poisoned,
    .m_work_data,
    .m_work_valid,
    .m_work_ready,
    .m_flush_data  (entry_data),
    .m_flush_valid (entry_valid),
    .m_flush_ready (entry_ready),
    .init_data     (stage_init_data[1]),
    .init_valid    (stage_init_valid[1]),
    .init_ready    (stage_init_ready[1]),
    .frame_en,
    .groups        (groups_sent)
  );

  logic [RSP_REPLY_W-1:0]     order_data;
  logic                       order_valid;
  logic                       order_ready;
  logic [1:0][QP_ERROR_W-1:0] error_data;
  logic [1:0]                 error_valid;
  logic [1:0]                 error_ready;
  logic [15:0]                groups_done;
  logic [15:0]                cqes_made;
  logic                       cqes_left;
  logic                       reached_en;
  logic [QP_W-1:0]            reached_qpn;

  rnic_rsp_retire #(.QP_COUNT(QP_COUNT), .FLUSHES(FLUSHES)) u_retire (
    .clk,
    .rst,
    .s_done_data,
    .s_done_valid,
    .s_done_ready,
    .s_flush_data  (entry_data),
    .s_flush_valid (entry_valid),
    .s_flush_ready (entry_ready),
    .flushed_en,
    .poison_qpn,
    .poisoned,
    .m_cqe_data,
    .m_cqe_valid,
    .m_cqe_ready,
    .m_reply_data  (order_data),
    .m_reply_valid (order_valid),
    .m_reply_ready (order_ready),
    .m_error_data  (error_data[0]),
    .m_error_valid (error_valid[0]),
    .m_error_ready (error_ready[0]),
    .init_data     (stage_init_data[2]),
    .init_valid    (stage_init_valid[2]),
    .init_ready    (stage_init_ready[2]),
    .groups        (groups_done),
    .cqes          (cqes_made),
    .cqes_left,
    .reached_en,
    .reached_qpn
  );

  logic          hurry;
  logic [QP_W:0] held_qps;
  logic [QP_W:0] ready_qps;
  logic          turn_en;
  logic [1:0]    packets;

  rnic_rsp_reply #(.QP_COUNT(QP_COUNT)) u_reply (
    .clk,
    .rst,
    .s_reply_data  (order_data),
    .s_reply_valid (order_valid),
    .s_reply_ready (order_ready),
    .s_result_data,
    .s_result_valid,
    .s_result_ready,
    .qp_rd_qpn,
    .qp_rd_cfg,
    .orders_rd_qpn,
    .orders_rd_en,
    .orders_rd_data,
    .reads_rd_qpn,
    .reads_rd_en,
    .reads_rd_data,
    .m_pkt_data,
    .m_pkt_valid,
    .m_pkt_ready,
    .m_error_data  (error_data[1]),
    .m_error_valid (error_valid[1]),
    .m_error_ready (error_ready[1]),
    .init_data     (stage_init_data[3]),
    .init_valid    (stage_init_valid[3]),
    .init_ready    (stage_init_ready[3]),
    .ack_every,
    .ack_delay,
    .hurry,
    .held_qps,
    .ready_qps,
    .turn_en,
    .packets,
    .ev_ack_en,
    .ev_nak_en,
    .ev_rnr_nak_en
  );

  stream_arbiter #(.N(2), .DATA_W(QP_ERROR_W)) u_errors (
    .clk,
    .rst,
    .s_data   (error_data),
    .s_last   (2'b11),
    .s_valid  (error_valid),
    .s_ready  (error_ready),
    .m_data   (m_error_data),
    .m_last   (),
    .m_source (),
    .m_valid  (m_error_valid),
    .m_ready  (m_error_ready)
  );

  // ------------------------------------------------------------------ events, drain

  qp_init_t event_init;

  assign event_init          = stage_init_data[4];
  assign stage_init_ready[4] = 1'b1;

  rnic_rsp_events #(.QP_COUNT(QP_COUNT)) u_events (
    .clk,
    .rst,
    .established_en,
    .established_qpn,
    .reached_en,
    .reached_qpn,
    .cqes_left,
    .cqes_begun,
    .cqes_answered,
    .cqes_beginning,
    .init_en  (stage_init_valid[4] && (event_init.op == QP_INIT_OP_CREATE
               || event_init.op == QP_INIT_OP_DESTROY || event_init.op == QP_INIT_OP_RTR)),
    .init_qpn (event_init.qpn[QP_W-1:0]),
    .m_event_data,
    .m_event_valid,
    .m_event_ready
  );

  rnic_rsp_drain #(.QP_COUNT(QP_COUNT), .FLUSHES(FLUSHES)) u_drain (
    .clk,
    .rst,
    .drain_req_en,
    .drain_done_en,
    .enter_en       (s_req_valid && s_req_ready),
    .frame_en,
    .groups_sent,
    .groups_done,
    .flushes,
    .cqes_made,
    .cqe_en         (m_cqe_valid && m_cqe_ready),
    .errors_waiting (error_valid != '0 || m_error_valid),
    .orders_waiting (order_valid),
    .hurry,
    .held_qps,
    .ready_qps,
    .turn_en,
    .packets,
    .packet_en      (m_pkt_valid && m_pkt_ready)
  );

endmodule
