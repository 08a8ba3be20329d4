// rnic_queue_schedule: decides whose send queue is fetched next.
//
// Doorbells, pushes, parks, kicks, flushes, context resets and grants are events of one pipeline:
// chosen round-robin, one per cycle, and never two of one QP inside. So each sees the context that
// the one before it left, and no wake-up falls between a check and a sleep.
//
//   events ─► choose ─► (context, configuration, progress) ─► decide ─► context, ready list,
//                                                                        m_grant, m_push
//
// A QP is on the ready list at most once (listed_q), so the list cannot overflow. A turn is up to
// TURN blocks, in one burst or, where the ring ends or a 4 KiB page does, in several that follow
// each other directly, so that an entry of several blocks stays in one piece. After its turn a QP
// with more to fetch goes to the end of the list.
//
// park with seen == progress count sleeps until a kick: the completer publishes progress first and
// kicks afterwards, so a later kick finds the QP parked and an earlier one makes the counts differ.
// A paced park sleeps while the rate limiter holds the QP; it lets go first and kicks afterwards. What
// is flushed does not wait for it.
// SQD is no sleep: only what had been started before is fetched, for sending it again; a QP with other
// work simply leaves the list, and a flush lists it again.
`include "layouts.svh"
`include "streams.svh"
`include "assert.svh"

module rnic_queue_schedule #(
  parameter int QP_COUNT = 256,
  parameter int TURN     = 16,
  localparam int QP_W    = $clog2(QP_COUNT)
) (
  input  logic                     clk,
  input  logic                     rst,

  // Events
  input  logic                     s_sq_push,
  input  logic [RING_UPDATE_W-1:0] s_sq_data,
  input  logic [511:0]             s_sq_block,
  input  logic                     s_sq_valid,
  output logic                     s_sq_ready,
  input  logic [SQ_PARK_W-1:0]     s_park_data,
  input  logic                     s_park_valid,
  output logic                     s_park_ready,
  input  logic [15:0]              s_kick_data,
  input  logic                     s_kick_valid,
  output logic                     s_kick_ready,
  input  logic [15:0]              s_flush_data,
  input  logic                     s_flush_valid,
  output logic                     s_flush_ready,
  input  logic [QP_INIT_W-1:0]     init_data,
  input  logic                     init_valid,
  output logic                     init_ready,

  // Facts of other blocks, two cycles after the number
  output logic [23:0]              qp_rd_qpn,
  input  logic [QP_CONFIG_W-1:0]   qp_rd_cfg,
  output logic [15:0]              progress_rd_qpn,
  input  logic [SQ_PROGRESS_W-1:0] progress_rd_data,
  output logic [15:0]              pace_rd_qpn,
  input  logic                     pace_rd_hold,

  // QPs on the ready list: any, more than one; the first of them
  output logic                     ready_any,
  output logic                     ready_more,
  output logic [15:0]              ready_qpn,

  // To fetch: a burst, or a block that is here already; taken at once, there is room
  output logic                     m_grant_en,
  output logic                     m_push_en,
  output logic [15:0]              m_qpn,
  output logic [15:0]              m_index,
  output logic [4:0]               m_count,
  output logic [63:0]              m_base,
  output logic [14:0]              m_place,
  output logic [511:0]             m_block,
  input  logic                     grant_room,
  input  logic                     push_room,

  // Configuration
  input  logic                     tx_enable,

  // Events
  output logic                     ev_doorbell_en,
  output logic                     ev_push_en,
  output logic                     ev_bad_en
);

  typedef enum logic [2:0] {EV_GRANT, EV_SQ, EV_PARK, EV_KICK, EV_FLUSH, EV_INIT} event_e;

  localparam int EVENTS = 6;

  typedef struct packed {
    logic        parked;
    logic [15:0] started;   // behind the newest block of an entry that was started, if not old
    logic [15:0] fetch;     // next block to fetch
    logic [15:0] producer;  // behind the last block posted
  } context_t;

  localparam int CONTEXT_W = 49;

  // The ready list

  localparam int LIST = QP_COUNT < 2 ? 2 : 1 << QP_W;

  logic [$clog2(LIST):0] list_count;
  logic [15:0] list_head;
  logic        list_valid;
  logic        list_pop;
  logic        list_push;
  logic        list_ready;
  logic [15:0] s2_qpn_q;

  stream_fifo #(
    .DATA_W (16),
    .DEPTH  (LIST)
  ) u_list (
    .clk,
    .rst,
    .s_data  (s2_qpn_q),
    .s_valid (list_push),
    .s_ready (list_ready),
    .m_data  (list_head),
    .m_valid (list_valid),
    .m_ready (list_pop),
    .count   (list_count)
  );

  assign ready_any  = list_valid;
  assign ready_more = list_count > ($clog2(LIST) + 1)'(1);
  assign ready_qpn  = list_head;

  `RNIC_ASSERT(ready_list_has_room, !list_push || list_ready)

  // Choose: an event whose QP has none inside, after the kind that was chosen last

  qp_init_t     init;
  ring_update_t sq;
  sq_park_t     park;

  logic         again_q;      // the turn goes on behind the end of ring or page
  logic [15:0]  again_qpn_q;
  logic [4:0]   turn_q;       // blocks of the turn so far

  logic         s1_valid_q;
  logic [2:0]   s1_kind_q;
  logic         s1_push_q;
  logic         s1_here_q;
  logic [15:0]  s1_qpn_q;
  logic [511:0] s1_block_q;
  logic [SQ_PARK_W-1:0] s1_park_q;  // index, park and seen of whatever the event is
  logic [2:0]   s1_op_q;

  logic         s2_valid_q;
  logic [2:0]   s2_kind_q;
  logic         s2_push_q;
  logic         s2_here_q;
  logic [511:0] s2_block_q;
  logic [SQ_PARK_W-1:0] s2_park_q;
  logic [2:0]   s2_op_q;

  logic         granting;
  logic         initing;

  assign init     = init_data;
  assign sq       = s_sq_data;
  assign park     = s_park_data;
  assign granting = (s1_valid_q && s1_kind_q == EV_GRANT) || (s2_valid_q && s2_kind_q == EV_GRANT);
  assign initing  = (s1_valid_q && s1_kind_q == EV_INIT) || (s2_valid_q && s2_kind_q == EV_INIT);

  logic [EVENTS-1:0][15:0] qpn;
  logic [EVENTS-1:0]       able;
  logic [EVENTS-1:0]       chosen;
  logic [EVENTS-1:0]       mask_q;      // kinds behind the last one chosen
  logic [EVENTS-1:0]       first;
  logic [EVENTS-1:0]       first_masked;
  logic [15:0]             pick_qpn;
  logic [2:0]              pick_kind;
  logic                    init_mine;

  // A receive ring's reset has no context here.
  assign init_mine = init.op != QP_INIT_OP_RQ_CREATE && init.op != QP_INIT_OP_RTR;

  always_comb begin
    qpn[EV_GRANT] = again_q ? again_qpn_q : list_head;
    qpn[EV_SQ]    = sq.number;
    qpn[EV_PARK]  = park.qpn;
    qpn[EV_KICK]  = s_kick_data;
    qpn[EV_FLUSH] = s_flush_data;
    qpn[EV_INIT]  = init.qpn;
    able[EV_GRANT] = (again_q || list_valid) && grant_room && !granting && tx_enable;
    // A grant may be about to say that its turn goes on.
    able[EV_SQ]    = s_sq_valid && !(s_sq_push && granting);
    able[EV_PARK]  = s_park_valid;
    able[EV_KICK]  = s_kick_valid;
    able[EV_FLUSH] = s_flush_valid;
    able[EV_INIT]  = init_valid && init_mine && !initing;
    for (int i = 0; i < EVENTS; i++) begin
      if (s1_valid_q && s1_qpn_q == qpn[i]) able[i] = 1'b0;
      if (s2_valid_q && s2_qpn_q == qpn[i]) able[i] = 1'b0;
    end
  end

  assign first        = able & (~able + 1'b1);
  assign first_masked = (able & mask_q) & (~(able & mask_q) + 1'b1);
  assign chosen       = first_masked != '0 ? first_masked : first;

  always_comb begin
    pick_qpn  = '0;
    pick_kind = '0;
    for (int i = 0; i < EVENTS; i++) begin
      if (chosen[i]) pick_qpn |= qpn[i];
      if (chosen[i]) pick_kind |= 3'(i);
    end
  end

  assign qp_rd_qpn       = {8'd0, pick_qpn};
  assign progress_rd_qpn = pick_qpn;
  assign pace_rd_qpn     = pick_qpn;

  assign list_pop      = chosen[EV_GRANT] && !again_q;
  assign s_sq_ready    = chosen[EV_SQ];
  assign s_park_ready  = chosen[EV_PARK];
  assign s_kick_ready  = chosen[EV_KICK];
  assign s_flush_ready = chosen[EV_FLUSH];
  assign init_ready    = init_valid && (!init_mine || (s2_valid_q && s2_kind_q == EV_INIT));

  always_ff @(posedge clk) begin
    if (chosen != '0) begin
      for (int i = 0; i < EVENTS; i++) mask_q[i] <= (chosen & ((EVENTS'(1) << i) - 1'b1)) != '0;
    end
    if (rst) mask_q <= '0;
  end

  // Load

  logic [CONTEXT_W-1:0] loaded;
  context_t             ctx_q;
  context_t             ctx_d;
  logic                 ctx_we;

  ram_1w1r #(
    .DATA_W (CONTEXT_W),
    .DEPTH  (QP_COUNT)
  ) u_context (
    .clk,
    .wr_en   (ctx_we),
    .wr_addr (s2_qpn_q[QP_W-1:0]),
    .wr_data (ctx_d),
    .rd_en   (1'b1),
    .rd_addr (pick_qpn[QP_W-1:0]),
    .rd_data (loaded)
  );

  sq_park_t from_park;

  always_comb begin
    from_park = park;
    if (!chosen[EV_PARK]) from_park.index = sq.index;
  end

  always_ff @(posedge clk) begin
    s1_kind_q  <= pick_kind;
    s1_push_q  <= s_sq_push;
    // Without room, or where it would fall into a turn, a pushed block is but a doorbell.
    s1_here_q  <= push_room && !again_q && tx_enable;
    s1_qpn_q   <= pick_qpn;
    s1_block_q <= s_sq_block;
    s1_park_q  <= from_park;
    s1_op_q    <= init.op;
    s2_kind_q  <= s1_kind_q;
    s2_push_q  <= s1_push_q;
    s2_here_q  <= s1_here_q;
    s2_qpn_q   <= s1_qpn_q;
    s2_block_q <= s1_block_q;
    s2_park_q  <= s1_park_q;
    s2_op_q    <= s1_op_q;
    ctx_q      <= loaded;
    s1_valid_q <= chosen != '0;
    s2_valid_q <= s1_valid_q;
    if (rst) begin
      s1_valid_q <= 1'b0;
      s2_valid_q <= 1'b0;
    end
  end

  // Decide

  qp_config_t   cfg;
  sq_progress_t progress;
  sq_wqe_t      pushed;
  sq_park_t     what;

  logic         alive;      // RTS or above
  logic [15:0]  ring_size;
  logic [15:0]  new_index;  // of a doorbell
  logic [15:0]  grown;
  logic         is_old;
  logic         is_far;
  logic [15:0]  behind;     // fetch index behind what is acknowledged: it went back
  logic [15:0]  reach;      // newer of the two
  logic         push_fits;
  logic         sleeps;
  logic [15:0]  waiting;
  logic [15:0]  to_repeat;
  logic         draining;
  logic [15:0]  fetchable;
  logic [14:0]  place;
  logic [15:0]  to_ring_end;
  logic [11:0]  base_low;
  logic [63:0]  sq_base;
  logic [6:0]   to_page_end;
  logic [5:0]   page_place;
  logic [4:0]   turn_left;
  logic [4:0]   most;
  logic [4:0]   in_ring;
  logic [4:0]   burst;
  logic         list_it;
  logic         again_d;
  logic         unlist;
  logic [QP_COUNT-1:0] listed_q;
  logic         listed;

  assign cfg      = qp_rd_cfg;
  assign progress = progress_rd_data;
  assign pushed   = s2_block_q;
  assign what     = s2_park_q;
  assign listed   = listed_q[s2_qpn_q[QP_W-1:0]];
  assign alive    = cfg.exists && (cfg.state == QP_STATE_RTS || cfg.state == QP_STATE_SQD
                                   || cfg.state == QP_STATE_SQE || cfg.state == QP_STATE_ERR);

  // A doorbell, or what a push says without one
  assign ring_size = 16'd1 << cfg.sq_log;
  assign push_fits = pushed.blocks == 4'd1 && pushed.index == ctx_q.producer;
  assign new_index = s2_push_q ? ctx_q.producer + 1'b1 : what.index;
  assign grown     = new_index - ctx_q.producer;
  assign is_old    = grown[15] && grown[14:0] != '0;
  assign behind    = progress.sq_tail - ctx_q.fetch;
  assign reach     = behind[15] ? ctx_q.fetch : progress.sq_tail;
  assign is_far    = 16'(new_index - reach) > ring_size;

  // A park
  assign sleeps = what.paced ? pace_rd_hold && cfg.state != QP_STATE_ERR
                             : what.park && what.seen == progress.count;

  // A grant
  assign sq_base     = cfg.sq_base;
  assign base_low    = sq_base[11:0];
  assign waiting     = ctx_q.producer - ctx_q.fetch;
  assign to_repeat   = ctx_q.started - ctx_q.fetch;
  assign draining    = cfg.state == QP_STATE_SQD;
  assign fetchable   = !draining ? waiting : to_repeat[15] ? '0 : to_repeat;
  assign place       = ctx_q.fetch[14:0] & 15'(ring_size - 1'b1);
  assign to_ring_end = ring_size - {1'b0, place};
  assign page_place  = base_low[11:6] + place[5:0];
  assign to_page_end = 7'd64 - {1'b0, page_place};

  assign turn_left = 5'(TURN) - turn_q;
  assign most      = fetchable < 16'(turn_left) ? fetchable[4:0] : turn_left;
  assign in_ring   = to_ring_end < 16'(most) ? to_ring_end[4:0] : most;
  assign burst     = to_page_end < 7'(in_ring) ? to_page_end[4:0] : in_ring;

  always_comb begin
    ctx_d          = ctx_q;
    ctx_we         = 1'b0;
    list_it        = 1'b0;
    unlist         = 1'b0;
    again_d        = 1'b0;
    m_grant_en     = 1'b0;
    m_push_en      = 1'b0;
    ev_doorbell_en = 1'b0;
    ev_push_en     = 1'b0;
    ev_bad_en      = 1'b0;

    // Kept within reach of `fetch`, or it would look new again when indices have gone round.
    if (to_repeat[15]) ctx_d.started = ctx_q.fetch;

    if (s2_valid_q) begin
      case (s2_kind_q)
        EV_SQ: begin
          ev_push_en     = s2_push_q;
          ev_doorbell_en = !s2_push_q;
          if (!alive || (s2_push_q && !push_fits) || (!is_old && is_far)) begin
            ev_bad_en = 1'b1;
          end else if (!is_old) begin
            ctx_we         = 1'b1;
            ctx_d.producer = new_index;
            if (s2_push_q && s2_here_q && waiting == '0 && !ctx_q.parked) begin
              ctx_d.fetch = new_index;
              m_push_en   = 1'b1;
            end else begin
              list_it = !ctx_q.parked && new_index != ctx_q.fetch;
            end
          end
        end

        EV_PARK: if (alive) begin
          ctx_we       = 1'b1;
          ctx_d.fetch   = what.index;
          ctx_d.parked  = sleeps;
          ctx_d.started = what.started;
          list_it      = !sleeps && ctx_q.producer != what.index;
        end

        EV_KICK, EV_FLUSH: if (alive) begin
          ctx_we       = 1'b1;
          ctx_d.parked = 1'b0;
          list_it      = waiting != '0;
        end

        EV_INIT: begin
          // The QP may still be on the list: its turn will find nothing to do.
          if (s2_op_q != QP_INIT_OP_RTS) begin
            ctx_we = 1'b1;
            ctx_d  = '0;
          end
        end

        EV_GRANT: begin
          if (alive && !ctx_q.parked && fetchable != '0) begin
            m_grant_en  = 1'b1;
            ctx_we      = 1'b1;
            ctx_d.fetch = ctx_q.fetch + 16'(burst);
            // Cut short by the ring or the page, or at the end of the turn?
            again_d = burst != most;
            list_it = burst == most && fetchable != 16'(burst);
            unlist  = burst == most && fetchable == 16'(burst);
          end else begin
            unlist = 1'b1;
          end
        end

        default: ;
      endcase
    end
  end

  // The turn's own QP is still marked, and goes to the end.
  assign list_push = list_it && (!listed || s2_kind_q == EV_GRANT);

  always_ff @(posedge clk) begin
    if (list_push) listed_q[s2_qpn_q[QP_W-1:0]] <= 1'b1;
    if (unlist)    listed_q[s2_qpn_q[QP_W-1:0]] <= 1'b0;
    if (chosen[EV_GRANT]) again_q <= 1'b0;
    if (s2_valid_q && s2_kind_q == EV_GRANT) begin
      again_q     <= again_d;
      again_qpn_q <= s2_qpn_q;
      turn_q      <= again_d ? turn_q + burst : '0;
    end
    if (rst) begin
      listed_q <= '0;
      again_q  <= 1'b0;
      turn_q   <= '0;
    end
  end

  assign m_qpn   = s2_qpn_q;
  assign m_index = s2_kind_q == EV_GRANT ? ctx_q.fetch : ctx_q.producer;
  assign m_count = s2_kind_q == EV_GRANT ? burst : 5'd1;
  assign m_base  = sq_base;
  assign m_place = place;
  assign m_block = s2_block_q;

endmodule
