// rnic_tx_segment_decide: what becomes of a block: dropped, collected, parked, or sent on its way.
//
// Keeps the send context of every QP. A block whose index is not the one wanted is stale and is
// dropped, so blocks may be fetched twice. The blocks of a long entry are collected (one entry at a
// time; when another QP's block comes between, the entry is given back and fetched again). A
// whole entry becomes a job for the walker, its context is written in the same cycle: message and
// read counts, next PSN, next block wanted. One decision per cycle.
//
// Going back is a change of the context: to the completer's oldest message (`rewind`), or to the
// message that the walker stopped in (`s_yield`); the blocks are fetched again. What was started
// before is sent as it was, without looking at limits and fences; local operations are not done
// twice; what has been acknowledged meanwhile is passed over.
//
// Order of what is asked of an entry's head: stale, going back, state, window, RNR wait and rate
// limit, form (a bad one stops the QP until it is initialised), fence, read limit, credits, PSN
// window. A QP that is stopped or in ERR gets everything back flushed: entries whose head is well
// framed; other blocks are skipped.
`include "codes.svh"
`include "layouts.svh"
`include "streams.svh"
`include "segment.svh"

module rnic_tx_segment_decide #(
  parameter int QP_COUNT  = 256,
  parameter int MSG_DEPTH = 256
) (
  input  logic                   clk,
  input  logic                   rst,

  // Blocks that were looked at; the QP of the one that is first in the coming cycle
  input  logic [SEG_BLOCK_W-1:0] s_block_data,
  input  logic                   s_block_valid,
  output logic                   s_block_ready,
  input  logic [15:0]            s_next_qpn,

  // Jobs; their blocks go to the walker's bank, and to the slot of the inline buffer
  output logic [SEG_JOB_W-1:0]   m_job_data,
  output logic                   m_job_valid,
  input  logic                   m_job_ready,
  input  logic [15:0]            busy_qpn,
  input  logic                   busy,
  input  logic [SEG_YIELD_W-1:0] s_yield_data,
  input  logic                   s_yield_valid,
  output logic                   s_yield_ready,
  output logic                   line_write_en,
  output logic                   line_write_bank,
  output logic [1:0]             line_write_number,
  output logic [511:0]           line_write_data,
  input  logic [5:0]             inline_slot,
  input  logic                   inline_slot_valid,
  output logic                   inline_slot_ready,
  output logic                   inline_write_en,
  output logic [5:0]             inline_write_slot,
  output logic [1:0]             inline_write_block,
  output logic [511:0]           inline_write_data,

  // Back to the queue
  output logic [SQ_PARK_W-1:0]   m_park_data,
  output logic                   m_park_valid,
  input  logic                   m_park_ready,

  // Next PSN of a QP, two cycles after its number
  input  logic [15:0]            psn_rd_qpn,
  output logic [23:0]            psn_rd_data,

  // Epochs of QPs, as they change
  output logic                   epoch_en,
  output logic [15:0]            epoch_qpn,
  output logic [2:0]             epoch,

  // Context of a new life
  input  logic [QP_INIT_W-1:0]   init_data,
  input  logic                   init_valid,
  output logic                   init_ready,

  // Events
  output logic                   ev_wqe_en
);

  seg_block_t block;
  sq_wqe_t    wqe;
  seg_yield_t yield;

  assign block = s_block_data;
  assign wqe   = block.data;
  assign yield = s_yield_data;

  logic                     init_zero;
  logic [15:0]              init_qpn;
  logic                     decided;       // the context of the QP at hand changes
  logic                     take_yield;
  logic [SEG_CONTEXT_W-1:0] ctx_bits;
  seg_context_t             ctx;
  seg_context_t             ctx_d;
  logic [15:0]              wr_qpn;
  logic [SEG_CONTEXT_W-1:0] wr_ctx;

  assign init_ready = 1'b1;
  assign ctx        = ctx_bits;
  assign wr_qpn     = take_yield ? yield.qpn : block.qpn;
  assign wr_ctx     = take_yield ? yield.context_back : ctx_d;

  rnic_tx_segment_context #(
    .QP_COUNT (QP_COUNT)
  ) u_context (
    .clk,
    .s_next_qpn,
    .context_read  (ctx_bits),
    .write_en      (decided || take_yield),
    .write_qpn     (wr_qpn),
    .write_context (wr_ctx),
    .psn_rd_qpn,
    .psn_rd_data,
    .epoch_en,
    .epoch_qpn,
    .epoch,
    .init_data,
    .init_valid,
    .init_zero,
    .init_qpn
  );

  // The entry that is being collected

  logic [1:0]   held_q;        // blocks so far; 0 for none
  logic [511:0] held_head_q;
  logic [15:0]  held_qpn_q;
  logic [15:0]  held_index_q;
  logic         held_error_q;
  logic         held_inline_q;
  logic         held_read_q;
  logic [23:0]  held_psns_q;
  logic [15:0]  held_pd_q;
  logic [2:0]   held_mtu_q;
  logic [3:0]   held_left_q;   // SGEs to come
  logic [35:0]  held_sum_q;    // bytes of those that came
  logic [15:0]  held_started_q;
  sq_wqe_t      held_wqe;
  logic         collecting;
  logic         follows;
  logic         completes;
  logic [35:0]  sum;

  assign held_wqe   = held_head_q;
  assign collecting = held_q != '0;
  assign follows    = collecting && block.qpn == held_qpn_q
                   && block.index == held_index_q + 16'(held_q);
  assign completes  = {2'd0, held_q} + 4'd1 == held_wqe.blocks;

  always_comb begin
    case (held_left_q)
      4'd0:    sum = held_sum_q;
      4'd1:    sum = held_sum_q + 36'(block.sum_1);
      4'd2:    sum = held_sum_q + 36'(block.sum_2);
      4'd3:    sum = held_sum_q + 36'(block.sum_3);
      default: sum = held_sum_q + 36'(block.sum_4);
    endcase
  end

  // Credits (rocev2 3.7): a message that takes a receive WQE starts when the peer has said to have
  // one, or when nothing else is outstanding. That one is the probe: whatever the peer counted, the
  // queue pair goes on. With others on their way their answers may bring credits; a probe beside
  // them would but meet an RNR NAK.

  logic [7:0]  opcode;
  logic        takes_wqe;   // a receive WQE of the peer
  logic [23:0] ahead;       // messages that may be started, by what was known
  logic [23:0] ahead_by;    // by what is published
  logic [23:0] newer_by;
  logic        newer;       // what is published says more
  logic [23:0] lsn;
  logic        no_credit;

  assign opcode    = collecting ? held_wqe.opcode : wqe.opcode;
  assign takes_wqe = opcode == WR_OP_SEND || opcode == WR_OP_SEND_IMM || opcode == WR_OP_SEND_INV
                  || opcode == WR_OP_WRITE_IMM;
  assign ahead     = ctx.lsn - ctx.ssn;
  assign ahead_by  = block.limit - ctx.ssn;
  assign newer_by  = ctx.lsn - block.limit;
  assign newer     = !ctx.limited || newer_by[23];
  assign lsn       = newer ? block.limit : ctx.lsn;
  assign no_credit = block.limited && ahead_by[23] && (!ctx.limited || ahead[23]);

  // Limits

  logic [15:0] msgs_out;
  logic [15:0] reads_out;
  logic [7:0]  flags;
  logic        full;
  logic        waits;
  logic [24:0] run;

  assign flags     = wqe.flags;
  assign msgs_out  = ctx.msgs - block.msg_tail;
  assign reads_out = ctx.reads - block.reads_done;
  assign full      = msgs_out >= 16'(MSG_DEPTH);
  assign run       = {1'b0, msgs_out == '0 ? 24'd0 : ctx.run} + {1'b0, block.psns};
  // LOCAL_INV is fenced against everything (rocev2 3.6). The run of PSNs may only end when nothing
  // is outstanding: once in eight million packets the QP drains.
  assign waits     = (flags[WQE_FLAG_FENCE_B] && reads_out != '0)
                  || (wqe.opcode == WR_OP_LOCAL_INV && msgs_out != '0)
                  || (block.is_read && reads_out >= 16'(block.max_reads))
                  || (takes_wqe && no_credit && msgs_out != '0)
                  || run >= 25'h0800000;

  // Going back: which messages were started before, and what of the next one is done

  logic        replay;
  logic        passed;       // it has been acknowledged meanwhile
  logic        past_stop;    // behind the bad entry nothing was ever sent
  logic [15:0] passed_by;
  logic [15:0] stop_by;
  logic [23:0] skip;
  logic [24:0] skip_left;
  logic        done_before;
  logic        same_busy;

  assign replay      = ctx.msgs != ctx.high_msgs;
  assign passed_by   = ctx.msgs - block.msg_tail;
  assign passed      = replay && passed_by[15];
  assign stop_by     = ctx.msgs - ctx.stop_msg;
  assign past_stop   = replay && (block.flush || (ctx.stopped && !stop_by[15]));
  assign skip        = ctx.resuming ? ctx.resume - ctx.psn : 24'd0;
  assign skip_left   = {1'b0, block.psns} - {1'b0, skip};
  assign done_before = block.is_local || skip_left[24] || skip_left == '0;
  assign same_busy   = busy && busy_qpn == block.qpn;

  // The verdict

  typedef enum logic [3:0] {
    WAIT, DROP, SKIP, PARK, ABANDON, COLLECT, JOB, REWIND, PASS, TO_TAIL, TO_HIGH
  } verdict_e;

  verdict_e    verdict;
  logic        park_sleep;
  logic        park_paced;
  logic        whole;
  logic [2:0]  job_kind;
  logic [7:0]  job_status;
  logic        sum_ok;
  logic [31:0] wanted_sum;
  logic        needs_sum;
  logic        slot_valid_q;

  // Inline data and local operations have no SGEs.
  assign needs_sum  = collecting ? !held_inline_q : !block.is_inline && !block.is_local;
  assign wanted_sum = collecting ? held_wqe.length : wqe.length;
  assign sum_ok     = !needs_sum || (collecting ? sum : {2'd0, block.sum_head}) == {4'd0, wanted_sum};

  logic [2:0] good_kind;

  always_comb begin
    case (opcode)
      WR_OP_WRITE, WR_OP_WRITE_IMM:                  good_kind = MSG_KIND_WRITE;
      WR_OP_READ:                                    good_kind = MSG_KIND_READ;
      WR_OP_CMP_SWAP, WR_OP_FETCH_ADD:               good_kind = MSG_KIND_ATOMIC;
      WR_OP_LOCAL_INV, WR_OP_FAST_REG, WR_OP_NOP:    good_kind = MSG_KIND_LOCAL;
      default:                                       good_kind = MSG_KIND_SEND;
    endcase
  end

  always_comb begin
    verdict    = WAIT;
    park_sleep = 1'b1;
    park_paced = 1'b0;
    whole      = 1'b0;
    job_kind   = good_kind;
    job_status = CQE_STATUS_SUCCESS;

    if (!s_block_valid || init_valid || s_yield_valid) begin
      verdict = WAIT;
    end else if (block.rewind) begin
      // The walker first gives up what it is sending of this QP.
      verdict = REWIND;
      if (!block.alive || block.flush) verdict = DROP;
      else if (same_busy)              verdict = WAIT;
    end else if (follows && (past_stop || passed)) begin
      // Since its head was looked at the host may have had the entry back.
      if (!same_busy && past_stop) verdict = TO_HIGH;
      else if (!same_busy)         verdict = TO_TAIL;
    end else if (follows) begin
      verdict = COLLECT;
      if (completes) begin
        verdict = JOB;
        whole   = 1'b1;
      end
    end else if (collecting) begin
      verdict = ABANDON;
    end else if (!block.alive || block.index != ctx.want) begin
      verdict = DROP;
    end else if (past_stop) begin
      if (!same_busy) verdict = TO_HIGH;
    end else if (passed) begin
      if (!same_busy) verdict = TO_TAIL;
    end else if (!replay && (block.flush || ctx.stopped)) begin
      job_kind = MSG_KIND_FLUSH;
      verdict  = JOB;
      if (full)          verdict = PARK;
      if (!block.framed) verdict = SKIP;
    end else if (!replay && block.drain) begin
      // No sleep: the scheduler looks at the state itself.
      verdict    = PARK;
      park_sleep = 1'b0;
    end else if ((!replay && full) || block.rnr_wait) begin
      verdict = PARK;
    end else if (block.held) begin
      verdict    = PARK;
      park_sleep = 1'b0;
      park_paced = 1'b1;
    end else if (block.bad_op || block.bad_len) begin
      verdict    = JOB;
      job_kind   = MSG_KIND_BAD;
      job_status = block.bad_op ? CQE_STATUS_LOC_QP_OP_ERR : CQE_STATUS_LOC_LEN_ERR;
    end else if (replay && done_before) begin
      if (!same_busy) verdict = PASS;
    end else if (!replay && waits) begin
      verdict = PARK;
    end else if (block.is_inline && !slot_valid_q) begin
      verdict = WAIT;
    end else if (wqe.blocks != 4'd1) begin
      verdict = COLLECT;
    end else begin
      verdict = JOB;
      whole   = 1'b1;
    end

    if (whole && (held_error_q || block.error)) begin
      job_kind   = MSG_KIND_BAD;
      job_status = CQE_STATUS_LOC_QP_OP_ERR;
    end else if (whole && !sum_ok) begin
      job_kind   = MSG_KIND_BAD;
      job_status = CQE_STATUS_LOC_LEN_ERR;
    end
  end

  // Act

  logic park_free;
  logic act;
  logic pop;
  logic issue;

  assign park_free     = !m_park_valid || m_park_ready;
  assign m_job_valid   = verdict == JOB;
  assign issue         = m_job_valid && m_job_ready;
  assign s_yield_ready = park_free && !init_valid;
  assign take_yield    = s_yield_valid && s_yield_ready;

  always_comb begin
    case (verdict)
      WAIT:          act = 1'b0;
      JOB:           act = m_job_ready;
      PARK, ABANDON, REWIND: act = park_free;
      default:       act = 1'b1;
    endcase
  end

  assign pop           = act && verdict != ABANDON;
  assign s_block_ready = pop;
  assign decided       = issue || (act && (verdict == SKIP || verdict == PASS || verdict == REWIND
                                           || verdict == TO_TAIL || verdict == TO_HIGH));
  assign ev_wqe_en     = issue;

  // How many blocks the entry takes: all it says if that can be believed

  logic [2:0]  blocks;
  logic        moves;
  logic        job_read;
  logic [23:0] job_psns;
  logic [15:0] sq_next;
  logic [23:0] sent_by;

  assign blocks   = collecting ? held_wqe.blocks[2:0] : block.framed ? wqe.blocks[2:0] : 3'd1;
  assign moves    = job_kind != MSG_KIND_BAD && job_kind != MSG_KIND_FLUSH;
  assign job_read = moves && (collecting ? held_read_q : block.is_read);
  assign job_psns = !moves ? '0 : collecting ? held_psns_q : block.psns;
  assign sq_next  = ctx.want + 16'(blocks);
  assign sent_by  = ctx.psn + job_psns - ctx.sent;

  always_comb begin
    ctx_d          = ctx;
    ctx_d.want     = sq_next;
    if (verdict == PASS) begin
      ctx_d.msgs  = ctx.msgs + 1'b1;
      ctx_d.psn   = ctx.psn + block.psns;
      ctx_d.reads = ctx.reads + 16'(block.is_read);
    end
    if (verdict == JOB) begin
      ctx_d.resuming = 1'b0;
      ctx_d.psn      = ctx.psn + job_psns;
      ctx_d.msgs     = ctx.msgs + 1'b1;
      ctx_d.reads    = ctx.reads + 16'(job_read);
      if (!sent_by[23]) ctx_d.sent = ctx.psn + job_psns;
      if (!replay) ctx_d.run = (msgs_out == '0 ? 24'd0 : ctx.run) + job_psns;
      if (!replay) begin
        ctx_d.limited = block.limited;
        ctx_d.lsn     = lsn + 24'(!takes_wqe && job_kind != MSG_KIND_LOCAL);
        ctx_d.ssn     = ctx.ssn + 24'(job_kind != MSG_KIND_LOCAL);
      end
      if (job_kind == MSG_KIND_BAD) begin
        ctx_d.stopped  = 1'b1;
        ctx_d.stop_msg = ctx.msgs;
      end
    end
    if (verdict == REWIND || verdict == TO_TAIL) begin
      ctx_d.resuming = 1'b1;
      ctx_d.resume   = block.una;
      ctx_d.reads    = block.reads_done;
      ctx_d.msgs     = block.msg_tail;
      ctx_d.want     = block.sq_tail;
      ctx_d.psn      = block.psn;
    end
    // What is still on its way out will be sent again.
    if (verdict == REWIND) ctx_d.epoch = ctx.epoch + 3'd1;
    if (verdict == TO_HIGH) begin
      ctx_d.resuming = 1'b0;
      ctx_d.reads    = ctx.high_reads;
      ctx_d.msgs     = ctx.high_msgs;
      ctx_d.want     = ctx.high_want;
      ctx_d.psn      = ctx.high_psn;
    end
    // A new message, or a flushed QP's block that is skipped. (Icarus does not come to rest when the
    // fields of the next context are read here.)
    if (!replay && (verdict == JOB || verdict == SKIP)) begin
      ctx_d.high_want = sq_next;
      if (verdict == JOB) begin
        ctx_d.high_reads = ctx.reads + 16'(job_read);
        ctx_d.high_msgs  = ctx.msgs + 1'b1;
        ctx_d.high_psn   = ctx.psn + job_psns;
      end
    end
  end

  // Job

  logic [511:0] job_head;
  logic [15:0]  job_pd;
  logic [2:0]   job_mtu;
  logic         job_oldest;
  logic [23:0]  job_skip;
  logic     bank_q;
  logic [5:0] slot_q;
  logic     job_inline;

  assign job_inline = moves && (collecting ? held_inline_q : block.is_inline);

  assign job_head   = collecting ? held_head_q : block.data;
  assign job_pd     = collecting ? held_pd_q : block.pd;
  assign job_mtu    = collecting ? held_mtu_q : block.path_mtu;
  assign job_oldest = ctx.msgs == block.msg_tail;
  assign job_skip   = moves ? skip : '0;

  // A concatenation, because Icarus loops on a record that is put together of other records.
  assign m_job_data = {
    block.qpn, job_kind, job_status, job_head, bank_q, job_inline, slot_q,
    ctx.msgs, 4'(ctx.reads), ctx.psn, job_psns, ctx.want, sq_next, job_pd, job_mtu,
    replay, job_oldest, job_skip, ctx.sent, ctx_d
  };

  assign line_write_en     = pop;
  assign line_write_bank   = bank_q;
  assign line_write_number = held_q;
  assign line_write_data   = block.data;

  assign inline_write_en    = pop && slot_valid_q && (collecting ? held_inline_q : block.is_inline);
  assign inline_write_slot  = slot_q;
  assign inline_write_block = held_q;
  assign inline_write_data  = block.data;
  assign inline_slot_ready  = !slot_valid_q;

  always_ff @(posedge clk) begin
    if (inline_slot_valid && inline_slot_ready) slot_q <= inline_slot;
    // A slot that was written for nothing is kept for the next entry.
    slot_valid_q <= slot_valid_q ? !(issue && job_inline) : inline_slot_valid;
    if (issue) bank_q <= !bank_q;
    if (rst) begin
      slot_valid_q <= 1'b0;
      bank_q       <= 1'b0;
    end
  end

  always_ff @(posedge clk) begin
    if (act && verdict == COLLECT && !collecting) begin
      held_head_q   <= block.data;
      held_qpn_q    <= block.qpn;
      held_index_q  <= block.index;
      held_error_q  <= 1'b0;
      held_inline_q <= block.is_inline;
      held_read_q   <= block.is_read;
      held_psns_q   <= block.psns;
      held_pd_q     <= block.pd;
      held_mtu_q    <= block.path_mtu;
      held_left_q   <= wqe.num_sge < 4'd2 ? '0 : wqe.num_sge - 4'd2;
      held_sum_q    <= {2'd0, block.sum_head};
      held_started_q <= ctx.high_want;
    end
    if (act && follows) begin
      held_error_q <= held_error_q || block.error;
      held_left_q  <= held_left_q < 4'd4 ? '0 : held_left_q - 4'd4;
      held_sum_q   <= sum;
    end
    if (act && verdict == COLLECT) held_q <= held_q + 1'b1;
    if (act && (verdict == JOB || verdict == ABANDON)) held_q <= '0;
    if (act && (verdict == TO_TAIL || verdict == TO_HIGH)) held_q <= '0;
    // The old life's entry must not be given back in the new one; one of a QP that goes back will
    // be fetched again.
    if (init_zero && init_qpn == held_qpn_q) held_q <= '0;
    if (take_yield && yield.qpn == held_qpn_q) held_q <= '0;
    if (act && verdict == REWIND && block.qpn == held_qpn_q) held_q <= '0;
    if (issue) held_error_q <= 1'b0;
    if (rst) begin
      held_q       <= '0;
      held_error_q <= 1'b0;
    end
  end

  // Give back

  sq_park_t     park_d;
  seg_context_t back;

  assign back = yield.context_back;

  logic [SQ_PARK_W-1:0] park_q;

  always_comb begin
    park_d.qpn     = block.qpn;
    park_d.index   = block.index;
    park_d.park    = verdict == PARK && park_sleep;
    park_d.paced   = verdict == PARK && park_paced;
    park_d.seen    = block.count;
    park_d.started = ctx.high_want;
    if (verdict == REWIND) park_d.index = block.sq_tail;
    if (verdict == ABANDON) begin
      park_d.qpn     = held_qpn_q;
      park_d.index   = held_index_q;
      park_d.started = held_started_q;
    end
    if (take_yield) begin
      park_d.qpn     = yield.qpn;
      park_d.index   = back.want;
      park_d.park    = 1'b0;
      park_d.paced   = yield.paced;
      park_d.seen    = yield.count;
      park_d.started = back.high_want;
    end
  end

  assign m_park_data = park_q;

  always_ff @(posedge clk) begin
    if (park_free) park_q <= park_d;
    m_park_valid <= take_yield
                 || (act && (verdict == PARK || verdict == ABANDON || verdict == REWIND))
                 || (m_park_valid && !m_park_ready);
    if (rst) m_park_valid <= 1'b0;
  end

endmodule
