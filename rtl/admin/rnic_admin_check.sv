// rnic_admin_check: may this admin command be carried out?
//
// Pure logic. Looks at every field of a command and at the facts about the objects it names,
// and answers with a status that says what is wrong first; OK means that the command can no
// longer fail. QP transitions and their attributes are those of rocev2 5.2 for RC.
`include "streams.svh"
`include "layouts.svh"
`include "codes.svh"

module rnic_admin_check #(
  parameter int QP_COUNT  = 256,
  parameter int CQ_COUNT  = 256,
  parameter int EQ_COUNT  = 16,
  parameter int SRQ_COUNT = 64,
  parameter int KEY_COUNT = 1024,
  parameter int MAX_READS = 16
) (
  // The command
  input  logic [511:0]           cmd_data,
  input  logic                   cmd_error,

  // Facts: the object itself, its users, and the objects it leans on
  input  logic                   own_exists,
  input  logic                   own_used,
  input  logic                   ref_a_exists,  // CREATE_CQ: EQ; CREATE_QP: send CQ
  input  logic                   ref_b_exists,  // CREATE_QP: receive CQ
  input  logic                   ref_c_exists,  // CREATE_QP: SRQ
  input  logic [QP_CONFIG_W-1:0] qp_cfg,
  input  logic                   qp_drained,    // all its messages have been retired
  input  logic [KEY_ENTRY_W-1:0] key_entry,

  // Largest IP packet of the port
  input  logic [15:0]            port_mtu,

  // Verdict, and the state a MODIFY_QP leads to
  output logic [7:0]             status,
  output logic [2:0]             next_state
);

  admin_command_t   cmd;
  admin_queue_t     queue;
  admin_create_qp_t create;
  admin_modify_qp_t modify;
  admin_key_t       key;
  qp_config_t       qp;
  key_entry_t       entry;

  assign cmd    = cmd_data;
  assign queue  = cmd_data;
  assign create = cmd_data;
  assign modify = cmd_data;
  assign key    = cmd_data;
  assign qp     = qp_cfg;
  assign entry  = key_entry;

  // ------------------------------------------------------------------ rings

  logic [63:0] ring_base;
  logic        ring_aligned;
  logic        ring_sized;
  assign ring_base    = queue.base;
  assign ring_aligned = ring_base[5:0] == '0;
  assign ring_sized   = queue.log_size != '0;

  // ------------------------------------------------------------------ QP transitions

  logic [31:0] given;
  logic [31:0] required;
  logic [31:0] optional;
  logic        allowed;

  assign given      = modify.mask & ~QP_ATTR_STATE;
  assign next_state = (modify.mask & QP_ATTR_STATE) != '0 ? modify.state : qp.state;

  rnic_admin_transition u_transition (
    .from (qp.state),
    .to   (next_state),
    .allowed,
    .required,
    .optional
  );

  logic [15:0] pkey;
  logic        pkey_ok;
  logic        mtu_ok;
  logic        reads_ok;
  logic [15:0] packet_bytes;
  logic        sending;       // and a change would meet what is on its way
  assign pkey     = modify.pkey;
  assign pkey_ok  = pkey[14:0] != '0;

  // A full packet with room for every header must fit the port (rocev2 1.1), as Linux has it.
  assign packet_bytes = (16'd128 << modify.path_mtu) + 16'd96;
  assign mtu_ok       = modify.path_mtu != '0 && modify.path_mtu <= MTU_BYTES_4096
                     && packet_bytes <= port_mtu;

  // What decides how messages are sent is changed behind the last of them (rocev2 5.2). The host
  // asks again: a drain may last as long as its retries.
  localparam logic [31:0] ATTR_SENDING = QP_ATTR_PORT | QP_ATTR_AV | QP_ATTR_PKEY_INDEX
                                       | QP_ATTR_TIMEOUT | QP_ATTR_RETRY_CNT | QP_ATTR_RNR_RETRY
                                       | QP_ATTR_MAX_RD_ATOMIC;
  assign sending = qp.state == QP_STATE_SQD && next_state == QP_STATE_SQD
                && (given & ATTR_SENDING) != '0 && !qp_drained;
  assign reads_ok = ((given & QP_ATTR_MAX_RD_ATOMIC) == '0
                     || 32'(modify.max_rd_atomic) <= MAX_READS)
                 && ((given & QP_ATTR_MAX_DEST_RD_ATOMIC) == '0
                     || 32'(modify.max_dest_rd_atomic) <= MAX_READS);

  // ------------------------------------------------------------------ keys

  logic [64:0] key_end;
  logic [63:0] key_pages;
  logic        remote_rights;
  logic        writes_need_local;
  logic        key_used;

  assign key_end           = {1'b0, key.base} + {1'b0, key.length};
  assign key_pages         = key.pages;
  assign remote_rights     = (key.access & (ACCESS_REMOTE_WRITE | ACCESS_REMOTE_READ
                                            | ACCESS_REMOTE_ATOMIC | ACCESS_MW_BIND)) != '0;
  assign writes_need_local = (key.access & (ACCESS_REMOTE_WRITE | ACCESS_REMOTE_ATOMIC)) != '0
                          && (key.access & ACCESS_LOCAL_WRITE) == '0;
  assign key_used          = entry.kind != KEY_KIND_NONE;

  // ------------------------------------------------------------------ verdict

  logic eqn_known;
  logic cqn_known;
  logic srqn_known;
  logic qpn_known;
  logic index_known;

  assign eqn_known   = cmd.number < 24'(EQ_COUNT);
  assign cqn_known   = cmd.number < 24'(CQ_COUNT);
  assign srqn_known  = cmd.number < 24'(SRQ_COUNT);
  assign qpn_known   = cmd.number < 24'(QP_COUNT);
  assign index_known = cmd.number < 24'(KEY_COUNT);

  logic [63:0] sq_base;
  logic [63:0] rq_base;
  assign sq_base = create.sq_base;
  assign rq_base = create.rq_base;

  always_comb begin
    status = ADMIN_STATUS_OK;
    case (cmd.opcode)
      ADMIN_OP_NOP: ;

      ADMIN_OP_CREATE_EQ: begin
        if (!eqn_known)                            status = ADMIN_STATUS_BAD_PARAM_EQN;
        else if (own_exists)                       status = ADMIN_STATUS_IN_USE;
        else if (!ring_sized)                      status = ADMIN_STATUS_BAD_PARAM_SIZE;
        else if (!ring_aligned)                    status = ADMIN_STATUS_BAD_PARAM_ADDRESS;
        else if (32'(queue.vector) >= EQ_COUNT)    status = ADMIN_STATUS_BAD_PARAM_VECTOR;
      end
      ADMIN_OP_MODIFY_EQ, ADMIN_OP_DESTROY_EQ: begin
        if (!eqn_known)                            status = ADMIN_STATUS_BAD_PARAM_EQN;
        else if (!own_exists)                      status = ADMIN_STATUS_NOT_FOUND;
        else if (cmd.opcode == ADMIN_OP_DESTROY_EQ && own_used)
                                                   status = ADMIN_STATUS_BUSY;
      end

      ADMIN_OP_CREATE_CQ: begin
        if (!cqn_known)                            status = ADMIN_STATUS_BAD_PARAM_CQN;
        else if (own_exists)                       status = ADMIN_STATUS_IN_USE;
        else if (!ring_sized)                      status = ADMIN_STATUS_BAD_PARAM_SIZE;
        else if (!ring_aligned)                    status = ADMIN_STATUS_BAD_PARAM_ADDRESS;
        else if (!ref_a_exists)                    status = ADMIN_STATUS_BAD_PARAM_EQN;
      end
      ADMIN_OP_RESIZE_CQ: begin
        if (!cqn_known)                            status = ADMIN_STATUS_BAD_PARAM_CQN;
        else if (!own_exists)                      status = ADMIN_STATUS_NOT_FOUND;
        else if (!ring_sized)                      status = ADMIN_STATUS_BAD_PARAM_SIZE;
        else if (!ring_aligned)                    status = ADMIN_STATUS_BAD_PARAM_ADDRESS;
      end
      ADMIN_OP_QUERY_CQ, ADMIN_OP_DESTROY_CQ: begin
        if (!cqn_known)                            status = ADMIN_STATUS_BAD_PARAM_CQN;
        else if (!own_exists)                      status = ADMIN_STATUS_NOT_FOUND;
        else if (cmd.opcode == ADMIN_OP_DESTROY_CQ && own_used)
                                                   status = ADMIN_STATUS_BUSY;
      end

      ADMIN_OP_CREATE_SRQ: begin
        if (!srqn_known)                           status = ADMIN_STATUS_BAD_PARAM_SRQN;
        else if (own_exists)                       status = ADMIN_STATUS_IN_USE;
        else if (!ring_aligned)                    status = ADMIN_STATUS_BAD_PARAM_ADDRESS;
      end
      ADMIN_OP_MODIFY_SRQ, ADMIN_OP_QUERY_SRQ, ADMIN_OP_DESTROY_SRQ: begin
        if (!srqn_known)                           status = ADMIN_STATUS_BAD_PARAM_SRQN;
        else if (!own_exists)                      status = ADMIN_STATUS_NOT_FOUND;
        else if (cmd.opcode == ADMIN_OP_DESTROY_SRQ && own_used)
                                                   status = ADMIN_STATUS_BUSY;
      end

      ADMIN_OP_CREATE_QP: begin
        if (!qpn_known || cmd.number < 24'd2)      status = ADMIN_STATUS_BAD_PARAM_QPN;
        else if (qp.exists)                        status = ADMIN_STATUS_IN_USE;
        else if (create.qp_type != QP_TYPE_RC)     status = ADMIN_STATUS_BAD_PARAM_TYPE;
        else if (!ref_a_exists || !ref_b_exists)   status = ADMIN_STATUS_BAD_PARAM_CQN;
        else if (create.use_srq && !ref_c_exists)  status = ADMIN_STATUS_BAD_PARAM_SRQN;
        else if (sq_base[5:0] != '0 || (!create.use_srq && rq_base[5:0] != '0))
                                                   status = ADMIN_STATUS_BAD_PARAM_ADDRESS;
        else if (create.use_srq && create.e2e_credits)
                                                   status = ADMIN_STATUS_BAD_PARAM_CREDITS;
      end
      ADMIN_OP_MODIFY_QP: begin
        if (!qpn_known)                            status = ADMIN_STATUS_BAD_PARAM_QPN;
        else if (!qp.exists)                       status = ADMIN_STATUS_NOT_FOUND;
        else if (!allowed)                         status = ADMIN_STATUS_BAD_STATE;
        else if ((required & ~given) != '0 || (given & ~(required | optional)) != '0)
                                                   status = ADMIN_STATUS_BAD_PARAM_MASK;
        else if ((given & QP_ATTR_CUR_STATE) != '0 && modify.cur_state != qp.state)
                                                   status = ADMIN_STATUS_BAD_STATE;
        else if ((given & QP_ATTR_PATH_MTU) != '0 && !mtu_ok)
                                                   status = ADMIN_STATUS_BAD_PARAM_MTU;
        else if (!reads_ok)                        status = ADMIN_STATUS_BAD_PARAM_READS;
        else if ((given & QP_ATTR_PKEY_INDEX) != '0 && !pkey_ok)
                                                   status = ADMIN_STATUS_BAD_PARAM_RESERVED;
        else if (sending)                          status = ADMIN_STATUS_BUSY;
      end
      ADMIN_OP_QUERY_QP, ADMIN_OP_DESTROY_QP: begin
        if (!qpn_known)                            status = ADMIN_STATUS_BAD_PARAM_QPN;
        else if (!qp.exists)                       status = ADMIN_STATUS_NOT_FOUND;
      end

      ADMIN_OP_REGISTER_KEY: begin
        if (!index_known)                          status = ADMIN_STATUS_BAD_PARAM_KEY;
        else if (key_used)                         status = ADMIN_STATUS_IN_USE;
        else if (key.kind == KEY_KIND_PRIVILEGED || key.kind == KEY_KIND_FAST_REG) begin
          if (key.kind == KEY_KIND_PRIVILEGED && remote_rights)
                                                   status = ADMIN_STATUS_BAD_PARAM_ACCESS;
          else if (key.kind == KEY_KIND_FAST_REG && key.length > 64'hFF_FFFF)
                                                   status = ADMIN_STATUS_BAD_PARAM_LENGTH;
        end
        else if (key.kind != KEY_KIND_MR)          status = ADMIN_STATUS_BAD_PARAM_TYPE;
        else if (writes_need_local || (key.access & (ACCESS_MW_BIND | ACCESS_ZERO_BASED)) != '0)
                                                   status = ADMIN_STATUS_BAD_PARAM_ACCESS;
        else if (key.length == '0 || key_end > {1'b1, 64'd0})
                                                   status = ADMIN_STATUS_BAD_PARAM_LENGTH;
        else if (key.page_shift < 5'd12 || key.page_shift > 5'd30)
                                                   status = ADMIN_STATUS_BAD_PARAM_PAGE_SIZE;
        else if (!key.direct && key_pages[2:0] != '0)
                                                   status = ADMIN_STATUS_BAD_PARAM_ADDRESS;
      end
      ADMIN_OP_DEREGISTER_KEY, ADMIN_OP_QUERY_KEY: begin
        if (!index_known)                          status = ADMIN_STATUS_BAD_PARAM_KEY;
        else if (!key_used)                        status = ADMIN_STATUS_NOT_FOUND;
      end

      default: status = ADMIN_STATUS_BAD_OPCODE;
    endcase
    if (cmd_error) status = ADMIN_STATUS_DMA_ERROR;
  end

endmodule
