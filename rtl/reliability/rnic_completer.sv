// rnic_completer: the requester's way back, from a received response to completions.
//
// check judges a response and names the memory its data goes to; when the data is there, walk
// retires the messages it acknowledges. Between the two lies the receive pipeline, which keeps
// responses in order. The progress of every QP is published for the requester and the
// scheduler. What is lost is a matter of the walk too: it sends the QP back (m_rewind) and watches
// over it with the timers.
//
//   s_rsp ─► check ─► m_work ··· receive pipeline ··· s_done ─────┬─► walk ─► m_cqe, m_kick, m_error
//   s_result (packets that failed, local operations), s_flush ─► barrier (rx drain) ─┤    │
//                                                          timer ────────────────────┘    ├─► m_rewind
//                                                            ▲── what it waits for ───────┘
`include "streams.svh"
`include "codes.svh"
`include "reliability.svh"

module rnic_completer #(
  parameter int QP_COUNT   = 256,
  parameter int MSG_DEPTH  = 256,
  parameter int READ_DEPTH = 16,
  parameter int READ_SGE   = 8
) (
  input  logic                         clk,
  input  logic                         rst,

  // Responses with the configuration of their QP, and what to do with them
  input  logic [RX_HEADER_W-1:0]       s_rsp_hdr,
  input  logic [QP_CONFIG_W-1:0]       s_rsp_cfg,
  input  logic                         s_rsp_valid,
  output logic                         s_rsp_ready,
  output logic [RX_WORK_W-1:0]         m_work_data,
  output logic                         m_work_valid,
  input  logic                         m_work_ready,
  input  logic [RX_DONE_W-1:0]         s_done_data,
  input  logic                         s_done_valid,
  output logic                         s_done_ready,

  // From the transmit side: failed packets and local operations, records that need no packet
  input  logic [TX_RESULT_W-1:0]       s_result_data,
  input  logic                         s_result_valid,
  output logic                         s_result_ready,
  input  logic [15:0]                  s_kick_data,
  input  logic                         s_kick_valid,
  output logic                         s_kick_ready,
  input  logic [15:0]                  s_flush_data,
  input  logic                         s_flush_valid,
  output logic                         s_flush_ready,

  // Records of outstanding messages and reads
  input  logic                         msg_write_en,
  input  logic                         msg_write_new,
  input  logic [15:0]                  msg_write_qpn,
  input  logic [15:0]                  msg_write_index,
  input  logic [MSG_RECORD_W-1:0]      msg_write_data,
  input  logic                         read_write_en,
  input  logic [15:0]                  read_write_qpn,
  input  logic [$clog2(READ_DEPTH)-1:0] read_write_slot,
  input  logic [READ_RECORD_W-1:0]     read_write_data,
  input  logic                         sge_write_en,
  input  logic [15:0]                  sge_write_qpn,
  input  logic [$clog2(READ_DEPTH)-1:0] sge_write_slot,
  input  logic [$clog2(READ_SGE)-1:0]  sge_write_number,
  input  logic [SGE_W-1:0]             sge_write_data,

  // Packets that leave: of the oldest message, sent before; a read asked for again from its middle
  input  logic                         sent_en,
  input  logic [15:0]                  sent_qpn,
  input  logic                         sent_oldest,
  input  logic                         sent_again,
  input  logic                         read_again_en,
  input  logic [15:0]                  read_again_qpn,

  // Cycles in 4.096 and in 10 microseconds
  input  logic [15:0]                  ack_tick,
  input  logic [15:0]                  rnr_tick,

  // Facts of other blocks, two cycles after the number
  output logic [23:0]                  qp_rd_qpn,
  input  logic [QP_CONFIG_W-1:0]       qp_rd_cfg,
  output logic [23:0]                  timer_rd_qpn,
  input  logic [QP_CONFIG_W-1:0]       timer_rd_cfg,
  output logic [15:0]                  psn_rd_qpn,
  input  logic [23:0]                  psn_rd_data,

  // Published progress, two cycles after the number
  input  logic [1:0][15:0]             progress_rd_qpn,
  output logic [1:0][SQ_PROGRESS_W-1:0] progress_rd_data,
  output logic                         progress_en,
  output logic [15:0]                  progress_qpn,
  output logic [SQ_PROGRESS_W-1:0]     progress_data,

  // QPs to be sent back to their oldest message
  output logic [15:0]                  m_rewind_data,
  output logic                         m_rewind_valid,
  input  logic                         m_rewind_ready,

  // Completions, wake-ups of the queue, QPs that fail
  output logic [CQE_REQ_W-1:0]         m_cqe_data,
  output logic                         m_cqe_valid,
  input  logic                         m_cqe_ready,
  output logic [15:0]                  m_kick_data,
  output logic                         m_kick_valid,
  input  logic                         m_kick_ready,
  output logic [QP_ERROR_W-1:0]        m_error_data,
  output logic                         m_error_valid,
  input  logic                         m_error_ready,

  // Context of a new life; everything that was inside has left
  input  logic [QP_INIT_W-1:0]         init_data,
  input  logic                         init_valid,
  output logic                         init_ready,
  input  logic                         drain_req_en,
  output logic                         drain_done_en,

  // Drain of the receive pipeline, for local operations
  output logic                         rx_drain_req_en,
  input  logic                         rx_drain_done_en,

  // Events
  output logic                         ev_ghost_en,
  output logic                         ev_sequence_en,
  output logic                         ev_syndrome_en,
  output logic                         ev_timeout_en,
  output logic                         ev_exhausted_en
);

  localparam int QP_W = $clog2(QP_COUNT);

  logic check_init_ready;
  logic walk_init_ready;
  logic check_init_done_q;
  logic walk_init_done_q;

  // Each half answers once; both must have.
  assign init_ready = (check_init_ready || check_init_done_q)
                   && (walk_init_ready || walk_init_done_q);

  always_ff @(posedge clk) begin
    check_init_done_q <= init_valid && !init_ready && (check_init_done_q || check_init_ready);
    walk_init_done_q  <= init_valid && !init_ready && (walk_init_done_q || walk_init_ready);
    if (rst) begin
      check_init_done_q <= 1'b0;
      walk_init_done_q  <= 1'b0;
    end
  end

  logic [QP_W-1:0] check_psn_qpn;
  assign psn_rd_qpn = 16'(check_psn_qpn);

  rnic_cpl_check #(
    .QP_COUNT   (QP_COUNT),
    .READ_DEPTH (READ_DEPTH),
    .READ_SGE   (READ_SGE)
  ) u_check (
    .clk,
    .rst,
    .s_rsp_hdr,
    .s_rsp_cfg,
    .s_rsp_valid,
    .s_rsp_ready,
    .read_write_en,
    .read_write_qpn (read_write_qpn[QP_W-1:0]),
    .read_write_slot,
    .read_write_data,
    .sge_write_en,
    .sge_write_qpn  (sge_write_qpn[QP_W-1:0]),
    .sge_write_slot,
    .sge_write_number,
    .sge_write_data,
    .read_again_en,
    .read_again_qpn (read_again_qpn[QP_W-1:0]),
    .psn_rd_qpn     (check_psn_qpn),
    .psn_rd_data,
    .m_work_data,
    .m_work_valid,
    .m_work_ready,
    .init_data,
    .init_valid     (init_valid && !check_init_done_q),
    .init_ready     (check_init_ready),
    .ev_ghost_en,
    .ev_sequence_en,
    .ev_syndrome_en
  );

  // ------------------------------------------------------------------ responses whose data is there

  rx_done_t   done;
  rx_retire_t retire;
  cpl_event_t cpl_event;

  assign done   = s_done_data;
  assign retire = done.retire;

  // How the message holding the response's PSN ends; SUCCESS acknowledges.
  logic [7:0] syndrome;
  assign syndrome = retire.syndrome;

  always_comb begin
    cpl_event           = '0;
    cpl_event.qpn       = retire.qpn;
    cpl_event.psn       = retire.psn;
    cpl_event.syndrome  = retire.syndrome;
    cpl_event.read_last = retire.read_last;
    cpl_event.status    = retire.cqe_status;
    cpl_event.told      = retire.reply;
    cpl_event.limited   = syndrome != SYNDROME_ACK_NO_CREDITS;
    cpl_event.limit     = retire.msn;
    if (done.fault == RX_FAULT_BUS)                        cpl_event.status = CQE_STATUS_LOC_QP_OP_ERR;
    else if (done.fault != RX_FAULT_NONE)                  cpl_event.status = CQE_STATUS_LOC_PROT_ERR;
    else if (syndrome == SYNDROME_NAK_SEQUENCE)            cpl_event.status = CQE_STATUS_RETRY_EXC_ERR;
    else if (syndrome == SYNDROME_NAK_INVALID_REQUEST)     cpl_event.status = CQE_STATUS_REM_INV_REQ_ERR;
    else if (syndrome == SYNDROME_NAK_REMOTE_ACCESS)       cpl_event.status = CQE_STATUS_REM_ACCESS_ERR;
    else if (syndrome == SYNDROME_NAK_REMOTE_OPERATION)    cpl_event.status = CQE_STATUS_REM_OP_ERR;
    else if (syndrome[6:5] == AETH_TYPE_RNR)               cpl_event.status = CQE_STATUS_RNR_RETRY_EXC_ERR;
  end

  logic event_ready;
  logic is_response;
  assign is_response  = retire.kind == RETIRE_KIND_RESP_ACK || retire.kind == RETIRE_KIND_RESP_READ;
  assign s_done_ready = event_ready || !is_response;

  // ------------------------------------------------------------------ what waits for older frames

  localparam int RESULTS  = 16;
  localparam int RESULT_N = $clog2(RESULTS) + 1;

  logic [TX_RESULT_W-1:0] result_data;
  logic                   result_valid;
  logic                   result_ready;
  logic [RESULT_N-1:0]    result_count;
  logic                   result_drain_en;
  tx_result_t             s_result;

  assign s_result = s_result_data;

  rnic_cpl_barrier #(
    .DATA_W (TX_RESULT_W),
    .DEPTH  (RESULTS)
  ) u_results (
    .clk,
    .rst,
    .s_data        (s_result_data),
    .s_hold        (s_result.local_op),
    .s_valid       (s_result_valid),
    .s_ready       (s_result_ready),
    .m_data        (result_data),
    .m_valid       (result_valid),
    .m_ready       (result_ready),
    .count         (result_count),
    .drain_req_en  (result_drain_en),
    .drain_done_en (rx_drain_done_en)
  );

  // Room for a flush of every QP.
  logic [15:0]   flush_data;
  logic          flush_valid;
  logic          flush_ready;
  logic [QP_W:0] flush_count;
  logic          flush_drain_en;

  rnic_cpl_barrier #(
    .DATA_W (16),
    .DEPTH  (QP_COUNT)
  ) u_flushes (
    .clk,
    .rst,
    .s_data        (s_flush_data),
    .s_hold        (1'b1),
    .s_valid       (s_flush_valid),
    .s_ready       (s_flush_ready),
    .m_data        (flush_data),
    .m_valid       (flush_valid),
    .m_ready       (flush_ready),
    .count         (flush_count),
    .drain_req_en  (flush_drain_en),
    .drain_done_en (rx_drain_done_en)
  );

  assign rx_drain_req_en = result_drain_en || flush_drain_en;

  // ------------------------------------------------------------------ walk

  logic                     walk_enter_en;
  logic                     walk_leave_en;
  logic [4:0]               walk_cqes;
  logic [QP_W-1:0]          walk_qpn;
  logic [CPL_WATCH_W-1:0]   watch_data;
  logic                     walk_init_en;
  logic [15:0]              timer_qpn;
  logic [15:0]              timer_count;
  logic                     timer_valid;
  logic                     timer_ready;
  logic [31:0]              ack_now;
  logic [31:0]              rnr_now;
  logic                     rewind_en;
  logic [QP_W-1:0]          rewind_qpn;
  logic [QP_W-1:0]          next_rewind;

  rnic_cpl_walk #(
    .QP_COUNT  (QP_COUNT),
    .MSG_DEPTH (MSG_DEPTH)
  ) u_walk (
    .clk,
    .rst,
    .s_event_data   (cpl_event),
    .s_event_valid  (s_done_valid && is_response),
    .s_event_ready  (event_ready),
    .s_result_data  (result_data),
    .s_result_valid (result_valid),
    .s_result_ready (result_ready),
    .s_flush_data   (flush_data),
    .s_flush_valid  (flush_valid),
    .s_flush_ready  (flush_ready),
    .s_kick_data,
    .s_kick_valid,
    .s_kick_ready,
    .s_timer_qpn    (timer_qpn),
    .s_timer_count  (timer_count),
    .s_timer_valid  (timer_valid),
    .s_timer_ready  (timer_ready),
    .ack_now,
    .rnr_now,
    .sent_en,
    .sent_again,
    .sent_qpn       (sent_qpn[QP_W-1:0]),
    .msg_write_en,
    .msg_write_new,
    .msg_write_qpn  (msg_write_qpn[QP_W-1:0]),
    .msg_write_index,
    .msg_write_data,
    .qp_rd_qpn,
    .qp_rd_cfg,
    .m_cqe_data,
    .m_cqe_valid,
    .m_cqe_ready,
    .m_kick_data,
    .m_kick_valid,
    .m_kick_ready,
    .m_error_data,
    .m_error_valid,
    .m_error_ready,
    .progress_en,
    .progress_qpn   (walk_qpn),
    .progress_data,
    .watch_data,
    .rewind_en,
    .rewind_qpn,
    .init_data,
    .init_valid     (init_valid && !walk_init_done_q),
    .init_ready     (walk_init_ready),
    .init_en        (walk_init_en),
    .ev_timeout_en,
    .ev_exhausted_en,
    .cqes           (walk_cqes),
    .enter_en       (walk_enter_en),
    .leave_en       (walk_leave_en)
  );

  // ------------------------------------------------------------------ timers, going back

  rnic_cpl_timer #(
    .QP_COUNT (QP_COUNT)
  ) u_timer (
    .clk,
    .rst,
    .ack_tick,
    .rnr_tick,
    .ack_now,
    .rnr_now,
    .sent_en        (sent_en && sent_oldest),
    .sent_qpn       (sent_qpn[QP_W-1:0]),
    .msg_en         (msg_write_en && msg_write_new),
    .msg_qpn        (msg_write_qpn[QP_W-1:0]),
    .msg_index      (msg_write_index),
    .state_en       (progress_en),
    .state_init     (walk_init_en),
    .state_qpn      (walk_qpn),
    .state_data     (watch_data),
    .qp_rd_qpn      (timer_rd_qpn),
    .qp_rd_cfg      (timer_rd_cfg),
    .m_expire_qpn   (timer_qpn),
    .m_expire_count (timer_count),
    .m_expire_valid (timer_valid),
    .m_expire_ready (timer_ready)
  );

  // The walk never waits for the way out.
  stream_once #(
    .COUNT (QP_COUNT)
  ) u_rewinds (
    .clk,
    .rst,
    .s_en     (rewind_en),
    .s_number (rewind_qpn),
    .m_number (next_rewind),
    .m_valid  (m_rewind_valid),
    .m_ready  (m_rewind_ready),
    .count    ()
  );

  assign m_rewind_data = 16'(next_rewind);

  // ------------------------------------------------------------------ published progress

  assign progress_qpn = 16'(walk_qpn);

  for (genvar i = 0; i < 2; i++) begin : g_progress
    logic [SQ_PROGRESS_W-1:0] read;
    logic [SQ_PROGRESS_W-1:0] read_q;

    ram_1w1r #(
      .DATA_W (SQ_PROGRESS_W),
      .DEPTH  (QP_COUNT),
      .BYPASS (1)
    ) u_ram (
      .clk,
      .wr_en   (progress_en),
      .wr_addr (walk_qpn),
      .wr_data (progress_data),
      .rd_en   (1'b1),
      .rd_addr (progress_rd_qpn[i][QP_W-1:0]),
      .rd_data (read)
    );

    always_ff @(posedge clk) read_q <= read;
    assign progress_rd_data[i] = read_q;
  end

  // ------------------------------------------------------------------ drain

  localparam int WAITING_W = QP_W + 1 > RESULT_N + 1 ? QP_W + 1 : RESULT_N + 1;

  logic event_wait;
  assign event_wait = s_done_valid && is_response;

  rnic_cpl_drain #(
    .INPUTS  (4),
    .COUNT_W (WAITING_W),
    .CQES_W  (5)
  ) u_drain (
    .clk,
    .rst,
    .drain_req_en,
    .drain_done_en,
    .waiting  ({WAITING_W'(s_kick_valid), WAITING_W'(flush_count),
                WAITING_W'(result_count) + WAITING_W'(s_result_valid), WAITING_W'(event_wait)}),
    .pass_en  ({s_kick_valid && s_kick_ready, flush_valid && flush_ready,
                result_valid && result_ready, event_wait && event_ready}),
    .enter_en (walk_enter_en),
    .leave_en (walk_leave_en),
    .cqes     (walk_cqes),
    .cqe_en   (m_cqe_valid && m_cqe_ready)
  );

endmodule
