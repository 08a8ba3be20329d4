// rnic_cpl_walk: retires send queue messages and posts their completions.
//
// An event is an arrived response, the result of a packet that could not be sent or of a local
// operation, a flush, word of new messages that need no packet, or a timer. For its QP the walk then
// goes from the oldest message on: acknowledged ones succeed, in order; at the one that an error
// names it stops and asks for ERR. The flush that follows, when no received frame can write any
// more, ends that message with its status and flushes all behind it.
//
//   events ─► merge ─► load (context, head, oldest record) ─► walk ─► m_cqe, m_kick, m_error
//             ACKs of one   3 cycles an event                  1 cycle a message, 1 at the end;
//             QP become one                                    another QP's event loads meanwhile
//
// It also decides about trying again (rocev2 3.10 to 3.12). A sequence NAK, a read passed over and a
// timeout send the QP back to the first packet that is not acknowledged and cost a retry; an RNR NAK
// does so, costs an RNR retry, and lets nothing be sent until its timer has run out. Progress
// restores both. What cannot be tried again ends the oldest message. Until the requester has begun
// to send again nothing counts as another loss: a NAK says what is known, and a timeout, which only
// says that the requester's turn has not come, sends back once more for nothing. A local operation
// answers nobody: while it is the oldest, no timeout is one.
//
// A packet that could not be sent ends its message when that is the oldest: unless the peer has
// acknowledged it. Then what failed was sent for nothing, and its memory was no longer there because
// its completion had been seen. The QP is sent back all the same, without counting, because the transmit
// pipeline has dropped what was behind it.
//
// Order: completions of a QP leave in post order; m_kick and the published progress follow the
// CQE into their own queues. How far a QP is gets published with every message, before its CQE
// leaves: from then on the host may use the entry's place again, which nobody may read as old.
// The context of a QP is written by this block alone.
`include "streams.svh"
`include "codes.svh"
`include "layouts.svh"
`include "reliability.svh"
`include "assert.svh"

module rnic_cpl_walk #(
  parameter int QP_COUNT  = 256,
  parameter int MSG_DEPTH = 256,
  localparam int QP_W  = $clog2(QP_COUNT),
  localparam int MSG_W = $clog2(MSG_DEPTH)
) (
  input  logic                     clk,
  input  logic                     rst,

  // Events
  input  logic [CPL_EVENT_W-1:0]   s_event_data,
  input  logic                     s_event_valid,
  output logic                     s_event_ready,
  input  logic [TX_RESULT_W-1:0]   s_result_data,
  input  logic                     s_result_valid,
  output logic                     s_result_ready,
  input  logic [15:0]              s_flush_data,
  input  logic                     s_flush_valid,
  output logic                     s_flush_ready,
  input  logic [15:0]              s_kick_data,
  input  logic                     s_kick_valid,
  output logic                     s_kick_ready,
  input  logic [15:0]              s_timer_qpn,
  input  logic [15:0]              s_timer_count,
  input  logic                     s_timer_valid,
  output logic                     s_timer_ready,

  // Time, in units of the timers
  input  logic [31:0]              ack_now,
  input  logic [31:0]              rnr_now,

  // A packet leaves; it was sent before
  input  logic                     sent_en,
  input  logic                     sent_again,
  input  logic [QP_W-1:0]          sent_qpn,

  // Outstanding messages, written by the requester
  input  logic                     msg_write_en,
  input  logic                     msg_write_new,
  input  logic [QP_W-1:0]          msg_write_qpn,
  input  logic [15:0]              msg_write_index,
  input  logic [MSG_RECORD_W-1:0]  msg_write_data,

  // Configuration of a QP, two cycles after the number
  output logic [23:0]              qp_rd_qpn,
  input  logic [QP_CONFIG_W-1:0]   qp_rd_cfg,

  // Completions, wake-ups, QPs that fail
  output logic [CQE_REQ_W-1:0]     m_cqe_data,
  output logic                     m_cqe_valid,
  input  logic                     m_cqe_ready,
  output logic [15:0]              m_kick_data,
  output logic                     m_kick_valid,
  input  logic                     m_kick_ready,
  output logic [QP_ERROR_W-1:0]    m_error_data,
  output logic                     m_error_valid,
  input  logic                     m_error_ready,

  // Published progress, as it changes
  output logic                     progress_en,
  output logic [QP_W-1:0]          progress_qpn,
  output logic [SQ_PROGRESS_W-1:0] progress_data,
  output logic [CPL_WATCH_W-1:0]   watch_data,

  // QPs to be sent back, behind their progress
  output logic                     rewind_en,
  output logic [QP_W-1:0]          rewind_qpn,

  // Context of a new life; nothing inside
  input  logic [QP_INIT_W-1:0]     init_data,
  input  logic                     init_valid,
  output logic                     init_ready,
  output logic                     init_en,

  // Events: a timeout, no retries left
  output logic                     ev_timeout_en,
  output logic                     ev_exhausted_en,

  // For the drain: an event enters, an event ends, completions that wait
  output logic                     enter_en,
  output logic                     leave_en,
  output logic [4:0]               cqes
);

  // ------------------------------------------------------------------ one event at a time

  typedef struct packed {
    logic [2:0]  kind;
    logic [15:0] qpn;
    logic [23:0] psn;
    logic [15:0] msg_idx;   // EV_TIMER: progress count
    logic        local_op;
    logic [7:0]  status;
    logic [7:0]  syndrome;
    logic        told;      // what the peer says about its receive WQEs
    logic        limited;
    logic [23:0] limit;
  } event_t;
  localparam int EVENT_W = 102;
  localparam int TOLD_W  = 26;

  localparam logic [2:0] EV_RESPONSE = 3'd0;
  localparam logic [2:0] EV_RESULT   = 3'd1;
  localparam logic [2:0] EV_FLUSH    = 3'd2;
  localparam logic [2:0] EV_KICK     = 3'd3;
  localparam logic [2:0] EV_TIMER    = 3'd4;

  cpl_event_t         in_response;
  tx_result_t         in_result;
  event_t             ev_response;
  event_t             ev_result;
  event_t             ev_flush;
  event_t             ev_kick;
  event_t             ev_timer;
  logic [EVENT_W-1:0] merged_data;
  logic               merged_valid;
  logic               merged_ready;

  assign in_response = s_event_data;
  assign in_result   = s_result_data;

  always_comb begin
    ev_response          = '0;
    ev_response.kind     = EV_RESPONSE;
    ev_response.qpn      = in_response.qpn;
    ev_response.psn      = in_response.psn;
    ev_response.status   = in_response.status;
    ev_response.syndrome = in_response.syndrome;
    ev_response.told     = in_response.told;
    ev_response.limited  = in_response.limited;
    ev_response.limit    = in_response.limit;
    ev_result            = '0;
    ev_result.kind       = EV_RESULT;
    ev_result.qpn        = in_result.qpn;
    ev_result.msg_idx    = in_result.msg_idx;
    ev_result.local_op   = in_result.local_op;
    ev_result.status     = in_result.status;
    ev_flush             = '0;
    ev_flush.kind        = EV_FLUSH;
    ev_flush.qpn         = s_flush_data;
    ev_kick              = '0;
    ev_kick.kind         = EV_KICK;
    ev_kick.qpn          = s_kick_data;
    ev_timer             = '0;
    ev_timer.kind        = EV_TIMER;
    ev_timer.qpn         = s_timer_qpn;
    ev_timer.msg_idx     = s_timer_count;
  end

  stream_arbiter #(
    .N      (5),
    .DATA_W (EVENT_W)
  ) u_events (
    .clk,
    .rst,
    .s_data  ({ev_timer, ev_kick, ev_flush, ev_result, ev_response}),
    .s_last  (5'h1f),
    .s_valid ({s_timer_valid, s_kick_valid, s_flush_valid, s_result_valid, s_event_valid}),
    .s_ready ({s_timer_ready, s_kick_ready, s_flush_ready, s_result_ready, s_event_ready}),
    .m_data  (merged_data),
    .m_last  (),
    .m_source (),
    .m_valid (merged_valid),
    .m_ready (merged_ready)
  );

  // ------------------------------------------------------------------ merge
  //
  // An ACK says everything an ACK of an earlier PSN said: of those that wait here, one per QP
  // is enough. (The middle of a READ says nothing about receive WQEs: that is kept.)

  logic [EVENT_W-1:0] ev_q;
  logic               ev_valid_q;
  event_t             ev_in;
  event_t             ev;
  logic               absorb;    // the ACK that arrives and the one that waits become one
  logic               older;     // the one that waits says more
  logic               merge_en;
  logic               take;

  function automatic logic plain_ack(input logic [EVENT_W-1:0] bits);
    event_t e;
    e = bits;
    plain_ack = e.kind == EV_RESPONSE && e.status == CQE_STATUS_SUCCESS;
  endfunction

  // Signed distances.
  function automatic logic psn_less(input logic [23:0] a, input logic [23:0] b);
    logic [23:0] d;
    d = a - b;
    psn_less = d[23];
  endfunction

  function automatic logic idx_less(input logic [15:0] a, input logic [15:0] b);
    logic [15:0] d;
    d = a - b;
    idx_less = d[15];
  endfunction

  assign ev_in        = merged_data;
  assign ev           = ev_q;
  assign absorb       = ev_valid_q && !take && plain_ack(ev_q) && plain_ack(merged_data)
                     && ev.qpn == ev_in.qpn;
  assign older        = psn_less(ev_in.psn, ev.psn);
  assign merged_ready = !ev_valid_q || take || absorb;
  assign merge_en     = merged_valid && merged_ready;
  assign enter_en     = merge_en && !absorb;

  always_ff @(posedge clk) begin
    if (merge_en && !(absorb && older)) begin
      ev_q <= merged_data;
      if (absorb && !ev_in.told) ev_q[TOLD_W-1:0] <= ev_q[TOLD_W-1:0];
    end
    ev_valid_q <= merge_en || (ev_valid_q && !take);
    if (rst) ev_valid_q <= 1'b0;
  end

  // ------------------------------------------------------------------ context

  typedef struct packed {
    logic [15:0] tail;         // oldest outstanding message
    logic [23:0] una;          // first PSN not acknowledged
    logic [15:0] reads_done;
    logic [15:0] count;        // changes with every progress, and with what the timers do
    logic [15:0] sq_tail;      // where `tail` begins: send queue index, PSN
    logic [23:0] first;
    logic [31:0] moved;        // time of the last progress or return
    logic [2:0]  retries;      // spent since the last progress
    logic [2:0]  rnr_retries;
    logic        rnr_wait;
    logic [4:0]  rnr_code;
    logic        sent_back;    // and has not begun to send again, unless again_q says so
    logic [15:0] local_next;   // local operations before this message are done; not before tail
    logic        dead;         // everything is flushed
    logic        stopped;      // the oldest message has failed, its QpError is out
    logic [7:0]  fail_status;
    logic [7:0]  fail_syndrome;
    logic        nak;          // the peer refused what begins at una
    logic [7:0]  nak_status;
    logic [7:0]  nak_syndrome;
    logic        err;          // a message could not be sent: the oldest of those
    logic [15:0] err_idx;
    logic [7:0]  err_status;
    logic        local_err;    // a local operation failed: the first of those
    logic [15:0] local_err_idx;
    logic        limited;      // the peer counts its receive WQEs
    logic [23:0] limit;        // newest message that it said to have one for
  } context_t;
  localparam int CONTEXT_W = 148 + 40 + 32 + 6 + 7 + 17 + 25;

  logic [CONTEXT_W-1:0] ctx_bits;
  logic [CONTEXT_W-1:0] init_bits;
  logic [15:0]          head_read;
  logic                 ctx_write;
  context_t             ctx_q;
  context_t             ctx_start;
  context_t             ctx_next;
  context_t             ctx_init;
  logic [QP_W-1:0]      walk_qpn;

  qp_init_t             init;
  logic                 init_write;

  assign init = init_data;

  always_comb begin
    ctx_init     = '0;
    ctx_init.una = init.op == QP_INIT_OP_RTS ? init.psn : '0;
    ctx_init.first = ctx_init.una;
    ctx_init.limited = init.op == QP_INIT_OP_RTS && init.limited;
    ctx_init.moved = ack_now;
  end
  assign init_bits = ctx_init;

  ram_1w1r #(
    .DATA_W (CONTEXT_W),
    .DEPTH  (QP_COUNT)
  ) u_context (
    .clk,
    .wr_en   (ctx_write || init_write),
    .wr_addr (ctx_write ? walk_qpn : init.qpn[QP_W-1:0]),
    .wr_data (ctx_write ? ctx_next : init_bits),
    .rd_en   (take),
    .rd_addr (ev.qpn[QP_W-1:0]),
    .rd_data (ctx_bits)
  );

  // Index behind the newest message.
  ram_1w1r #(
    .DATA_W (16),
    .DEPTH  (QP_COUNT)
  ) u_head (
    .clk,
    .wr_en   ((msg_write_en && msg_write_new) || init_write),
    .wr_addr (msg_write_en ? msg_write_qpn : init.qpn[QP_W-1:0]),
    .wr_data (msg_write_en ? msg_write_index + 16'd1 : 16'd0),
    .rd_en   (take),
    .rd_addr (ev.qpn[QP_W-1:0]),
    .rd_data (head_read)
  );

  // ------------------------------------------------------------------ load

  typedef enum logic [1:0] {TAKE, CONTEXT, RECORD} load_e;

  load_e                   load_q;
  load_e                   load_d;
  logic [EVENT_W-1:0]      load_ev_q;
  event_t                  load_ev;
  context_t                load_ctx;
  logic [MSG_RECORD_W-1:0] load_record_q;
  logic                    load_fresh_q;  // first cycle of RECORD: it is at the ring's output
  logic                    walk_busy_q;
  logic                    walk_same;
  logic                    walk_free;
  logic                    hand;
  logic                    record_read;
  logic                    walk_read;
  logic                    load_reads;
  logic [15:0]             walk_read_index;
  logic [MSG_RECORD_W-1:0] record_bits;
  logic [15:0]             load_tail;
  logic                    init_wait;

  assign load_ev    = load_ev_q;
  assign load_ctx   = ctx_bits;
  assign load_tail  = load_ctx.tail;
  assign walk_same  = walk_busy_q && walk_qpn == ev.qpn[QP_W-1:0];
  assign take       = load_q == TAKE && ev_valid_q && !walk_same && !init_wait;
  assign hand       = load_q == RECORD && walk_free;

  // The message ring has one read port, and the walk comes first.
  assign load_reads  = load_q == CONTEXT && !walk_read;
  assign record_read = walk_read || load_reads;

  always_comb begin
    load_d = load_q;
    case (load_q)
      TAKE:    if (take) load_d = CONTEXT;
      CONTEXT: if (!walk_read) load_d = RECORD;
      RECORD:  if (walk_free) load_d = TAKE;
      default: load_d = TAKE;
    endcase
  end

  always_ff @(posedge clk) begin
    load_q       <= load_d;
    load_fresh_q <= load_reads;
    if (take) load_ev_q <= ev_q;
    if (load_fresh_q) load_record_q <= record_bits;
    if (rst) load_q <= TAKE;
  end

  ram_1w1r #(
    .DATA_W (MSG_RECORD_W),
    .DEPTH  (QP_COUNT * MSG_DEPTH)
  ) u_messages (
    .clk,
    .wr_en   (msg_write_en),
    .wr_addr ({msg_write_qpn, msg_write_index[MSG_W-1:0]}),
    .wr_data (msg_write_data),
    .rd_en   (record_read),
    .rd_addr (walk_read ? {walk_qpn, walk_read_index[MSG_W-1:0]}
                        : {load_ev.qpn[QP_W-1:0], load_tail[MSG_W-1:0]}),
    .rd_data (record_bits)
  );

  assign qp_rd_qpn = {8'd0, take ? ev.qpn : load_ev.qpn};

  // What the event says, before any message is looked at.
  logic        refused;
  logic        stale;
  logic        is_response;
  logic        is_timer;
  logic        advances;
  logic        local_known;
  logic [23:0] acked;
  logic [2:0]  retries;
  logic [2:0]  rnr_retries;
  logic        waits;          // for the RNR timer
  logic        returning;      // sent back, nothing sent again yet
  logic        may_retry;
  logic        lost;           // a packet did: NAK, read passed over
  logic        not_ready;      // the peer has no receive WQE
  logic        timer_true;
  logic        timeout;
  logic        wait_over;
  logic        again;          // one more retry
  logic        again_rnr;
  logic        spent;          // none left
  logic        spent_rnr;
  logic        fatal;
  logic        told;           // something new about the peer's receive WQEs
  logic        told_newer;
  logic        unsent;         // a packet could not be sent
  logic        for_nothing;    // its message had been acknowledged
  logic        err_older;      // it is older than the one that is known
  qp_config_t  load_cfg;
  msg_record_t load_record;    // oldest message
  logic [QP_COUNT-1:0] again_q;  // something was sent again

  assign load_cfg    = qp_rd_cfg;
  assign is_response = load_ev.kind == EV_RESPONSE && !load_ctx.nak;
  assign is_timer    = load_ev.kind == EV_TIMER && !load_ctx.nak;

  // Function calls stay outside of always_comb: Icarus makes it wait for what is inside them.
  assign refused     = load_ev.status != CQE_STATUS_SUCCESS;
  assign acked       = refused ? load_ev.psn : load_ev.psn + 24'd1;
  assign stale       = psn_less(load_ev.psn, load_ctx.una);
  assign advances    = is_response && psn_less(load_ctx.una, acked);
  assign local_known = idx_less(load_ev.msg_idx, load_ctx.local_next);

  assign retries     = advances ? '0 : load_ctx.retries;
  assign rnr_retries = advances ? '0 : load_ctx.rnr_retries;
  assign waits       = load_ctx.rnr_wait && !advances;
  assign returning   = load_ctx.sent_back && !advances && !again_q[load_ev.qpn[QP_W-1:0]];
  assign lost        = is_response && !stale && load_ev.status == CQE_STATUS_RETRY_EXC_ERR;
  assign not_ready   = is_response && !stale && load_ev.status == CQE_STATUS_RNR_RETRY_EXC_ERR;
  assign fatal       = is_response && !stale && refused
                    && load_ev.status != CQE_STATUS_RETRY_EXC_ERR
                    && load_ev.status != CQE_STATUS_RNR_RETRY_EXC_ERR;
  // From an acknowledge of anything new, or of the newest once more (rocev2 3.8, step 3).
  assign told_newer  = !load_ctx.limited || psn_less(load_ctx.limit, load_ev.limit);
  assign told        = is_response && load_ev.told && !refused && !psn_less(acked, load_ctx.una)
                    && (load_ev.limited ? told_newer : load_ctx.limited);
  assign load_record = load_fresh_q ? record_bits : load_record_q;
  assign timer_true  = is_timer && load_ev.msg_idx == load_ctx.count && load_tail != head_read;
  assign timeout     = timer_true && !load_ctx.rnr_wait && load_record.kind != MSG_KIND_LOCAL;
  assign wait_over   = timer_true && load_ctx.rnr_wait;
  assign may_retry   = timeout || (lost && !waits && !returning);
  assign spent       = may_retry && !returning && retries == load_cfg.retry_cnt;
  assign again       = may_retry && !spent;
  assign spent_rnr   = not_ready && !waits && load_cfg.rnr_retry != 3'd7
                    && rnr_retries == load_cfg.rnr_retry;
  assign again_rnr   = not_ready && !waits && !spent_rnr;
  assign unsent      = load_ev.kind == EV_RESULT && !load_ev.local_op && refused;
  assign for_nothing = unsent && idx_less(load_ev.msg_idx, load_tail);
  assign err_older   = !load_ctx.err || idx_less(load_ev.msg_idx, load_ctx.err_idx);

  always_comb begin
    ctx_start = load_ctx;
    // Behind a local operation that failed nothing counts.
    if (load_ev.kind == EV_RESULT && load_ev.local_op && !load_ctx.local_err) begin
      if (refused) begin
        ctx_start.local_err     = 1'b1;
        ctx_start.local_err_idx = load_ev.msg_idx;
      end else if (!local_known) begin
        ctx_start.local_next = load_ev.msg_idx + 16'd1;
      end
    end
    if (unsent && !for_nothing && err_older) begin
      ctx_start.err        = 1'b1;
      ctx_start.err_idx    = load_ev.msg_idx;
      ctx_start.err_status = load_ev.status;
    end
    if (load_ev.kind == EV_FLUSH) ctx_start.dead = 1'b1;
    if (advances) begin
      ctx_start.una         = acked;
      ctx_start.retries     = '0;
      ctx_start.rnr_retries = '0;
      ctx_start.rnr_wait    = 1'b0;
      ctx_start.sent_back   = 1'b0;
    end
    if (told) begin
      ctx_start.limited = load_ev.limited;
      ctx_start.limit   = load_ev.limit;
    end
    if (again) ctx_start.retries = retries + 3'(!returning);
    if (again_rnr) begin
      // The count stands still at 7, which is for ever.
      ctx_start.rnr_retries = rnr_retries + 3'(rnr_retries != 3'd7);
      ctx_start.rnr_wait    = 1'b1;
      ctx_start.rnr_code    = load_ev.syndrome[4:0];
    end
    if (wait_over) ctx_start.rnr_wait = 1'b0;
    if (again || again_rnr) ctx_start.sent_back = 1'b1;
    if (again_rnr)                          ctx_start.moved = rnr_now;
    else if (advances || again || wait_over || (for_nothing && !waits))
      ctx_start.moved = ack_now;
    // What is refused for good ends what can be acknowledged.
    if (fatal || spent || spent_rnr) begin
      ctx_start.nak          = 1'b1;
      ctx_start.nak_status   = load_ev.status;
      ctx_start.nak_syndrome = load_ev.syndrome;
      if (timeout) ctx_start.nak_status = CQE_STATUS_RETRY_EXC_ERR;
    end
  end

  always_ff @(posedge clk) begin
    if (hand && (again || again_rnr)) again_q[load_ev.qpn[QP_W-1:0]] <= 1'b0;
    if (sent_en && sent_again)        again_q[sent_qpn] <= 1'b1;
    if (rst) again_q <= '0;
  end

  assign ev_timeout_en   = hand && timeout;
  assign ev_exhausted_en = hand && (spent || spent_rnr);

  // ------------------------------------------------------------------ walk

  logic [15:0]             walk_qpn_q;
  logic [15:0]             head_q;
  logic [15:0]             cqn_q;
  logic [MSG_RECORD_W-1:0] record_q;
  logic                    record_fresh_q;  // the record of the tail is at the ring's output
  logic                    changed_q;
  logic                    failed_q;        // QpError is due
  msg_record_t             record;
  logic                    bumped_q;        // the count changes without a retired message
  logic                    kick_q;          // the QP may send again
  logic                    back_q;          // it is to go back
  logic                    back_free_q;     // and it costs nothing, nor is anything outstanding needed
  logic                    err_here;
  logic                    local_err_here;

  assign walk_qpn = walk_qpn_q[QP_W-1:0];
  assign record   = record_fresh_q ? record_bits : record_q;

  logic        some;         // a message is outstanding
  logic        pop;
  logic        pop_now;
  logic [7:0]  pop_status;
  logic        stop;         // the oldest message fails
  logic [7:0]  stop_status;
  logic [7:0]  stop_syndrome;
  logic        stop_now;
  logic        acknowledged;
  logic        is_wire;      // packets were sent for it
  logic        local_done;
  logic        wants_cqe;
  logic        walk_end;
  logic        cqe_ready;
  logic        end_ready;

  assign some         = ctx_q.tail != head_q;
  assign acknowledged = psn_less(record.last_psn, ctx_q.una);
  assign local_done   = idx_less(ctx_q.tail, ctx_q.local_next);
  assign err_here       = ctx_q.err && ctx_q.tail == ctx_q.err_idx;
  assign local_err_here = ctx_q.local_err && ctx_q.tail == ctx_q.local_err_idx;
  assign is_wire        = record.kind == MSG_KIND_SEND || record.kind == MSG_KIND_WRITE
                       || record.kind == MSG_KIND_READ || record.kind == MSG_KIND_ATOMIC;

  always_comb begin
    pop           = 1'b0;
    pop_status    = CQE_STATUS_SUCCESS;
    stop          = 1'b0;
    stop_status   = ctx_q.nak_status;
    stop_syndrome = '0;
    if (ctx_q.dead) begin
      pop         = 1'b1;
      pop_status  = ctx_q.stopped ? ctx_q.fail_status : CQE_STATUS_WR_FLUSH_ERR;
    end else if (ctx_q.stopped) begin
      pop         = 1'b0;
    end else if (record.kind == MSG_KIND_FLUSH) begin
      pop         = 1'b1;
      pop_status  = CQE_STATUS_WR_FLUSH_ERR;
    end else if (is_wire && acknowledged) begin
      pop         = 1'b1;
    end else if (local_err_here) begin
      stop        = 1'b1;
      stop_status = CQE_STATUS_LOC_QP_OP_ERR;
    end else if (err_here) begin
      stop        = 1'b1;
      stop_status = ctx_q.err_status;
    end else if (record.kind == MSG_KIND_BAD) begin
      stop        = 1'b1;
      stop_status = record.status;
    end else if (record.kind == MSG_KIND_LOCAL) begin
      pop         = local_done;
    end else if (ctx_q.nak) begin
      stop          = 1'b1;
      stop_syndrome = ctx_q.nak_syndrome;
    end
  end

  assign wants_cqe = record.signaled || pop_status != CQE_STATUS_SUCCESS;
  assign pop_now   = walk_busy_q && some && pop && (!wants_cqe || cqe_ready);
  assign stop_now  = walk_busy_q && some && stop;
  assign walk_end  = walk_busy_q && (!some || (!pop && !stop)) && end_ready;
  assign leave_en  = walk_end;

  assign walk_read       = pop_now;
  assign walk_read_index = ctx_q.tail + 16'd1;

  always_comb begin
    ctx_next = ctx_q;
    if (changed_q || bumped_q) ctx_next.count = ctx_q.count + 16'd1;
    // The time of the message that is the oldest now.
    if (changed_q && !ctx_q.rnr_wait) ctx_next.moved = ack_now;
  end

  always_ff @(posedge clk) begin
    record_fresh_q <= pop_now;
    if (walk_end) walk_busy_q <= 1'b0;
    if (hand) begin
      walk_busy_q <= 1'b1;
      walk_qpn_q  <= load_ev.qpn;
      ctx_q       <= ctx_start;
      head_q      <= head_read;
      cqn_q       <= load_cfg.send_cq;
      bumped_q    <= advances || again || again_rnr || wait_over || told || for_nothing;
      kick_q      <= wait_over || (advances && load_ctx.rnr_wait) || told;
      back_q      <= again || again_rnr;
      back_free_q <= for_nothing;
      record_q    <= load_record;
      changed_q   <= 1'b0;
      failed_q    <= 1'b0;
    end else if (record_fresh_q) begin
      record_q    <= record_bits;
    end
    if (pop_now) begin
      ctx_q.tail    <= ctx_q.tail + 16'd1;
      ctx_q.sq_tail <= record.sq_next;
      ctx_q.first   <= record.last_psn + 24'd1;
      ctx_q.stopped <= 1'b0;
      changed_q     <= 1'b1;
      if (err_here) begin
        ctx_q.err   <= 1'b0;
        back_free_q <= 1'b1;
      end
      // Kept within reach of the tail, or it would look new again when indices have gone round.
      if (ctx_q.local_next == ctx_q.tail) ctx_q.local_next <= ctx_q.tail + 16'd1;
      if (record.kind == MSG_KIND_READ || record.kind == MSG_KIND_ATOMIC)
        ctx_q.reads_done <= ctx_q.reads_done + 16'd1;
    end
    if (stop_now) begin
      ctx_q.stopped       <= 1'b1;
      ctx_q.fail_status   <= stop_status;
      ctx_q.fail_syndrome <= stop_syndrome;
      failed_q            <= 1'b1;
    end
    if (rst) begin
      walk_busy_q    <= 1'b0;
      record_fresh_q <= 1'b0;
    end
  end

  assign walk_free = !walk_busy_q || walk_end;
  assign ctx_write = walk_end;

  // ------------------------------------------------------------------ what leaves

  logic     kick_ready;
  logic     error_ready;
  cqe_req_t cqe;
  qp_error_t error;

  assign end_ready = kick_ready && error_ready;

  function automatic logic [7:0] cqe_opcode(input logic [2:0] kind);
    case (kind)
      MSG_KIND_WRITE:  cqe_opcode = CQE_OP_WRITE;
      MSG_KIND_READ:   cqe_opcode = CQE_OP_READ;
      MSG_KIND_ATOMIC: cqe_opcode = CQE_OP_ATOMIC;
      MSG_KIND_LOCAL:  cqe_opcode = CQE_OP_LOCAL;
      default:         cqe_opcode = CQE_OP_SEND;
    endcase
  endfunction

  logic [7:0] opcode;
  assign opcode = cqe_opcode(record.kind);

  always_comb begin
    cqe           = '0;
    cqe.cqn       = cqn_q;
    cqe.wr_id     = record.wr_id;
    cqe.wqe_index = record.sq_next;
    cqe.qpn       = walk_qpn_q;
    cqe.opcode    = opcode;
    cqe.byte_len  = record.length;
    cqe.status    = pop_status;
    cqe.syndrome  = ctx_q.stopped ? ctx_q.fail_syndrome : '0;
    error         = '0;
    error.qpn     = walk_qpn_q;
    error.status  = ctx_q.fail_status;
  end

  stream_fifo #(
    .DATA_W (CQE_REQ_W),
    .DEPTH  (16)
  ) u_cqe (
    .clk,
    .rst,
    .s_data  (cqe),
    .s_valid (pop_now && wants_cqe),
    .s_ready (cqe_ready),
    .m_data  (m_cqe_data),
    .m_valid (m_cqe_valid),
    .m_ready (m_cqe_ready),
    .count   (cqes)
  );

  stream_fifo #(
    .DATA_W (16),
    .DEPTH  (16)
  ) u_kick (
    .clk,
    .rst,
    .s_data  (walk_qpn_q),
    .s_valid (walk_end && (changed_q || kick_q)),
    .s_ready (kick_ready),
    .m_data  (m_kick_data),
    .m_valid (m_kick_valid),
    .m_ready (m_kick_ready),
    .count   ()
  );

  stream_fifo #(
    .DATA_W (QP_ERROR_W),
    .DEPTH  (16)
  ) u_error (
    .clk,
    .rst,
    .s_data  (error),
    .s_valid (walk_end && failed_q),
    .s_ready (error_ready),
    .m_data  (m_error_data),
    .m_valid (m_error_valid),
    .m_ready (m_error_ready),
    .count   ()
  );

  // ------------------------------------------------------------------ progress

  sq_progress_t progress;
  cpl_watch_t   watch;
  context_t     shown;

  // The count changes last, when the kick is on its way too.
  assign shown = init_write ? ctx_init : walk_end ? ctx_next : ctx_q;

  always_comb begin
    progress.msg_tail   = shown.tail;
    progress.reads_done = shown.reads_done;
    progress.count      = shown.count;
    progress.rnr_wait   = shown.rnr_wait;
    progress.sq_tail    = shown.sq_tail;
    progress.psn        = shown.first;
    progress.una        = shown.una;
    progress.limited    = shown.limited;
    progress.limit      = shown.limit;
    watch.tail          = shown.tail;
    watch.count         = shown.count;
    watch.rnr_wait      = shown.rnr_wait;
    watch.rnr_code      = shown.rnr_code;
    watch.moved         = shown.moved;
  end

  assign progress_en   = walk_busy_q || init_write;
  assign progress_qpn  = init_write ? init.qpn[QP_W-1:0] : walk_qpn;
  assign progress_data = progress;
  assign watch_data    = watch;

  // What is begun meanwhile would be dropped too, so a free return needs nothing outstanding.
  assign rewind_en  = walk_end && ((back_q && some) || back_free_q) && !ctx_q.stopped && !ctx_q.dead;
  assign rewind_qpn = walk_qpn;

  // ------------------------------------------------------------------ init

  assign init_wait  = init_valid && init.op != QP_INIT_OP_RQ_CREATE && init.op != QP_INIT_OP_RTR;
  assign init_write = init_wait && load_q == TAKE && !walk_busy_q && !msg_write_en && !sent_en;
  assign init_en    = init_write;
  assign init_ready = init_write || !init_wait;

  `RNIC_ASSERT(tail_never_passes_head, !pop_now || ctx_q.tail != head_q)

endmodule
