// rnic_admin: carries out admin commands, one at a time.
//
//   ring ─► look up facts ─► check ─► steps, each if the command needs it ─► answer
//             (refs)                   (what they say: orders)
//
// Steps, in this order: QP down, key, drain, watch for the end of its send queue, context init,
// receive ring init, receive ring, QP config, wake-up of its send queue, QP to ERR, CQ, EQ, SRQ,
// references. What could still be used by a pipeline is first made unreachable (state RESET, key
// invalid), then all pipelines are drained, and only then is context cleared and the answer given:
// when the host sees the completion, nothing of the adapter touches the object's memory any more.
// For SQD only queue and requester are drained: behind the completion no message starts.
`include "streams.svh"
`include "layouts.svh"
`include "codes.svh"
`include "registers.svh"

module rnic_admin #(
  parameter int QP_COUNT  = 256,
  parameter int CQ_COUNT  = 256,
  parameter int EQ_COUNT  = 16,
  parameter int SRQ_COUNT = 64,
  parameter int KEY_COUNT = 1024,
  parameter int MAX_READS = 16,
  parameter int INITS     = 6,
  parameter int DRAINS    = 6
) (
  input  logic                        clk,
  input  logic                        rst,
  output logic                        ready,

  // Registers
  input  admin_config_reg_t           admin_config,
  input  logic [63:0]                 sq_base,
  input  logic [63:0]                 cq_base,
  input  logic                        doorbell_en,
  input  logic [15:0]                 doorbell_index,
  input  logic                        cq_index_en,
  input  logic [15:0]                 cq_index,
  output admin_status_reg_t           admin_status,
  input  logic [15:0]                 port_mtu,

  // Host memory, interrupt
  output logic [DMA_READ_REQ_W-1:0]   m_dma_data,
  output logic                        m_dma_valid,
  input  logic                        m_dma_ready,
  input  logic [DMA_READ_DATA_W-1:0]  s_dma_data,
  input  logic                        s_dma_en,
  output logic [DMA_WRITE_REQ_W-1:0]  m_wreq_data,
  output logic                        m_wreq_valid,
  input  logic                        m_wreq_ready,
  output logic [DMA_WRITE_DATA_W-1:0] m_wdata_data,
  output logic                        m_wdata_valid,
  input  logic                        m_wdata_ready,
  input  logic                        s_wdone_en,
  output logic [7:0]                  m_irq_data,
  output logic                        m_irq_valid,
  input  logic                        m_irq_ready,

  // Queue pairs
  output logic [23:0]                 qp_rd_qpn,
  input  logic [QP_CONFIG_W-1:0]      qp_rd_cfg,
  input  logic                        qp_rd_drained,
  output logic [QP_WRITE_W-1:0]       m_qp_data,
  output logic                        m_qp_valid,
  input  logic                        m_qp_ready,
  output logic [RQ_WRITE_W-1:0]       m_rq_data,
  output logic                        m_rq_valid,
  input  logic                        m_rq_ready,
  output logic [QP_ERROR_W-1:0]       m_error_data,
  output logic                        m_error_valid,
  input  logic                        m_error_ready,
  output logic [15:0]                 m_kick_data,
  output logic                        m_kick_valid,
  input  logic                        m_kick_ready,
  output logic [QP_WATCH_W-1:0]       m_watch_data,
  output logic                        m_watch_valid,
  input  logic                        m_watch_ready,
  output logic [QP_INIT_W-1:0]        init_data,
  output logic [INITS-1:0]            init_valid,
  input  logic [INITS-1:0]            init_ready,
  output logic [DRAINS-1:0]           drain_req_en,
  input  logic [DRAINS-1:0]           drain_done_en,

  // Memory keys
  output logic                        lookup_en,
  output logic [23:0]                 lookup_index,
  input  logic [KEY_ENTRY_W-1:0]      lookup_entry,
  output logic [KEY_WRITE_W-1:0]      m_key_data,
  output logic                        m_key_valid,
  input  logic                        m_key_ready,

  // Completion, event and shared receive queues
  output logic [CQ_CONFIG_W-1:0]      m_cq_data,
  output logic                        m_cq_valid,
  input  logic                        m_cq_ready,
  input  logic [CQ_ANSWER_W-1:0]      cq_answer,
  output logic [EQ_CONFIG_W-1:0]      m_eq_data,
  output logic                        m_eq_valid,
  input  logic                        m_eq_ready,
  output logic [SRQ_CONFIG_W-1:0]     m_srq_data,
  output logic                        m_srq_valid,
  input  logic                        m_srq_ready,
  input  logic [SRQ_ANSWER_W-1:0]     srq_answer,

  // Events
  output logic                        ev_command_en
);

  // ------------------------------------------------------------------ the rings

  logic [511:0] cmd_data;
  logic         cmd_error;
  logic         cmd_valid;
  logic         cmd_ready;
  logic [7:0]   rsp_status_q;
  logic [63:0]  rsp_detail_q;
  logic [351:0] rsp_data_q;
  logic         rsp_valid;
  logic         rsp_ready;
  logic         replied_q;
  logic [15:0]  sq_head;
  logic [15:0]  cq_head;

  rnic_admin_ring u_ring (
    .clk,
    .rst,
    .admin_config,
    .sq_base,
    .cq_base,
    .doorbell_en,
    .doorbell_index,
    .cq_index_en,
    .cq_index,
    .sq_head,
    .cq_head,
    .m_cmd_data   (cmd_data),
    .m_cmd_error  (cmd_error),
    .m_cmd_valid  (cmd_valid),
    .m_cmd_ready  (cmd_ready),
    .s_rsp_status (rsp_status_q),
    .s_rsp_detail (rsp_detail_q),
    .s_rsp_data   (rsp_data_q),
    .s_rsp_valid  (rsp_valid),
    .s_rsp_ready  (rsp_ready),
    .m_dma_data,
    .m_dma_valid,
    .m_dma_ready,
    .s_dma_data,
    .s_dma_en,
    .m_wreq_data,
    .m_wreq_valid,
    .m_wreq_ready,
    .m_wdata_data,
    .m_wdata_valid,
    .m_wdata_ready,
    .s_wdone_en,
    .m_irq_data,
    .m_irq_valid,
    .m_irq_ready
  );

  assign admin_status = {cq_head, sq_head};

  admin_command_t   cmd;
  admin_create_qp_t create;
  admin_modify_qp_t modify;
  key_entry_t       entry;
  cq_answer_t       cq_found;
  srq_answer_t      srq_found;

  assign cmd       = cmd_data;
  assign create    = cmd_data;
  assign modify    = cmd_data;
  assign entry     = lookup_entry;
  assign cq_found  = cq_answer;
  assign srq_found = srq_answer;

  // ------------------------------------------------------------------ what the command needs

  qp_config_t old_q;      // the QP as it was
  logic       drained_q;  // all its messages had been retired

  logic op_create_qp;
  logic op_destroy_qp;
  logic op_modify_qp;
  logic op_cq;
  logic op_eq;
  logic op_srq;
  logic op_create_srq;
  logic op_destroy_srq;
  logic op_deregister;
  logic to_reset;
  logic to_err;
  logic to_rtr;
  logic to_rts;
  logic to_sqd;
  logic own_rq;
  logic [2:0] next_state;

  assign op_create_qp   = cmd.opcode == ADMIN_OP_CREATE_QP;
  assign op_destroy_qp  = cmd.opcode == ADMIN_OP_DESTROY_QP;
  assign op_modify_qp   = cmd.opcode == ADMIN_OP_MODIFY_QP;
  assign op_cq          = cmd.opcode == ADMIN_OP_CREATE_CQ || cmd.opcode == ADMIN_OP_DESTROY_CQ
                       || cmd.opcode == ADMIN_OP_RESIZE_CQ || cmd.opcode == ADMIN_OP_QUERY_CQ;
  assign op_eq          = cmd.opcode == ADMIN_OP_CREATE_EQ || cmd.opcode == ADMIN_OP_DESTROY_EQ
                       || cmd.opcode == ADMIN_OP_MODIFY_EQ;
  assign op_create_srq  = cmd.opcode == ADMIN_OP_CREATE_SRQ;
  assign op_destroy_srq = cmd.opcode == ADMIN_OP_DESTROY_SRQ;
  assign op_srq         = op_create_srq || op_destroy_srq || cmd.opcode == ADMIN_OP_MODIFY_SRQ
                       || cmd.opcode == ADMIN_OP_QUERY_SRQ;
  assign op_deregister  = cmd.opcode == ADMIN_OP_DEREGISTER_KEY;
  assign to_reset       = op_modify_qp && next_state == QP_STATE_RESET;
  assign to_err         = op_modify_qp && next_state == QP_STATE_ERR;
  assign to_rtr         = op_modify_qp && next_state == QP_STATE_RTR;
  assign to_rts         = op_modify_qp && next_state == QP_STATE_RTS
                       && old_q.state == QP_STATE_RTR;
  assign to_sqd         = op_modify_qp && next_state == QP_STATE_SQD
                       && old_q.state == QP_STATE_RTS;
  assign own_rq         = op_create_qp ? !create.use_srq : !old_q.use_srq;

  typedef enum logic [4:0] {
    IDLE, LOOK, CHECK,
    QP_DOWN, KEY, SPREAD, DRAIN, DRAIN_WAIT, WATCH, INIT, RQ_INIT, RQ, QP, KICK, QP_ERR, CQ, EQ,
    SRQ, REFS, REFS_WAIT, REPLY
  } state_e;

  state_e            state_q;
  logic [3:0]        drain_q;
  logic [3:0]        drain_last;
  logic [3:0]        spread_q;
  logic [INITS-1:0]  init_left_q;
  logic              init_done;
  logic [7:0]        check_status;

  // ------------------------------------------------------------------ facts, check

  logic own_exists;
  logic own_used;
  logic ref_a_exists;
  logic ref_b_exists;
  logic ref_c_exists;
  logic look_en;
  logic look_done_en;
  logic update_en;
  logic update_done_en;
  logic step_refs;

  assign look_en   = state_q == IDLE && cmd_valid && ready;
  assign update_en = state_q == REFS && step_refs;

  rnic_admin_refs #(
    .QP_COUNT  (QP_COUNT),
    .CQ_COUNT  (CQ_COUNT),
    .EQ_COUNT  (EQ_COUNT),
    .SRQ_COUNT (SRQ_COUNT)
  ) u_refs (
    .clk,
    .rst,
    .ready,
    .cmd_data,
    .qp_cfg (old_q),
    .look_en,
    .look_done_en,
    .update_en,
    .update_done_en,
    .own_exists,
    .own_used,
    .ref_a_exists,
    .ref_b_exists,
    .ref_c_exists
  );

  rnic_admin_check #(
    .QP_COUNT  (QP_COUNT),
    .CQ_COUNT  (CQ_COUNT),
    .EQ_COUNT  (EQ_COUNT),
    .SRQ_COUNT (SRQ_COUNT),
    .KEY_COUNT (KEY_COUNT),
    .MAX_READS (MAX_READS)
  ) u_check (
    .cmd_data,
    .cmd_error,
    .own_exists,
    .own_used,
    .ref_a_exists,
    .ref_b_exists,
    .ref_c_exists,
    .qp_cfg       (old_q),
    .qp_drained   (drained_q),
    .key_entry    (lookup_entry),
    .port_mtu,
    .status       (check_status),
    .next_state
  );

  assign qp_rd_qpn    = cmd.number;
  assign lookup_en    = 1'b1;
  assign lookup_index = cmd.number;

  // ------------------------------------------------------------------ steps

  logic step_qp_down;
  logic step_key;
  logic step_drain;
  logic step_init;
  logic step_rq_init;
  logic step_rq;
  logic step_qp;
  logic step_kick;
  logic step_watch;

  assign step_qp_down = to_reset || to_sqd || op_destroy_qp;
  assign step_key     = cmd.opcode == ADMIN_OP_REGISTER_KEY || op_deregister;
  assign step_drain   = step_qp_down || op_deregister || op_destroy_srq;
  assign step_init    = op_create_qp || op_destroy_qp || to_reset || to_rtr || to_rts;
  assign step_rq_init = op_create_srq || ((op_create_qp || to_reset) && own_rq);
  assign step_rq      = op_create_srq || op_destroy_srq
                     || ((op_create_qp || op_destroy_qp) && own_rq);
  assign step_qp      = op_create_qp || (op_modify_qp && !to_reset && !to_sqd && !to_err);
  assign step_kick    = op_modify_qp && next_state == QP_STATE_RTS && old_q.state == QP_STATE_SQD;
  assign step_watch   = step_qp_down || step_kick;
  assign step_refs    = op_create_qp || op_destroy_qp || op_create_srq || op_destroy_srq
                     || cmd.opcode == ADMIN_OP_CREATE_CQ || cmd.opcode == ADMIN_OP_DESTROY_CQ
                     || cmd.opcode == ADMIN_OP_CREATE_EQ || cmd.opcode == ADMIN_OP_DESTROY_EQ;

  // The first two drains are those of queue and requester.
  assign drain_last = to_sqd ? 4'd1 : 4'(DRAINS - 1);
  assign init_done  = (init_left_q & ~init_ready) == '0;

  always_ff @(posedge clk) begin
    // Two cycles behind the number, and the look takes more.
    if (state_q == LOOK) old_q <= qp_rd_cfg;
    if (state_q == LOOK) drained_q <= qp_rd_drained;

    case (state_q)
      IDLE:    if (look_en) state_q <= LOOK;
      LOOK:    if (look_done_en) state_q <= CHECK;
      CHECK: begin
        rsp_status_q <= check_status;
        drain_q      <= '0;
        spread_q     <= '0;
        if (check_status != ADMIN_STATUS_OK) state_q <= REPLY;
        else                                 state_q <= QP_DOWN;
      end
      QP_DOWN: if (!step_qp_down || m_qp_ready) state_q <= KEY;
      KEY:     if (!step_key || m_key_ready) state_q <= SPREAD;
      SPREAD: begin
        // What was looked up just before the change enters its pipeline within a few cycles.
        spread_q <= spread_q + 4'd1;
        if (!step_drain || spread_q == '1) state_q <= DRAIN;
      end
      DRAIN: begin
        if (!step_drain) state_q <= WATCH;
        else             state_q <= DRAIN_WAIT;
      end
      DRAIN_WAIT: if (drain_done_en[drain_q[$clog2(DRAINS)-1:0]]) begin
        drain_q <= drain_q + 4'd1;
        if (drain_q == drain_last) state_q <= WATCH;
        else                       state_q <= DRAIN;
      end
      WATCH:     if (!step_watch || m_watch_ready) state_q <= INIT;
      INIT:      if (!step_init || init_done) state_q <= RQ_INIT;
      RQ_INIT:   if (!step_rq_init || init_done) state_q <= RQ;
      RQ:        if (!step_rq || m_rq_ready) state_q <= QP;
      QP:        if (!step_qp || m_qp_ready) state_q <= KICK;
      KICK:      if (!step_kick || m_kick_ready) state_q <= QP_ERR;
      QP_ERR:    if (!to_err || m_error_ready) state_q <= CQ;
      CQ:        if (!op_cq || m_cq_ready) state_q <= EQ;
      EQ:        if (!op_eq || m_eq_ready) state_q <= SRQ;
      SRQ:       if (!op_srq || m_srq_ready) state_q <= REFS;
      REFS: begin
        if (step_refs) state_q <= REFS_WAIT;
        else           state_q <= REPLY;
      end
      REFS_WAIT: if (update_done_en) state_q <= REPLY;
      REPLY:     if (rsp_ready) state_q <= IDLE;
      default:   state_q <= IDLE;
    endcase

    // Every block is told once for each of the two kinds of init.
    if ((state_q == INIT && step_init && !init_done)
        || (state_q == RQ_INIT && step_rq_init && !init_done))
      init_left_q <= init_left_q & ~init_ready;
    else
      init_left_q <= '1;

    if (rst) begin
      state_q     <= IDLE;
      init_left_q <= '1;
    end
  end

  assign cmd_ready     = state_q == REPLY;
  assign rsp_valid     = replied_q;
  assign ev_command_en = state_q == REPLY && rsp_ready;

  for (genvar i = 0; i < DRAINS; i++) begin : g_drain
    assign drain_req_en[i] = state_q == DRAIN && step_drain && drain_q == 4'(i);
  end

  // ------------------------------------------------------------------ orders

  logic ring_round;
  assign ring_round = state_q == RQ_INIT;

  rnic_admin_orders #(
    .QP_COUNT (QP_COUNT)
  ) u_orders (
    .cmd_data,
    .qp_cfg     (old_q),
    .next_state,
    .ring_round,
    .qp_data    (m_qp_data),
    .rq_data    (m_rq_data),
    .error_data (m_error_data),
    .init_data,
    .key_data   (m_key_data),
    .cq_data    (m_cq_data),
    .eq_data    (m_eq_data),
    .srq_data   (m_srq_data)
  );

  assign m_qp_valid    = (state_q == QP_DOWN && step_qp_down) || (state_q == QP && step_qp);
  assign m_rq_valid    = state_q == RQ && step_rq;
  assign m_error_valid = state_q == QP_ERR && to_err;
  assign m_key_valid   = state_q == KEY && step_key;
  assign m_cq_valid    = state_q == CQ && op_cq;
  assign m_eq_valid    = state_q == EQ && op_eq;
  assign m_srq_valid   = state_q == SRQ && op_srq;
  assign init_valid    = (state_q == INIT && step_init) || (state_q == RQ_INIT && step_rq_init)
                       ? init_left_q : '0;

  // Work that was posted while the queue drained.
  assign m_kick_data  = 16'(cmd.number);
  assign m_kick_valid = state_q == KICK && step_kick;

  // Whose drain the host wants to hear of; a QP that leaves SQD is no longer watched.
  assign m_watch_data  = {to_sqd && (modify.mask & QP_ATTR_EN_SQD_ASYNC_NOTIFY) != '0,
                          16'(cmd.number)};
  assign m_watch_valid = state_q == WATCH && step_watch;

  // ------------------------------------------------------------------ the answer

  admin_modify_qp_t qp_record;
  admin_key_t       key_record;
  logic [511:0]     qp_bits;
  logic [511:0]     key_bits;

  always_comb begin
    qp_record                    = '0;
    qp_record.dest_qpn           = old_q.dest_qpn;
    qp_record.access             = old_q.access;
    qp_record.dest_gid           = old_q.dest_gid;
    qp_record.dest_mac           = old_q.dest_mac;
    qp_record.sgid_index         = old_q.sgid_index;
    qp_record.vlan_valid         = old_q.vlan_valid;
    qp_record.vlan               = old_q.vlan;
    qp_record.traffic_class      = old_q.traffic_class;
    qp_record.hop_limit          = old_q.hop_limit;
    qp_record.udp_sport          = old_q.udp_sport;
    qp_record.path_mtu           = old_q.path_mtu;
    qp_record.max_rd_atomic      = old_q.max_rd_atomic;
    key_record                   = '0;
    key_record.kind              = entry.kind;
    key_record.access            = entry.access;
    key_record.direct            = entry.direct;
    key_record.page_shift        = entry.page_shift;
    key_record.pd                = entry.pd;
    key_record.base              = entry.base;
    key_record.length            = entry.length;
    key_record.pages             = entry.pages;
  end
  assign qp_bits  = qp_record;
  assign key_bits = key_record;

  always_ff @(posedge clk) begin
    // The ring takes the command when it is done, and the answer in the next state.
    replied_q <= (state_q == REPLY && !replied_q) || (replied_q && !rsp_ready);
    if (state_q == CHECK) begin
      rsp_detail_q <= '0;
      rsp_data_q   <= '0;
      if (check_status == ADMIN_STATUS_OK && cmd.opcode == ADMIN_OP_QUERY_QP) begin
        rsp_detail_q <= {61'd0, old_q.state};
        rsp_data_q   <= qp_bits[415:64];
      end
      if (check_status == ADMIN_STATUS_OK && cmd.opcode == ADMIN_OP_QUERY_KEY) begin
        rsp_detail_q <= {55'd0, entry.valid, entry.key};
        rsp_data_q   <= key_bits[415:64];
      end
    end
    if (m_cq_valid && m_cq_ready)
      rsp_detail_q <= {7'd0, cq_found.bad, cq_found.consumer, 8'd0, cq_found.producer};
    if (m_srq_valid && m_srq_ready)
      rsp_detail_q <= {srq_found.limit, srq_found.consumer, 16'd0, srq_found.producer};
    if (rst) replied_q <= 1'b0;
  end

endmodule
