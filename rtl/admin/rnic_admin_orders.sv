// rnic_admin_orders: what a command says to each of the blocks it changes.
//
// Pure logic: from the command, and the QP and the state it leads to, the records that
// rnic_admin offers in the steps that the command needs.
`include "streams.svh"
`include "layouts.svh"
`include "codes.svh"

module rnic_admin_orders #(
  parameter int QP_COUNT = 256
) (
  // The command, the QP as it was, the state it goes to
  input  logic [511:0]           cmd_data,
  input  logic [QP_CONFIG_W-1:0] qp_cfg,
  input  logic [2:0]             next_state,

  // The second of two rounds of context reset: the receive ring
  input  logic                   ring_round,

  // Orders
  output logic [QP_WRITE_W-1:0]  qp_data,
  output logic [RQ_WRITE_W-1:0]  rq_data,
  output logic [QP_ERROR_W-1:0]  error_data,
  output logic [QP_INIT_W-1:0]   init_data,
  output logic [KEY_WRITE_W-1:0] key_data,
  output logic [CQ_CONFIG_W-1:0] cq_data,
  output logic [EQ_CONFIG_W-1:0] eq_data,
  output logic [SRQ_CONFIG_W-1:0] srq_data
);

  admin_command_t   cmd;
  admin_queue_t     queue;
  admin_create_qp_t create;
  admin_modify_qp_t modify;
  admin_key_t       key;
  qp_config_t       old;

  assign cmd    = cmd_data;
  assign queue  = cmd_data;
  assign create = cmd_data;
  assign modify = cmd_data;
  assign key    = cmd_data;
  assign old    = qp_cfg;

  logic        creates_qp;
  logic        destroys_qp;
  logic        modifies;
  logic        creates_srq;
  logic        of_srq;
  logic        goes_down;      // to RESET, to SQD, or away: only the state changes
  logic [31:0] given;
  logic [15:0] rq_id;

  assign creates_qp  = cmd.opcode == ADMIN_OP_CREATE_QP;
  assign destroys_qp = cmd.opcode == ADMIN_OP_DESTROY_QP;
  assign modifies    = cmd.opcode == ADMIN_OP_MODIFY_QP;
  assign creates_srq = cmd.opcode == ADMIN_OP_CREATE_SRQ;
  assign of_srq      = creates_srq || cmd.opcode == ADMIN_OP_DESTROY_SRQ;
  assign goes_down   = destroys_qp
                    || (modifies && (next_state == QP_STATE_RESET
                                     || (next_state == QP_STATE_SQD
                                         && old.state == QP_STATE_RTS)));
  assign given       = modify.mask;
  assign rq_id       = of_srq ? 16'(QP_COUNT) + 16'(cmd.number) : 16'(cmd.number);

  // ------------------------------------------------------------------ queue pairs

  qp_config_t qp;
  qp_write_t  qp_write;

  always_comb begin
    qp = old;
    if (creates_qp) begin
      qp         = '0;
      qp.exists  = 1'b1;
      qp.qp_type = create.qp_type;
      qp.pd      = create.pd;
      qp.send_cq = create.send_cq;
      qp.recv_cq = create.recv_cq;
      qp.use_srq = create.use_srq;
      qp.e2e_credits = create.e2e_credits;
      qp.rq_id   = create.use_srq ? 16'(QP_COUNT) + {1'b0, create.srq} : 16'(cmd.number);
      qp.sq_base = create.sq_base;
      qp.sq_log  = create.sq_log;
    end else if (goes_down) begin
      qp.state  = destroys_qp ? QP_STATE_RESET : next_state;
      qp.exists = !destroys_qp;
    end else begin
      qp.state = next_state;
      if ((given & QP_ATTR_ACCESS_FLAGS) != '0)       qp.access = modify.access;
      if ((given & QP_ATTR_PKEY_INDEX) != '0)         qp.pkey = modify.pkey;
      if ((given & QP_ATTR_QKEY) != '0)               qp.qkey = modify.qkey;
      if ((given & QP_ATTR_PATH_MTU) != '0)           qp.path_mtu = modify.path_mtu;
      if ((given & QP_ATTR_DEST_QPN) != '0)           qp.dest_qpn = modify.dest_qpn;
      if ((given & QP_ATTR_MAX_DEST_RD_ATOMIC) != '0) qp.max_dest_rd_atomic = modify.max_dest_rd_atomic;
      if ((given & QP_ATTR_MIN_RNR_TIMER) != '0)      qp.min_rnr_timer = modify.min_rnr_timer;
      if ((given & QP_ATTR_TIMEOUT) != '0)            qp.timeout = modify.timeout;
      if ((given & QP_ATTR_RETRY_CNT) != '0)          qp.retry_cnt = modify.retry_cnt;
      if ((given & QP_ATTR_RNR_RETRY) != '0)          qp.rnr_retry = modify.rnr_retry;
      if ((given & QP_ATTR_MAX_RD_ATOMIC) != '0)      qp.max_rd_atomic = modify.max_rd_atomic;
      if ((given & QP_ATTR_AV) != '0) begin
        qp.dest_gid      = modify.dest_gid;
        qp.dest_mac      = modify.dest_mac;
        qp.sgid_index    = modify.sgid_index;
        qp.vlan_valid    = modify.vlan_valid;
        qp.vlan          = modify.vlan;
        qp.traffic_class = modify.traffic_class;
        qp.hop_limit     = modify.hop_limit;
        qp.flow_label    = modify.flow_label;
        qp.udp_sport     = modify.udp_sport;
      end
    end
    qp_write            = '0;
    qp_write.qpn        = 16'(cmd.number);
    qp_write.state_only = goes_down;
    qp_write.cfg        = qp;
  end

  assign qp_data = qp_write;

  // ------------------------------------------------------------------ receive rings

  rq_config_t rq;
  rq_write_t  rq_write;

  always_comb begin
    rq             = '0;
    rq.exists      = creates_qp || creates_srq;
    rq.base        = creates_srq ? queue.base : create.rq_base;
    rq.log_size    = creates_srq ? queue.log_size : create.rq_log;
    rq.pd          = creates_srq ? queue.pd : create.pd;
    rq_write       = '0;
    rq_write.rq_id = rq_id;
    rq_write.cfg   = rq;
  end
  assign rq_data = rq_write;

  // ------------------------------------------------------------------ errors, context reset

  qp_error_t qp_error;
  qp_init_t  init;

  always_comb begin
    qp_error        = '0;
    qp_error.qpn    = 16'(cmd.number);
    qp_error.status = CQE_STATUS_WR_FLUSH_ERR;
    init            = '0;
    init.qpn        = 16'(cmd.number);
    init.op         = QP_INIT_OP_CREATE;
    if (ring_round) begin
      init.op  = QP_INIT_OP_RQ_CREATE;
      init.qpn = rq_id;
    end else if (destroys_qp) begin
      init.op  = QP_INIT_OP_DESTROY;
    end else if (modifies && next_state == QP_STATE_RTR) begin
      init.op  = QP_INIT_OP_RTR;
      init.psn = modify.rq_psn;
    end else if (modifies && next_state == QP_STATE_RTS) begin
      init.op      = QP_INIT_OP_RTS;
      init.psn     = modify.sq_psn;
      init.limited = old.e2e_credits;
    end
  end
  assign error_data = qp_error;
  assign init_data  = init;

  // ------------------------------------------------------------------ keys

  key_entry_t key_entry;
  key_write_t key_write;

  always_comb begin
    key_entry = '0;
    if (cmd.opcode == ADMIN_OP_REGISTER_KEY) begin
      key_entry.key        = key.key;
      key_entry.valid      = key.kind != KEY_KIND_FAST_REG;
      key_entry.kind       = key.kind;
      key_entry.access     = key.access;
      key_entry.direct     = key.direct;
      key_entry.page_shift = key.page_shift;
      key_entry.pd         = key.pd;
      key_entry.base       = key.base;
      key_entry.length     = key.length;
      key_entry.pages      = key.pages;
      if (key.kind == KEY_KIND_FAST_REG) key_entry.limit = key.length[23:0];
    end
    key_write       = '0;
    key_write.index = cmd.number;
    key_write.entry = key_entry;
  end
  assign key_data = key_write;

  // ------------------------------------------------------------------ completion, event, shared receive queues

  cq_config_t cq;
  eq_config_t eq;

  always_comb begin
    cq           = '0;
    cq.cqn       = 16'(cmd.number);
    cq.exists    = cmd.opcode != ADMIN_OP_DESTROY_CQ;
    cq.keep      = cmd.opcode == ADMIN_OP_RESIZE_CQ;
    cq.query     = cmd.opcode == ADMIN_OP_QUERY_CQ;
    cq.base      = queue.base;
    cq.log_size  = queue.log_size;
    cq.eqn       = queue.eqn;
    eq           = '0;
    eq.eqn       = 8'(cmd.number);
    eq.exists    = cmd.opcode != ADMIN_OP_DESTROY_EQ;
    eq.keep      = cmd.opcode == ADMIN_OP_MODIFY_EQ;
    eq.base      = queue.base;
    eq.log_size  = queue.log_size;
    eq.vector    = queue.vector;
    eq.mod_count = queue.mod_count;
    eq.mod_time  = queue.mod_time;
  end
  assign cq_data = cq;
  assign eq_data = eq;

  // A limit of 0 leaves the armed one; a new queue has none.
  srq_config_t srq;
  always_comb begin
    srq        = '0;
    srq.srqn   = 16'(cmd.number);
    srq.create = creates_srq;
    srq.arm    = creates_srq || (cmd.opcode == ADMIN_OP_MODIFY_SRQ && queue.limit != '0);
    srq.limit  = queue.limit;
  end
  assign srq_data = srq;

endmodule
