// rnic_admin: carries out admin commands, one at a time.
//
//   ring ─► look up facts ─► check ─► steps, each if the command needs it ─► answer
//
// Steps, in this order: QP down, key, drain, context init, receive ring init, receive ring, QP
// config, wake-up of its send queue, QP to ERR, CQ, EQ, references. What could still be used by a pipeline is first made
// unreachable (state RESET, key invalid), then all pipelines are drained, and only then is
// context cleared and the answer given: when the host sees the completion, nothing of the
// adapter touches the object's memory any more.
//
// References: an EQ counts its CQs, a CQ and an SRQ their QPs; an object in use is not destroyed.
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

  // Completion and event queues
  output logic [CQ_CONFIG_W-1:0]      m_cq_data,
  output logic                        m_cq_valid,
  input  logic                        m_cq_ready,
  input  logic [CQ_ANSWER_W-1:0]      cq_answer,
  output logic [EQ_CONFIG_W-1:0]      m_eq_data,
  output logic                        m_eq_valid,
  input  logic                        m_eq_ready,

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
  admin_queue_t     queue;
  admin_create_qp_t create;
  admin_modify_qp_t modify;
  admin_key_t       key;
  key_entry_t       entry;
  cq_answer_t       answer;

  assign cmd    = cmd_data;
  assign queue  = cmd_data;
  assign create = cmd_data;
  assign modify = cmd_data;
  assign key    = cmd_data;
  assign entry  = lookup_entry;
  assign answer = cq_answer;

  // ------------------------------------------------------------------ what the command needs

  qp_config_t old_q;  // the QP as it was

  logic op_create_qp;
  logic op_destroy_qp;
  logic op_modify_qp;
  logic op_create_cq;
  logic op_destroy_cq;
  logic op_create_eq;
  logic op_destroy_eq;
  logic op_create_srq;
  logic op_destroy_srq;
  logic op_register;
  logic op_deregister;
  logic to_reset;
  logic to_err;
  logic to_rtr;
  logic to_rts;
  logic [2:0] next_state;

  assign op_create_qp   = cmd.opcode == ADMIN_OP_CREATE_QP;
  assign op_destroy_qp  = cmd.opcode == ADMIN_OP_DESTROY_QP;
  assign op_modify_qp   = cmd.opcode == ADMIN_OP_MODIFY_QP;
  assign op_create_cq   = cmd.opcode == ADMIN_OP_CREATE_CQ;
  assign op_destroy_cq  = cmd.opcode == ADMIN_OP_DESTROY_CQ;
  assign op_create_eq   = cmd.opcode == ADMIN_OP_CREATE_EQ;
  assign op_destroy_eq  = cmd.opcode == ADMIN_OP_DESTROY_EQ;
  assign op_create_srq  = cmd.opcode == ADMIN_OP_CREATE_SRQ;
  assign op_destroy_srq = cmd.opcode == ADMIN_OP_DESTROY_SRQ;
  assign op_register    = cmd.opcode == ADMIN_OP_REGISTER_KEY;
  assign op_deregister  = cmd.opcode == ADMIN_OP_DEREGISTER_KEY;
  assign to_reset       = op_modify_qp && next_state == QP_STATE_RESET;
  assign to_err         = op_modify_qp && next_state == QP_STATE_ERR;
  assign to_rtr         = op_modify_qp && next_state == QP_STATE_RTR;
  assign to_rts         = op_modify_qp && next_state == QP_STATE_RTS
                       && old_q.state == QP_STATE_RTR;

  typedef enum logic [4:0] {
    SWEEP, IDLE, LOOK, LOOK_WAIT, SETTLE, CHECK,
    QP_DOWN, KEY, SPREAD, DRAIN, DRAIN_WAIT, INIT, RQ_INIT, RQ, QP, KICK, QP_ERR, CQ, EQ,
    REFS, REFS_WAIT, REFS_WRITE, REPLY
  } state_e;

  state_e            state_q;
  logic [1:0]        look_q;
  logic [3:0]        drain_q;
  logic [3:0]        spread_q;
  logic [INITS-1:0]  init_left_q;
  logic [7:0]        check_status;
  logic              own_rq;

  assign own_rq = op_create_qp ? !create.use_srq : !old_q.use_srq;

  // ------------------------------------------------------------------ references

  localparam logic [1:0] REF_EQ  = 2'd0;
  localparam logic [1:0] REF_CQ  = 2'd1;
  localparam logic [1:0] REF_SRQ = 2'd2;
  localparam int REF_N_W = CQ_COUNT > SRQ_COUNT ? $clog2(CQ_COUNT) : $clog2(SRQ_COUNT);

  typedef struct packed {
    logic        exists;
    logic [15:0] users;
    logic [7:0]  eqn;      // a CQ's event queue
  } ref_t;
  localparam int REF_W = 25;

  logic [REF_N_W+1:0] sweep_q;
  logic [REF_W-1:0]   ref_bits;
  logic [REF_W-1:0]   ref_wr_bits;
  logic               ref_wr_en;
  logic               ref_rd_en;
  logic [REF_N_W+1:0] ref_addr;
  logic [1:0]         ref_kind;
  logic [15:0]        ref_number;
  logic               ref_used;     // the look or the change number look_q applies
  ref_t               ref_now;
  ref_t               ref_new;
  ref_t               own_q;
  logic               ref_a_q;
  logic               ref_b_q;
  logic               ref_c_q;
  logic [1:0]         own_kind;
  logic               sweeping;

  always_comb begin
    own_kind = REF_EQ;
    case (cmd.opcode)
      ADMIN_OP_CREATE_CQ, ADMIN_OP_DESTROY_CQ,
      ADMIN_OP_RESIZE_CQ, ADMIN_OP_QUERY_CQ:    own_kind = REF_CQ;
      ADMIN_OP_CREATE_SRQ, ADMIN_OP_MODIFY_SRQ,
      ADMIN_OP_QUERY_SRQ, ADMIN_OP_DESTROY_SRQ: own_kind = REF_SRQ;
      default:                                  own_kind = REF_EQ;
    endcase
  end

  // Four places: 0 the object itself, 1 to 3 what it leans on.
  always_comb begin
    ref_kind   = own_kind;
    ref_number = 16'(cmd.number);
    ref_used   = 1'b1;
    case (look_q)
      2'd0: ref_used = op_create_eq || op_destroy_eq || op_create_cq || op_destroy_cq
                    || op_create_srq || op_destroy_srq || state_q == LOOK || state_q == LOOK_WAIT;
      2'd1: begin
        ref_kind   = op_create_cq || op_destroy_cq ? REF_EQ : REF_CQ;
        ref_number = op_create_qp ? create.send_cq : op_destroy_qp ? old_q.send_cq
                   : {8'd0, op_create_cq ? queue.eqn : own_q.eqn};
        ref_used   = op_create_qp || op_destroy_qp || op_create_cq || op_destroy_cq;
      end
      2'd2: begin
        ref_kind   = REF_CQ;
        ref_number = op_create_qp ? create.recv_cq : old_q.recv_cq;
        ref_used   = op_create_qp || op_destroy_qp;
      end
      default: begin
        ref_kind   = REF_SRQ;
        ref_number = op_create_qp ? {1'b0, create.srq} : old_q.rq_id - 16'(QP_COUNT);
        ref_used   = (op_create_qp || op_destroy_qp) && !own_rq;
      end
    endcase
  end

  // An out-of-range number must not alias an object that exists.
  logic ref_in_range;
  always_comb begin
    case (ref_kind)
      REF_EQ:  ref_in_range = ref_number < 16'(EQ_COUNT);
      REF_CQ:  ref_in_range = ref_number < 16'(CQ_COUNT);
      default: ref_in_range = ref_number < 16'(SRQ_COUNT);
    endcase
  end

  assign ref_now   = ref_bits;
  assign ref_addr  = {ref_kind, ref_number[REF_N_W-1:0]};
  assign ref_rd_en = state_q == LOOK || state_q == REFS;
  assign ref_wr_en = state_q == SWEEP || (state_q == REFS_WRITE && ref_used);

  always_comb begin
    ref_new = ref_now;
    if (look_q == 2'd0) begin
      ref_new        = '0;
      ref_new.exists = op_create_eq || op_create_cq || op_create_srq;
      ref_new.eqn    = queue.eqn;
    end else if (op_create_qp || op_create_cq) begin
      ref_new.users = ref_now.users + 16'd1;
    end else begin
      ref_new.users = ref_now.users - 16'd1;
    end
  end
  assign ref_wr_bits = state_q == SWEEP ? '0 : ref_new;

  ram_1w1r #(
    .DATA_W (REF_W),
    .DEPTH  (4 << REF_N_W)
  ) u_refs (
    .clk,
    .wr_en   (ref_wr_en),
    .wr_addr (sweeping ? sweep_q : ref_addr),
    .wr_data (ref_wr_bits),
    .rd_en   (ref_rd_en),
    .rd_addr (ref_addr),
    .rd_data (ref_bits)
  );

  // ------------------------------------------------------------------ check

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
    .own_exists   (own_q.exists),
    .own_used     (own_q.users != '0),
    .ref_a_exists (ref_a_q),
    .ref_b_exists (ref_b_q),
    .ref_c_exists (ref_c_q),
    .qp_cfg       (old_q),
    .key_entry    (lookup_entry),
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
  logic step_cq;
  logic step_eq;
  logic step_refs;
  logic refs_last;

  assign step_qp_down = to_reset || op_destroy_qp;
  assign step_key     = op_register || op_deregister;
  assign step_drain   = step_qp_down || op_deregister || op_destroy_srq;
  assign step_init    = op_create_qp || op_destroy_qp || to_reset || to_rtr || to_rts;
  assign step_rq_init = op_create_srq || ((op_create_qp || to_reset) && own_rq);
  assign step_rq      = op_create_srq || op_destroy_srq
                     || ((op_create_qp || op_destroy_qp) && own_rq);
  assign step_qp      = op_create_qp || (op_modify_qp && !to_reset && !to_err);
  assign step_kick    = op_modify_qp && next_state == QP_STATE_RTS && old_q.state == QP_STATE_SQD;
  assign step_cq      = own_kind == REF_CQ;
  assign step_eq      = op_create_eq || op_destroy_eq || cmd.opcode == ADMIN_OP_MODIFY_EQ;
  assign step_refs    = op_create_qp || op_destroy_qp || op_create_cq || op_destroy_cq
                     || op_create_eq || op_destroy_eq || op_create_srq || op_destroy_srq;
  assign refs_last    = look_q == 2'd3;

  logic sweep_last;
  assign sweeping   = state_q == SWEEP;
  assign sweep_last = sweep_q == '1;
  assign ready      = !sweeping;

  always_ff @(posedge clk) begin
    case (state_q)
      SWEEP: begin
        sweep_q <= sweep_q + 1'b1;
        if (sweep_last) state_q <= IDLE;
      end
      IDLE: begin
        look_q <= '0;
        if (cmd_valid) state_q <= LOOK;
      end
      LOOK: state_q <= LOOK_WAIT;
      LOOK_WAIT: begin
        case (look_q)
          2'd0:    own_q   <= ref_now;
          2'd1:    ref_a_q <= ref_in_range && ref_now.exists;
          2'd2:    ref_b_q <= ref_in_range && ref_now.exists;
          default: ref_c_q <= ref_in_range && ref_now.exists;
        endcase
        look_q  <= look_q + 2'd1;
        old_q   <= qp_rd_cfg;
        if (refs_last) state_q <= SETTLE;
        else           state_q <= LOOK;
      end
      SETTLE: begin
        old_q   <= qp_rd_cfg;
        state_q <= CHECK;
      end
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
        if (!step_drain) state_q <= INIT;
        else             state_q <= DRAIN_WAIT;
      end
      DRAIN_WAIT: if (drain_done_en[drain_q[$clog2(DRAINS)-1:0]]) begin
        drain_q <= drain_q + 4'd1;
        if (drain_q == 4'(DRAINS - 1)) state_q <= INIT;
        else                           state_q <= DRAIN;
      end
      INIT:    if (!step_init || (init_left_q & ~init_ready) == '0) state_q <= RQ_INIT;
      RQ_INIT: if (!step_rq_init || (init_left_q & ~init_ready) == '0) state_q <= RQ;
      RQ:      if (!step_rq || m_rq_ready) state_q <= QP;
      QP:      if (!step_qp || m_qp_ready) state_q <= KICK;
      KICK:    if (!step_kick || m_kick_ready) state_q <= QP_ERR;
      QP_ERR:  if (!to_err || m_error_ready) state_q <= CQ;
      CQ:      if (!step_cq || m_cq_ready) state_q <= EQ;
      EQ:      if (!step_eq || m_eq_ready) begin
        look_q <= '0;
        if (step_refs) state_q <= REFS;
        else           state_q <= REPLY;
      end
      REFS:      state_q <= REFS_WAIT;
      REFS_WAIT: state_q <= REFS_WRITE;
      REFS_WRITE: begin
        look_q <= look_q + 2'd1;
        if (refs_last) state_q <= REPLY;
        else           state_q <= REFS;
      end
      REPLY:   if (rsp_ready) state_q <= IDLE;
      default: state_q <= IDLE;
    endcase

    // Every block is told once for each of the two kinds of init.
    if (state_q == INIT || state_q == RQ_INIT) init_left_q <= init_left_q & ~init_ready;
    if ((state_q == INIT || state_q == RQ_INIT) && (init_left_q & ~init_ready) == '0)
      init_left_q <= '1;
    if ((state_q == INIT && !step_init) || (state_q == RQ_INIT && !step_rq_init))
      init_left_q <= '1;

    if (rst) begin
      state_q     <= SWEEP;
      sweep_q     <= '0;
      init_left_q <= '1;
    end
  end

  assign cmd_ready     = state_q == REPLY;
  assign rsp_valid     = replied_q;
  assign ev_command_en = state_q == REPLY && rsp_ready;

  for (genvar i = 0; i < DRAINS; i++) begin : g_drain
    assign drain_req_en[i] = state_q == DRAIN && step_drain && drain_q == 4'(i);
  end

  // ------------------------------------------------------------------ the messages

  qp_write_t  qp_write;
  qp_config_t qp_new;
  rq_write_t  rq_write;
  rq_config_t rq_new;
  qp_error_t  qp_error;
  qp_init_t   init;
  key_write_t key_write;
  key_entry_t key_new;
  cq_config_t cq_cfg;
  eq_config_t eq_cfg;
  logic [15:0] given;
  logic [31:0] mask;

  assign mask  = modify.mask;
  assign given = mask[15:0];

  always_comb begin
    qp_new = old_q;
    if (op_create_qp) begin
      qp_new         = '0;
      qp_new.exists  = 1'b1;
      qp_new.qp_type = create.qp_type;
      qp_new.pd      = create.pd;
      qp_new.send_cq = create.send_cq;
      qp_new.recv_cq = create.recv_cq;
      qp_new.use_srq = create.use_srq;
      qp_new.rq_id   = create.use_srq ? 16'(QP_COUNT) + {1'b0, create.srq} : 16'(cmd.number);
      qp_new.sq_base = create.sq_base;
      qp_new.sq_log  = create.sq_log;
    end else if (step_qp_down) begin
      qp_new.state  = QP_STATE_RESET;
      qp_new.exists = !op_destroy_qp;
    end else begin
      qp_new.state = next_state;
      if ((given & QP_ATTR_ACCESS_FLAGS) != '0)       qp_new.access = modify.access;
      if ((given & QP_ATTR_PKEY_INDEX) != '0)         qp_new.pkey = modify.pkey;
      if ((given & QP_ATTR_QKEY) != '0)               qp_new.qkey = modify.qkey;
      if ((given & QP_ATTR_PATH_MTU) != '0)           qp_new.path_mtu = modify.path_mtu;
      if ((given & QP_ATTR_DEST_QPN) != '0)           qp_new.dest_qpn = modify.dest_qpn;
      if ((given & QP_ATTR_MAX_DEST_RD_ATOMIC) != '0) qp_new.max_dest_rd_atomic = modify.max_dest_rd_atomic;
      if ((given & QP_ATTR_MIN_RNR_TIMER) != '0)      qp_new.min_rnr_timer = modify.min_rnr_timer;
      if ((given & QP_ATTR_TIMEOUT) != '0)            qp_new.timeout = modify.timeout;
      if ((given & QP_ATTR_RETRY_CNT) != '0)          qp_new.retry_cnt = modify.retry_cnt;
      if ((given & QP_ATTR_RNR_RETRY) != '0)          qp_new.rnr_retry = modify.rnr_retry;
      if ((given & QP_ATTR_MAX_RD_ATOMIC) != '0)      qp_new.max_rd_atomic = modify.max_rd_atomic;
      if ((given & QP_ATTR_AV) != '0) begin
        qp_new.dest_gid      = modify.dest_gid;
        qp_new.dest_mac      = modify.dest_mac;
        qp_new.sgid_index    = modify.sgid_index;
        qp_new.vlan_valid    = modify.vlan_valid;
        qp_new.vlan          = modify.vlan;
        qp_new.traffic_class = modify.traffic_class;
        qp_new.hop_limit     = modify.hop_limit;
        qp_new.flow_label    = modify.flow_label;
        qp_new.udp_sport     = modify.udp_sport;
      end
    end
    qp_write            = '0;
    qp_write.qpn        = 16'(cmd.number);
    qp_write.state_only = step_qp_down;
    qp_write.cfg        = qp_new;
  end

  assign m_qp_data  = qp_write;
  assign m_qp_valid = (state_q == QP_DOWN && step_qp_down) || (state_q == QP && step_qp);

  always_comb begin
    rq_new          = '0;
    rq_new.exists   = op_create_qp || op_create_srq;
    rq_new.base     = op_create_srq ? queue.base : create.rq_base;
    rq_new.log_size = op_create_srq ? queue.log_size : create.rq_log;
    rq_new.pd       = op_create_srq ? queue.pd : create.pd;
    rq_write        = '0;
    rq_write.rq_id  = own_kind == REF_SRQ ? 16'(QP_COUNT) + 16'(cmd.number) : 16'(cmd.number);
    rq_write.cfg    = rq_new;
  end

  assign m_rq_data  = rq_write;
  assign m_rq_valid = state_q == RQ && step_rq;

  always_comb begin
    qp_error        = '0;
    qp_error.qpn    = 16'(cmd.number);
    qp_error.status = CQE_STATUS_WR_FLUSH_ERR;
  end

  // Work that was posted while the queue drained.
  assign m_kick_data  = 16'(cmd.number);
  assign m_kick_valid = state_q == KICK && step_kick;

  assign m_error_data  = qp_error;
  assign m_error_valid = state_q == QP_ERR && to_err;

  always_comb begin
    init     = '0;
    init.qpn = 16'(cmd.number);
    init.op  = QP_INIT_OP_CREATE;
    if (state_q == RQ_INIT) begin
      init.op  = QP_INIT_OP_RQ_CREATE;
      init.qpn = rq_write.rq_id;
    end else if (to_rtr) begin
      init.op  = QP_INIT_OP_RTR;
      init.psn = modify.rq_psn;
    end else if (to_rts) begin
      init.op  = QP_INIT_OP_RTS;
      init.psn = modify.sq_psn;
    end else if (op_destroy_qp) begin
      init.op  = QP_INIT_OP_DESTROY;
    end
  end

  assign init_data  = init;
  assign init_valid = (state_q == INIT && step_init) || (state_q == RQ_INIT && step_rq_init)
                    ? init_left_q : '0;

  always_comb begin
    key_new = '0;
    if (op_register) begin
      key_new.key        = key.key;
      key_new.valid      = key.kind != KEY_KIND_FAST_REG;
      key_new.kind       = key.kind;
      key_new.access     = key.access;
      key_new.direct     = key.direct;
      key_new.page_shift = key.page_shift;
      key_new.pd         = key.pd;
      key_new.base       = key.base;
      key_new.length     = key.length;
      key_new.pages      = key.pages;
      if (key.kind == KEY_KIND_FAST_REG) key_new.limit = key.length[23:0];
    end
    key_write       = '0;
    key_write.index = cmd.number;
    key_write.entry = key_new;
  end

  assign m_key_data  = key_write;
  assign m_key_valid = state_q == KEY && step_key;

  always_comb begin
    cq_cfg          = '0;
    cq_cfg.cqn      = 16'(cmd.number);
    cq_cfg.exists   = !op_destroy_cq;
    cq_cfg.keep     = cmd.opcode == ADMIN_OP_RESIZE_CQ;
    cq_cfg.query    = cmd.opcode == ADMIN_OP_QUERY_CQ;
    cq_cfg.base     = queue.base;
    cq_cfg.log_size = queue.log_size;
    cq_cfg.eqn      = queue.eqn;
    eq_cfg           = '0;
    eq_cfg.eqn       = 8'(cmd.number);
    eq_cfg.exists    = !op_destroy_eq;
    eq_cfg.keep      = cmd.opcode == ADMIN_OP_MODIFY_EQ;
    eq_cfg.base      = queue.base;
    eq_cfg.log_size  = queue.log_size;
    eq_cfg.vector    = queue.vector;
    eq_cfg.mod_count = queue.mod_count;
    eq_cfg.mod_time  = queue.mod_time;
  end

  assign m_cq_data  = cq_cfg;
  assign m_cq_valid = state_q == CQ && step_cq;
  assign m_eq_data  = eq_cfg;
  assign m_eq_valid = state_q == EQ && step_eq;

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
    if (state_q == CQ && step_cq && m_cq_ready)
      rsp_detail_q <= {7'd0, answer.bad, answer.consumer, 8'd0, answer.producer};
    if (rst) replied_q <= 1'b0;
  end

endmodule
