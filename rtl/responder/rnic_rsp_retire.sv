// rnic_rsp_retire: turns a frame whose data is in memory into its consequences.
//
// RxDone becomes at most one completion, one order to reply, and one error, 3 cycles each, in
// frame order. The first failure of a QP poisons it: later frames have no effect until init,
// and the receive entries they hold complete as flushed. `failed` remembers the entry that
// the failing frame completed, so that nobody completes it a second time. Entries to flush
// wait until the groups before them have retired.
`include "responder.svh"
`include "wire.svh"
`include "codes.svh"

module rnic_rsp_retire #(
  parameter int QP_COUNT = 256,
  parameter int FLUSHES  = 16,
  localparam int QP_W    = $clog2(QP_COUNT)
) (
  input  logic                   clk,
  input  logic                   rst,

  // Frames whose data is in memory
  input  logic [RX_DONE_W-1:0]   s_done_data,
  input  logic                   s_done_valid,
  output logic                   s_done_ready,

  // Entries to complete as flushed
  input  logic [RSP_FLUSH_W-1:0] s_flush_data,
  input  logic                   s_flush_valid,
  output logic                   s_flush_ready,
  output logic                   flushed_en,

  // Whether a QP has failed
  input  logic [QP_W-1:0]        poison_qpn,
  output logic                   poisoned,

  // Consequences
  output logic [CQE_REQ_W-1:0]   m_cqe_data,
  output logic                   m_cqe_valid,
  input  logic                   m_cqe_ready,
  output logic [RSP_REPLY_W-1:0] m_reply_data,
  output logic                   m_reply_valid,
  input  logic                   m_reply_ready,
  output logic [QP_ERROR_W-1:0]  m_error_data,
  output logic                   m_error_valid,
  input  logic                   m_error_ready,

  // Context of a new life
  input  logic [QP_INIT_W-1:0]   init_data,
  input  logic                   init_valid,
  output logic                   init_ready,

  // Groups that retired, and completions made, free running; none waits here
  output logic [15:0]            groups,
  output logic [15:0]            cqes,
  output logic                   cqes_left,

  // Event: a QP in ERR holds no entry of its SRQ any more
  output logic                   reached_en,
  output logic [QP_W-1:0]        reached_qpn
);

  typedef enum logic [1:0] {TAKE, LOAD, ACT} state_e;

  state_e     state_q;
  state_e     state_d;
  logic       taking;
  rx_done_t   done;
  rx_retire_t retire;
  qp_init_t   init;
  logic       init_now;

  assign taking     = state_q == TAKE;
  assign done       = s_done_data;
  assign retire     = done.retire;
  assign init       = init_data;
  assign init_now   = state_q == TAKE && init_valid && (init.op == QP_INIT_OP_CREATE
                   || init.op == QP_INIT_OP_DESTROY || init.op == QP_INIT_OP_RTR);
  assign init_ready = state_q == TAKE;

  // ------------------------------------------------------------------ entries to flush

  logic [RSP_FLUSH_W-1:0] flush_bits;
  rsp_flush_t             flush;
  logic                   flush_valid;
  logic                   flush_due;
  logic                   flush_taken;
  logic [15:0]            ahead;

  stream_fifo #(.DATA_W(RSP_FLUSH_W), .DEPTH(FLUSHES)) u_flushes (
    .clk,
    .rst,
    .s_data  (s_flush_data),
    .s_valid (s_flush_valid),
    .s_ready (s_flush_ready),
    .m_data  (flush_bits),
    .m_valid (flush_valid),
    .m_ready (flush_taken),
    .count   ()
  );

  assign flush     = flush_bits;
  assign ahead     = groups - flush.behind;
  assign flush_due = flush_valid && !ahead[15];

  // ------------------------------------------------------------------ whose turn

  logic            flushing_q;
  logic            begin_flush;
  logic            begin_done;
  logic            idle_done;
  logic            acted;
  logic            room;
  logic            act;
  logic [QP_W-1:0] qpn;

  // A frame without consequences needs no turn, and is not counted.
  assign idle_done   = s_done_valid && retire.kind == RETIRE_KIND_NONE;
  assign begin_flush = state_q == TAKE && !init_valid && flush_due
                    && !(s_done_valid && !idle_done && flushing_q);
  assign begin_done  = state_q == TAKE && !init_valid && !begin_flush && s_done_valid && !idle_done;
  assign qpn         = begin_flush || (flushing_q && state_q != TAKE) ? flush.qpn[QP_W-1:0]
                                                                      : retire.qpn[QP_W-1:0];

  assign act          = state_q == ACT;
  assign acted        = act && room;
  assign s_done_ready = (acted && !flushing_q) || (state_q == TAKE && idle_done);
  assign flush_taken  = acted && flushing_q;
  assign flushed_en   = flush_taken;

  always_comb begin
    state_d = state_q;
    case (state_q)
      TAKE:    if (begin_flush || begin_done) state_d = LOAD;
      LOAD:    state_d = ACT;
      ACT:     if (room) state_d = TAKE;
      default: state_d = TAKE;
    endcase
  end

  always_ff @(posedge clk) begin
    state_q <= state_d;
    if (begin_flush || begin_done) flushing_q <= begin_flush;
    if (acted && !flushing_q) groups <= groups + 16'd1;
    if (acted && complete)    cqes <= cqes + 16'd1;
    if (rst) begin
      state_q    <= TAKE;
      flushing_q <= 1'b0;
      groups     <= '0;
      cqes       <= '0;
    end
  end

  // ------------------------------------------------------------------ context

  logic [QP_COUNT-1:0] poison_q;
  logic                poison_now_q;
  logic [16:0]         failed;       // valid, index of the entry
  logic [16:0]         failed_q;
  logic                fails;
  logic                forgotten;    // a repeated read whose key is gone
  logic                ends;

  assign poisoned = poison_q[poison_qpn];

  ram_1w1r #(.DATA_W(17), .DEPTH(QP_COUNT)) u_failed (
    .clk,
    .wr_en   (init_now || (acted && ends)),
    .wr_addr (init_now ? init.qpn[QP_W-1:0] : qpn),
    .wr_data (init_now ? 17'd0 : {retire.holds_wqe || retire.cqe, retire.wqe_index}),
    .rd_en   (taking),
    .rd_addr (qpn),
    .rd_data (failed)
  );

  // ------------------------------------------------------------------ consequences

  logic       inv_fails;
  logic       complete;
  logic       is_failed;
  logic [7:0] fault_status;
  logic [7:0] fault_syndrome;
  logic [7:0] status;
  logic [7:0] syndrome;

  always_ff @(posedge clk) begin
    if (state_q == LOAD) begin
      poison_now_q <= poison_q[qpn];
      failed_q     <= failed;
    end
    if (acted && ends) poison_q[qpn] <= 1'b1;
    if (init_now)      poison_q[init.qpn[QP_W-1:0]] <= 1'b0;
    if (rst) poison_q <= '0;
  end

  // A remote token that fails in a SEND is the one it wanted invalidated (rocev2 4.7).
  assign inv_fails = done.fault == RX_FAULT_KEY
                  && (retire.opcode == OPCODE_RC_SEND_LAST_INV
                   || retire.opcode == OPCODE_RC_SEND_ONLY_INV);
  assign fails     = done.fault != RX_FAULT_NONE;
  // It was accepted in its time, and is answered by now or about to be: the key, which was good
  // then, may be taken back as soon as the reader has its data, and a repeat come later than that.
  // Nothing is said (rocev2 4.6). A repeated atomic asks for no memory.
  assign forgotten = done.fault == RX_FAULT_KEY && retire.reply && retire.kind == RETIRE_KIND_READ;
  assign ends      = !flushing_q && !poison_now_q && ((fails && !forgotten) || retire.fatal);
  // Entries that no frame took are new, though one of them has the same index a round later.
  assign is_failed = failed_q == {1'b1, flushing_q ? flush.index : retire.wqe_index}
                  && (!flushing_q || flush.hand);

  assign fault_status   = done.fault == RX_FAULT_BUS       ? CQE_STATUS_LOC_QP_OP_ERR
                        : done.fault == RX_FAULT_LOCAL_KEY ? CQE_STATUS_LOC_PROT_ERR
                        : inv_fails ? CQE_STATUS_REM_INV_REQ_ERR : CQE_STATUS_REM_ACCESS_ERR;
  assign fault_syndrome = done.fault != RX_FAULT_KEY ? SYNDROME_NAK_REMOTE_OPERATION
                        : inv_fails ? retire.syndrome : SYNDROME_NAK_REMOTE_ACCESS;

  assign status   = fails ? fault_status : retire.cqe_status;
  assign syndrome = fails ? fault_syndrome : retire.syndrome;

  // One completion for every entry taken: by its message, by what failed, or flushed.
  assign complete = flushing_q   ? !flush.nothing && !is_failed
                  : poison_now_q ? retire.cqe && !is_failed
                                 : retire.cqe || (fails && retire.holds_wqe);

  // The turn of the WQE in hand: what was taken before has completed.
  assign reached_en  = flush_taken && flush.reached;
  assign reached_qpn = flush.qpn[QP_W-1:0];

  cqe_req_t   cqe;
  rsp_reply_t reply;
  qp_error_t  error;

  always_comb begin
    cqe           = '0;
    cqe.cqn       = retire.cqn;
    cqe.wr_id     = retire.wr_id;
    cqe.wqe_index = retire.wqe_index;
    cqe.qpn       = retire.qpn;
    cqe.opcode    = retire.cqe_op;
    cqe.status    = status;
    if (ends) cqe.syndrome = syndrome;
    else begin
      cqe.byte_len = retire.byte_len;
      cqe.imm      = retire.imm;
      cqe.flags    = retire.cqe_flags;
    end
    if (flushing_q || poison_now_q) begin
      cqe.status   = CQE_STATUS_WR_FLUSH_ERR;
      cqe.byte_len = '0;
      cqe.imm      = '0;
      cqe.flags    = '0;
      cqe.syndrome = '0;
    end
    if (flushing_q) begin
      cqe.cqn       = flush.cqn;
      cqe.wr_id     = flush.wr_id;
      cqe.wqe_index = flush.index;
      cqe.qpn       = flush.qpn;
      cqe.opcode    = CQE_OP_RECV;
    end
  end

  always_comb begin
    reply          = '0;
    reply.again    = retire.reply;
    reply.place    = retire.wqe_index[3:0];
    reply.qpn      = retire.qpn;
    reply.psn      = retire.psn;
    reply.syndrome = syndrome;
    reply.msn      = fails ? retire.prior_msn : retire.msn;
    reply.value    = retire.kind == RETIRE_KIND_ATOMIC ? done.original : retire.reth_va;
    reply.rkey     = retire.reth_rkey;
    reply.length   = retire.reth_len;
    if (forgotten)                               reply.kind = RSP_REPLY_SETTLE;
    else if (fails)                              reply.kind = RSP_REPLY_ACK;
    else if (retire.kind == RETIRE_KIND_READ)    reply.kind = RSP_REPLY_READ;
    else if (retire.kind == RETIRE_KIND_ATOMIC)  reply.kind = RSP_REPLY_ATOMIC;
    else if (!retire.reply)                      reply.kind = RSP_REPLY_SETTLE;
    else                                         reply.kind = RSP_REPLY_ACK;
  end

  // The event is for errors that no completion tells.
  always_comb begin
    error        = '0;
    error.qpn    = retire.qpn;
    error.status = complete ? CQE_STATUS_WR_FLUSH_ERR : status;
    error.remote = 1'b1;
  end

  assign cqes_left = !m_cqe_valid;

  logic want_reply;
  logic cqe_ready;
  logic reply_ready;
  logic error_ready;

  assign want_reply = !flushing_q && !poison_now_q
                   && (retire.reply || (fails && !inv_fails) || (!fails && retire.read_last)
                       || (!fails && (retire.kind == RETIRE_KIND_READ
                                      || retire.kind == RETIRE_KIND_ATOMIC)));
  assign room       = cqe_ready && reply_ready && error_ready;

  stream_fifo #(.DATA_W(CQE_REQ_W), .DEPTH(4)) u_cqes (
    .clk,
    .rst,
    .s_data  (cqe),
    .s_valid (acted && complete),
    .s_ready (cqe_ready),
    .m_data  (m_cqe_data),
    .m_valid (m_cqe_valid),
    .m_ready (m_cqe_ready),
    .count   ()
  );

  stream_fifo #(.DATA_W(RSP_REPLY_W), .DEPTH(16)) u_replies (
    .clk,
    .rst,
    .s_data  (reply),
    .s_valid (acted && want_reply),
    .s_ready (reply_ready),
    .m_data  (m_reply_data),
    .m_valid (m_reply_valid),
    .m_ready (m_reply_ready),
    .count   ()
  );

  stream_fifo #(.DATA_W(QP_ERROR_W), .DEPTH(4)) u_errors (
    .clk,
    .rst,
    .s_data  (error),
    .s_valid (acted && ends),
    .s_ready (error_ready),
    .m_data  (m_error_data),
    .m_valid (m_error_valid),
    .m_ready (m_error_ready),
    .count   ()
  );

endmodule
