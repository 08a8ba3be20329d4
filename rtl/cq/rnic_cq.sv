// rnic_cq: completion queues.
//
// A completion takes the next slot of its queue and is written through the DMA write engine
// that carries payload too, so the host sees it after its data. When the write is answered,
// an armed queue fires one COMPLETION event. A full queue is never overwritten: it turns bad,
// raises CQ_ERROR, and its QPs go to ERR.
//
//   s_cqe[n] ──┐                  ┌─► entry: m_wreq, m_wdata ─► (write response) ─► m_event
//   s_update ──┼─► one at a time ─┤
//   s_cfg ─────┘   3 cycles each  └─► m_error, m_event (CQ_ERROR, an arm that found news)
//
// Doorbells make room, so they wait for none: neither for memory nor for events, only for the
// thing in hand, and for one completion between two of them.
//
// Arm: a doorbell whose arm_seq differs from the last one is a new arm, so a repeated doorbell
// is not honoured twice; it fires at once when an entry it waits for is already there, so a
// completion between the host's last look and its arm is not lost.
`include "streams.svh"
`include "layouts.svh"
`include "codes.svh"
`include "assert.svh"

module rnic_cq #(
  parameter int CQ_COUNT = 256,
  parameter int SOURCES  = 2
) (
  input  logic                              clk,
  input  logic                              rst,
  output logic                              ready,

  // Completions
  input  logic [SOURCES-1:0][CQE_REQ_W-1:0] s_cqe_data,
  input  logic [SOURCES-1:0]                s_cqe_valid,
  output logic [SOURCES-1:0]                s_cqe_ready,

  // Doorbells
  input  logic [CQ_UPDATE_W-1:0]            s_update_data,
  input  logic                              s_update_valid,
  output logic                              s_update_ready,

  // Changes and questions of rnic_admin; the answer comes with the ready
  input  logic [CQ_CONFIG_W-1:0]            s_cfg_data,
  input  logic                              s_cfg_valid,
  output logic                              s_cfg_ready,
  output logic [CQ_ANSWER_W-1:0]            cfg_answer,

  // DMA write
  output logic [DMA_WRITE_REQ_W-1:0]        m_wreq_data,
  output logic                              m_wreq_valid,
  input  logic                              m_wreq_ready,
  output logic [DMA_WRITE_DATA_W-1:0]       m_wdata_data,
  output logic                              m_wdata_valid,
  input  logic                              m_wdata_ready,
  input  logic                              s_wdone_en,
  input  logic                              s_wdone_error,

  // What follows
  output logic [EVENT_REQ_W-1:0]            m_event_data,
  output logic                              m_event_valid,
  input  logic                              m_event_ready,
  output logic [QP_ERROR_W-1:0]             m_error_data,
  output logic                              m_error_valid,
  input  logic                              m_error_ready,

  // Entries begun and entries answered, in order, free running; one taken may be about to begin
  output logic [15:0]                       begun,
  output logic [15:0]                       answered,
  output logic                              beginning,

  // Events
  output logic                              ev_cqe_en,
  output logic                              ev_doorbell_bad_en
);

  localparam int CQ_W = $clog2(CQ_COUNT);

  // ------------------------------------------------------------------ context

  typedef struct packed {
    logic        due;         // an arm found news; its event has not left
    logic [1:0]  due_seq;     // the newest such arm
    logic        exists;
    logic        bad;
    logic [63:0] base;
    logic [3:0]  log_size;
    logic [7:0]  eqn;
    logic [23:0] producer;
    logic [23:0] consumer;
    logic [23:0] solicited;   // index behind the newest solicited or failed completion
    logic [23:0] failed;      // index behind the newest failed completion
    logic [1:0]  arm;
    logic [1:0]  arm_seq;
  } context_t;
  localparam int CONTEXT_W = 181;

  typedef enum logic [1:0] {TAKE, READ, DECIDE} state_e;

  state_e               state_q;
  state_e               state_d;
  logic [CONTEXT_W-1:0] ctx_bits;
  logic [CONTEXT_W-1:0] ctx_wr_bits;
  logic [CQ_W-1:0]      ctx_wr_addr;
  logic                 ctx_wr_en;
  context_t             ctx;
  context_t             ctx_next;

  // ------------------------------------------------------------------ sweep after reset

  logic [CQ_W:0] sweep_q;
  logic          sweep;

  assign sweep = !sweep_q[CQ_W];
  assign ready = !sweep;

  always_ff @(posedge clk) begin
    if (sweep) sweep_q <= sweep_q + 1'b1;
    if (rst) sweep_q <= '0;
  end

  // ------------------------------------------------------------------ one thing at a time

  typedef enum logic [2:0] {COMPLETE, UPDATE, CONFIG, BROKEN, FIRE} op_e;

  op_e                    op_q;
  op_e                    op_d;
  logic [CQE_REQ_W-1:0]   cqe_in;
  logic                   cqe_in_valid;
  logic                   cqe_in_ready;
  logic [CQE_REQ_W-1:0]   cqe_q;
  logic [CQ_UPDATE_W-1:0] update_q;
  cqe_req_t               cqe_head;
  cqe_req_t               cqe;
  cq_update_t             update_head;
  cq_update_t             update;
  cq_config_t             cfg;
  logic [15:0]            cqn_d;
  logic [15:0]            cqn_q;
  logic                   known;
  logic                   take;
  logic                   entry_room;
  logic                   entry_idle;
  logic                   event_room;
  logic                   error_room;
  logic                   broken_may;
  logic                   cfg_may;
  logic                   update_may;
  logic                   fire_may;
  logic                   complete_may;
  logic                   was_update_q;
  logic                   due_valid;
  logic                   due_ready;
  logic [CQ_W-1:0]        due_cqn;
  logic                   broken_valid;
  logic                   broken_ready;
  logic [15:0]            broken_cqn;
  logic [15:0]            broken_qpn;
  logic [15:0]            lost_qpn_q;   // whose completion is lost, if it is

  stream_arbiter #(
    .N      (SOURCES),
    .DATA_W (CQE_REQ_W)
  ) u_cqes (
    .clk,
    .rst,
    .s_data   (s_cqe_data),
    .s_last   ({SOURCES{1'b1}}),
    .s_valid  (s_cqe_valid),
    .s_ready  (s_cqe_ready),
    .m_data   (cqe_in),
    .m_last   (),
    .m_source (),
    .m_valid  (cqe_in_valid),
    .m_ready  (cqe_in_ready)
  );

  assign cqe_head    = cqe_in;
  assign update_head = s_update_data;
  assign cfg         = s_cfg_data;
  assign cqe         = cqe_q;
  assign update      = update_q;

  // A change waits for the answers of the entries before it, and new entries wait for the
  // change: a queue that is destroyed has nothing under way.
  assign broken_may   = broken_valid && event_room && error_room;
  assign cfg_may      = s_cfg_valid && entry_idle && !broken_valid;
  assign fire_may     = due_valid && event_room;
  assign complete_may = cqe_in_valid && !s_cfg_valid && entry_room && event_room && error_room;
  assign update_may   = s_update_valid && !(was_update_q && complete_may);

  // What is rare goes first; then doorbells: they make room; completions take the rest.
  always_comb begin
    op_d  = COMPLETE;
    cqn_d = cqe_head.cqn;
    if (broken_may) begin
      op_d  = BROKEN;
      cqn_d = broken_cqn;
    end else if (cfg_may) begin
      op_d  = CONFIG;
      cqn_d = cfg.cqn;
    end else if (update_may) begin
      op_d  = UPDATE;
      cqn_d = update_head.cqn;
    end else if (fire_may) begin
      op_d  = FIRE;
      cqn_d = 16'(due_cqn);
    end
  end

  assign take = state_q == TAKE && !sweep
             && (broken_may || cfg_may || update_may || fire_may || complete_may);

  assign s_update_ready = take && op_d == UPDATE;
  assign broken_ready   = take && op_d == BROKEN;
  assign due_ready      = take && op_d == FIRE;
  assign cqe_in_ready   = take && op_d == COMPLETE;
  assign s_cfg_ready    = state_q == DECIDE && op_q == CONFIG;

  always_comb begin
    state_d = state_q;
    case (state_q)
      TAKE:    if (take) state_d = READ;
      READ:    state_d = DECIDE;
      default: state_d = TAKE;
    endcase
  end

  always_ff @(posedge clk) begin
    state_q <= state_d;
    if (take) begin
      op_q         <= op_d;
      was_update_q <= op_d == UPDATE;
      cqn_q        <= cqn_d;
      cqe_q        <= cqe_in;
      update_q     <= s_update_data;
      if (op_d == BROKEN) lost_qpn_q <= broken_qpn;
      else                lost_qpn_q <= cqe_head.qpn;
    end
    if (state_q == READ) ctx <= ctx_bits;
    if (rst) begin
      state_q      <= TAKE;
      was_update_q <= 1'b0;
    end
  end

  assign ctx_wr_en   = sweep || (state_q == DECIDE && known);
  assign ctx_wr_addr = sweep ? sweep_q[CQ_W-1:0] : cqn_q[CQ_W-1:0];
  assign ctx_wr_bits = sweep ? '0 : ctx_next;
  assign known       = cqn_q < 16'(CQ_COUNT);

  ram_1w1r #(
    .DATA_W (CONTEXT_W),
    .DEPTH  (CQ_COUNT)
  ) u_context (
    .clk,
    .wr_en   (ctx_wr_en),
    .wr_addr (ctx_wr_addr),
    .wr_data (ctx_wr_bits),
    .rd_en   (take),
    .rd_addr (cqn_d[CQ_W-1:0]),
    .rd_data (ctx_bits)
  );

  // ------------------------------------------------------------------ decide

  logic        deciding;
  logic        usable;
  logic        full;
  logic        fails;        // a completion that an ERRORS arm waits for
  logic        wakes;        // a completion that a SOLICITED arm waits for
  logic        write;
  logic        overflow;
  logic        fire_write;   // fires behind the write
  logic        fire_now;     // an arm that finds news
  logic        fires_late;   // its event leaves
  logic        new_arm;
  logic [23:0] size;
  logic [23:0] used;
  logic [23:0] freed;
  logic        breaks;
  logic        lost;         // a completion nobody will see

  assign deciding = state_q == DECIDE;
  assign usable   = known && ctx.exists && !ctx.bad;
  assign size     = 24'd1 << ctx.log_size;
  assign used     = ctx.producer - ctx.consumer;
  assign full     = used == size;
  assign fails    = cqe.status != CQE_STATUS_SUCCESS;
  assign wakes    = fails || (cqe.flags & CQE_FLAG_SOLICITED) != '0;
  assign write    = op_q == COMPLETE && usable && !full;
  assign overflow = op_q == COMPLETE && usable && full;
  assign lost     = deciding && ((op_q == COMPLETE && !write) || op_q == BROKEN);
  assign breaks   = overflow || (op_q == BROKEN && usable);
  assign freed    = update.index - ctx.consumer;
  assign new_arm  = update.arm != ARM_TYPE_NONE && update.arm_seq != ctx.arm_seq;

  assign fire_write = write && (ctx.arm == ARM_TYPE_ANY || (ctx.arm == ARM_TYPE_SOLICITED && wakes)
                                || (ctx.arm == ARM_TYPE_ERRORS && fails));

  // Entries the host has not consumed when its arm arrives. What was newest once is moved along
  // with the consumer index, so that it never looks new again when indices have gone round.
  logic [23:0] unseen;
  logic [23:0] unseen_solicited;
  logic [23:0] unseen_failed;
  logic        news;
  assign unseen           = ctx.producer - update.index;
  assign unseen_solicited = ctx.solicited - update.index;
  assign unseen_failed    = ctx.failed - update.index;
  assign fire_now = op_q == UPDATE && known && ctx.exists && new_arm && freed <= used
                 && (ctx.bad || news);

  always_comb begin
    case (update.arm)
      ARM_TYPE_SOLICITED: news = unseen_solicited != '0 && !unseen_solicited[23];
      ARM_TYPE_ERRORS:    news = unseen_failed != '0 && !unseen_failed[23];
      default:            news = unseen != '0;
    endcase
  end

  assign fires_late = op_q == FIRE && ctx.due;

  assign ev_doorbell_bad_en = state_q == DECIDE && op_q == UPDATE
                           && (!known || !ctx.exists || freed > used);

  always_comb begin
    ctx_next = ctx;
    case (op_q)
      COMPLETE: begin
        if (write) begin
          ctx_next.producer = ctx.producer + 24'd1;
          if (wakes) ctx_next.solicited = ctx.producer + 24'd1;
          if (fails) ctx_next.failed = ctx.producer + 24'd1;
          if (fire_write) ctx_next.arm = ARM_TYPE_NONE;
        end
        if (overflow) ctx_next.bad = 1'b1;
      end
      UPDATE: if (ctx.exists && freed <= used) begin
        ctx_next.consumer = update.index;
        if (unseen_solicited[23]) ctx_next.solicited = update.index;
        if (unseen_failed[23]) ctx_next.failed = update.index;
        if (new_arm) begin
          ctx_next.arm     = fire_now ? ARM_TYPE_NONE : update.arm;
          ctx_next.arm_seq = update.arm_seq;
        end
        if (fire_now) begin
          ctx_next.due     = 1'b1;
          ctx_next.due_seq = update.arm_seq;
        end
      end
      CONFIG: if (!cfg.query) begin
        ctx_next.exists    = cfg.exists;
        ctx_next.base      = cfg.base;
        ctx_next.log_size  = cfg.log_size;
        ctx_next.producer  = '0;
        ctx_next.consumer  = '0;
        ctx_next.solicited = '0;
        ctx_next.failed    = '0;
        if (!cfg.keep) begin
          ctx_next.eqn     = cfg.eqn;
          ctx_next.bad     = 1'b0;
          ctx_next.due     = 1'b0;
          ctx_next.arm     = ARM_TYPE_NONE;
          ctx_next.arm_seq = '0;
        end
      end
      FIRE:    ctx_next.due = 1'b0;
      default: if (ctx.exists) ctx_next.bad = 1'b1;
    endcase
  end

  cq_answer_t answer;
  always_comb begin
    answer          = '0;
    answer.exists   = known && ctx.exists;
    answer.bad      = ctx.bad;
    answer.producer = ctx.producer;
    answer.consumer = ctx.consumer;
  end
  assign cfg_answer = answer;

  assign ev_cqe_en = state_q == DECIDE && write;
  assign beginning = state_q != TAKE && op_q == COMPLETE;

  always_ff @(posedge clk) begin
    if (deciding && write) begun <= begun + 16'd1;
    if (s_wdone_en)        answered <= answered + 16'd1;
    if (rst) begin
      begun    <= '0;
      answered <= '0;
    end
  end

  // ------------------------------------------------------------------ writing entries

  logic [23:0]            slot;
  logic [63:0]            slot_addr;
  logic                   phase;
  logic [EVENT_REQ_W-1:0] late_data;
  logic                   late_valid;
  logic                   late_ready;

  assign slot      = ctx.producer & (size - 24'd1);
  assign slot_addr = ctx.base + {35'd0, slot, 5'd0};
  assign phase     = (ctx.producer & size) == '0;

  rnic_cq_entry u_entry (
    .clk,
    .rst,
    .write_en       (deciding && write),
    .write_cqe      (cqe_q),
    .write_addr     (slot_addr),
    .write_phase    (phase),
    .write_fires    (fire_write),
    .write_eqn      (ctx.eqn),
    .write_arm_seq  (ctx.arm_seq),
    .room           (entry_room),
    .idle           (entry_idle),
    .m_wreq_data,
    .m_wreq_valid,
    .m_wreq_ready,
    .m_wdata_data,
    .m_wdata_valid,
    .m_wdata_ready,
    .s_wdone_en,
    .s_wdone_error,
    .m_event_data   (late_data),
    .m_event_valid  (late_valid),
    .m_event_ready  (late_ready),
    .m_broken_cqn   (broken_cqn),
    .m_broken_qpn   (broken_qpn),
    .m_broken_valid (broken_valid),
    .m_broken_ready (broken_ready)
  );

  // ------------------------------------------------------------------ events and errors
  //
  // Beside the events behind write responses: a queue turned bad, or an arm found news.

  event_req_t             prompt;
  logic [EVENT_REQ_W-1:0] prompt_data;
  logic                   prompt_valid;
  logic                   prompt_ready;

  always_comb begin
    prompt            = '0;
    prompt.eqn        = ctx.eqn;
    prompt.event_type = breaks ? EVENT_TYPE_CQ_ERROR : EVENT_TYPE_COMPLETION;
    prompt.number     = {8'd0, cqn_q};
    prompt.detail     = breaks ? 32'd0 : {30'd0, ctx.due_seq};
  end

  stream_fifo #(
    .DATA_W (EVENT_REQ_W),
    .DEPTH  (4)
  ) u_prompt (
    .clk,
    .rst,
    .s_data  (prompt),
    .s_valid (deciding && (fires_late || breaks)),
    .s_ready (event_room),
    .m_data  (prompt_data),
    .m_valid (prompt_valid),
    .m_ready (prompt_ready),
    .count   ()
  );

  stream_arbiter #(
    .N      (2),
    .DATA_W (EVENT_REQ_W)
  ) u_event (
    .clk,
    .rst,
    .s_data   ({late_data, prompt_data}),
    .s_last   (2'b11),
    .s_valid  ({late_valid, prompt_valid}),
    .s_ready  ({late_ready, prompt_ready}),
    .m_data   (m_event_data),
    .m_last   (),
    .m_source (),
    .m_valid  (m_event_valid),
    .m_ready  (m_event_ready)
  );

  // The QP whose completion was lost; also when its queue does not exist or is bad, or when the
  // entry could not be written.
  qp_error_t error;
  always_comb begin
    error        = '0;
    error.qpn    = lost_qpn_q;
    error.status = CQE_STATUS_FATAL_ERR;
  end

  stream_fifo #(
    .DATA_W (QP_ERROR_W),
    .DEPTH  (4)
  ) u_error (
    .clk,
    .rst,
    .s_data  (error),
    .s_valid (lost),
    .s_ready (error_room),
    .m_data  (m_error_data),
    .m_valid (m_error_valid),
    .m_ready (m_error_ready),
    .count   ()
  );

  // Arms that found news and whose event has not left yet: a doorbell waits for no room.
  stream_once #(
    .COUNT (CQ_COUNT)
  ) u_due (
    .clk,
    .rst,
    .s_en     (deciding && fire_now),
    .s_number (cqn_q[CQ_W-1:0]),
    .m_number (due_cqn),
    .m_valid  (due_valid),
    .m_ready  (due_ready),
    .count    ()
  );

endmodule
