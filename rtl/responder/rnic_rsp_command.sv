// rnic_rsp_command: what a judged request packet does, as the command for the stages behind.
//
// Combinational. `promised` says that the command will end in an order for reply.
`include "responder.svh"
`include "wire.svh"
`include "codes.svh"

module rnic_rsp_command (
  // The packet, its QP and the verdict
  input  logic [RX_HEADER_W-1:0]   hdr_data,
  input  logic [QP_CONFIG_W-1:0]   cfg_data,
  input  logic [RSP_VERDICT_W-1:0] verdict,

  // Context before it
  input  logic [23:0]              epsn,
  input  logic [23:0]              msn,
  input  logic                     nak_sent,
  input  logic [63:0]              write_va,
  input  logic [31:0]              write_rkey,
  input  logic [31:0]              write_len,
  input  logic [3:0]               place,      // in the resource table
  input  logic [15:0]              index,      // receive entry to claim
  input  logic [15:0]              entries,    // receive entries that nobody has claimed

  // Command
  output logic [RSP_CMD_W-1:0]     cmd,
  output logic                     promised
);

  rx_header_t   hdr;
  qp_config_t   cfg;
  rsp_verdict_t does;
  opcode_info_t info;
  rx_retire_t   retire;
  logic         is_send;
  logic         is_write;
  logic         is_read;
  logic         is_atomic;
  logic         is_table;
  logic         starts;
  logic         ends;
  logic         claims;
  logic [23:0]  msn_d;
  logic [15:0]  left;          // of them, behind this packet
  logic [7:0]   ack_syndrome;
  logic [7:0]   recv_op;
  logic [7:0]   recv_flags;

  assign hdr       = hdr_data;
  assign cfg       = cfg_data;
  assign does      = verdict;
  assign info      = opcode_info(hdr.opcode);
  assign is_send   = info.kind == PACKET_KIND_SEND;
  assign is_write  = info.kind == PACKET_KIND_WRITE;
  assign is_read   = info.kind == PACKET_KIND_READ;
  assign is_atomic = info.kind == PACKET_KIND_ATOMIC;
  assign is_table  = is_read || is_atomic;
  assign starts    = info.first || info.only;
  assign ends      = info.last || info.only;
  assign msn_d     = ends ? msn + 24'd1 : msn;

  assign recv_op = info.ieth   ? CQE_OP_RECV_INV
                 : !info.immdt ? CQE_OP_RECV
                 : is_write    ? CQE_OP_RECV_WRITE_IMM : CQE_OP_RECV_IMM;

  assign recv_flags = (hdr.solicited ? CQE_FLAG_SOLICITED : 8'd0)
                    | (info.immdt ? CQE_FLAG_IMMEDIATE : 8'd0)
                    | (info.ieth ? CQE_FLAG_INVALIDATED : 8'd0);

  // Credits and MSN of an answer are of one moment, so both are taken here.
  assign claims       = info.takes_wqe && (does.good || does.fatal_length);
  assign left         = entries - 16'(claims);
  assign ack_syndrome = cfg.e2e_credits && !cfg.use_srq ? SYNDROME_ACK | 8'(aeth_credit_code(left))
                                                        : SYNDROME_ACK_NO_CREDITS;

  always_comb begin
    retire            = '0;
    retire.kind       = RETIRE_KIND_NONE;
    retire.qpn        = hdr.qpn[15:0];
    retire.psn        = hdr.psn;
    retire.opcode     = hdr.opcode;
    retire.syndrome   = ack_syndrome;
    retire.msn        = msn;
    retire.prior_msn  = msn;
    retire.cqe_status = CQE_STATUS_SUCCESS;
    retire.cqe_op     = recv_op;
    retire.cqn        = cfg.recv_cq;
    retire.imm        = hdr.imm;
    retire.reth_va    = hdr.reth_va;
    retire.reth_rkey  = hdr.reth_rkey;
    retire.reth_len   = hdr.reth_len;
    if (does.again) begin
      // `reply` tells a repeated one from a new one.
      retire.kind      = is_read ? RETIRE_KIND_READ : RETIRE_KIND_ATOMIC;
      retire.reply     = 1'b1;
      retire.wqe_index = {12'd0, place};
    end
    if (does.repeated && hdr.ack_req && (is_send || is_write)) begin
      retire.kind  = RETIRE_KIND_ACK;
      retire.reply = 1'b1;
      retire.psn   = epsn - 24'd1;
    end
    if (does.out_of_order && !nak_sent) begin
      retire.kind     = RETIRE_KIND_ACK;
      retire.reply    = 1'b1;
      retire.psn      = epsn;
      retire.syndrome = SYNDROME_NAK_SEQUENCE;
    end
    if (does.no_entry) begin
      retire.kind     = RETIRE_KIND_ACK;
      retire.reply    = 1'b1;
      retire.syndrome = SYNDROME_RNR_NAK | 8'(cfg.min_rnr_timer);
    end
    if (does.fatal_early || does.fatal_length) begin
      retire.kind       = RETIRE_KIND_ACK;
      retire.reply      = 1'b1;
      retire.syndrome   = SYNDROME_NAK_INVALID_REQUEST;
      retire.fatal      = 1'b1;
      retire.cqe_status = CQE_STATUS_REM_INV_REQ_ERR;
      if (does.fatal_length && is_send) retire.cqe_status = CQE_STATUS_LOC_LEN_ERR;
      if (does.fatal_early)             retire.cqe_op     = CQE_OP_RECV;
    end
    if (does.good) begin
      retire.kind      = is_read ? RETIRE_KIND_READ
                       : is_atomic ? RETIRE_KIND_ATOMIC : RETIRE_KIND_ACK;
      retire.reply     = hdr.ack_req && !is_table;
      retire.read_last = nak_sent && !hdr.ack_req && !is_table;
      retire.wqe_index = {12'd0, place};
      retire.swap      = hdr.swap;
      retire.compare   = hdr.compare;
      retire.msn       = msn_d;
      retire.cqe       = (is_send && ends) || (is_write && info.takes_wqe);
      retire.cqe_flags = recv_flags;
      if (is_write && !starts) begin
        retire.reth_va   = write_va;
        retire.reth_rkey = write_rkey;
        retire.reth_len  = '0;
      end
      retire.byte_len = info.only ? hdr.reth_len : write_len;
    end
  end

  // In the order of rsp_cmd_t.
  assign cmd = {
    retire, RSP_CMD_FRAME, claims, does.good && is_send, does.good && is_write, ends,
    does.good && info.ieth, 1'b0, hdr.payload_len, hdr.payload_off, hdr.payload_beats, cfg.pd,
    cfg.rq_id, index
  };

  assign promised = retire.reply || retire.kind == RETIRE_KIND_READ
                 || retire.kind == RETIRE_KIND_ATOMIC;

endmodule
