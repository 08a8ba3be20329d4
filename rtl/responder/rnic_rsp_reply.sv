// rnic_rsp_reply: makes the responses: read data, original numbers, acknowledges and NAKs.
//
// A queue pair has a job for each place of its resource table, and at most one acknowledge. Jobs
// that are wanted are answered from the oldest to the newest, then the acknowledge goes, so
// responses leave in PSN order and no acknowledge passes a read. A repeated read sets its job
// back, wherever that was; a repeated atomic finds its original number still in its job. A newer
// acknowledge replaces one that waits, and a read swallows it; neither removes a NAK for a later
// PSN, but the request that the NAK asked for does.
//
// An acknowledge may wait for requests of its QP that are on their way through the receive
// pipeline (there are, while check has promised more orders than came), until it covers
// `ack_every` requests or `ack_delay` cycles are over. The last one never waits. A promised repeat
// that is forgotten after all lets it go.
//
// Queue pairs with work stand in a ready list, each once, and send one packet per turn. An order
// takes 2 cycles and goes before a turn, which takes 4. A turn begins when there is room for its
// packet, so orders and failures never wait for the way out.
//
//   s_reply  ─► TAKE ─► STORE                         context, jobs, list or hold
//   s_result ─► TAKE ─► STORE                         NAK for a read that could not be sent
//   list     ─► TAKE ─► LOAD ─► JOB ─► SEND ─► m_pkt
`include "responder.svh"
`include "wire.svh"
`include "codes.svh"

module rnic_rsp_reply #(
  parameter int QP_COUNT = 256,
  localparam int QP_W    = $clog2(QP_COUNT)
) (
  input  logic                   clk,
  input  logic                   rst,

  // Orders
  input  logic [RSP_REPLY_W-1:0] s_reply_data,
  input  logic                   s_reply_valid,
  output logic                   s_reply_ready,

  // Responses that could not be sent
  input  logic [TX_RESULT_W-1:0] s_result_data,
  input  logic                   s_result_valid,
  output logic                   s_result_ready,

  // Configuration of a QP, two cycles after its number
  output logic [23:0]            qp_rd_qpn,
  input  logic [QP_CONFIG_W-1:0] qp_rd_cfg,

  // Orders that check promised, one cycle after the number
  output logic [QP_W-1:0]         orders_rd_qpn,
  output logic                    orders_rd_en,
  input  logic [RSP_ORDERS_W-1:0] orders_rd_data,

  // Reads and atomics answered, one cycle after the number
  input  logic [QP_W-1:0]        reads_rd_qpn,
  input  logic                   reads_rd_en,
  output logic [RSP_READS_W-1:0] reads_rd_data,

  // Packets
  output logic [TX_PACKET_W-1:0] m_pkt_data,
  output logic                   m_pkt_valid,
  input  logic                   m_pkt_ready,

  // Queue pairs to end
  output logic [QP_ERROR_W-1:0]  m_error_data,
  output logic                   m_error_valid,
  input  logic                   m_error_ready,

  // Context of a new life
  input  logic [QP_INIT_W-1:0]   init_data,
  input  logic                   init_valid,
  output logic                   init_ready,

  // How long an acknowledge may wait; not at all
  input  logic [7:0]             ack_every,
  input  logic [15:0]            ack_delay,
  input  logic                   hurry,

  // Queue pairs that hold an acknowledge back, on the list or at their turn, turns taken, packets
  // that wait
  output logic [QP_W:0]          held_qps,
  output logic [QP_W:0]          ready_qps,
  output logic                   turn_en,
  output logic [1:0]             packets,

  // Events
  output logic                   ev_ack_en,
  output logic                   ev_nak_en,
  output logic                   ev_rnr_nak_en
);

  typedef struct packed {
    logic [15:0] wanted;     // jobs to answer, by place
    logic [15:0] open;       // jobs never answered to the end
    logic [3:0]  newest;     // place of the newest
    logic        dead;       // a response failed: only its NAK leaves
    logic        ack;        // an acknowledge waits
    logic [23:0] ack_psn;
    logic [7:0]  ack_syndrome;
    logic [23:0] ack_msn;
    logic [7:0]  covered;    // requests that it covers
    logic [23:0] msn;        // newest MSN
    logic [9:0]  orders;     // that came, modulo 1024
    logic [4:0]  reads;      // reads and atomics answered, modulo 32
  } context_t;
  localparam int CONTEXT_W = 141;

  // Distance of the oldest wanted job from the place behind the newest.
  function automatic logic [3:0] oldest(input logic [15:0] wanted, input logic [3:0] newest);
    logic [31:0] twice;
    logic [15:0] turned;
    logic [3:0]  first;
    twice  = {wanted, wanted};
    turned = 16'(twice >> (5'd1 + 5'(newest)));
    first  = 4'd0;
    for (int i = 15; i >= 0; i--) if (turned[i]) first = 4'(i);
    oldest = newest + 4'd1 + first;
  endfunction

  typedef enum logic [2:0] {TAKE, STORE, LOAD, JOB, SEND} state_e;

  state_e     state_q;
  state_e     state_d;
  logic       taking;
  logic       storing;
  logic       loading;
  logic       sending;
  rsp_reply_t order;
  tx_result_t result;
  qp_config_t cfg;
  qp_init_t   init;
  logic       init_now;

  assign taking     = state_q == TAKE;
  assign storing    = state_q == STORE;
  assign loading    = state_q == LOAD;
  assign sending    = state_q == SEND;
  assign order      = s_reply_data;
  assign result     = s_result_data;
  assign cfg        = qp_rd_cfg;
  assign init       = init_data;
  assign init_now   = state_q == TAKE && init_valid && (init.op == QP_INIT_OP_CREATE
                   || init.op == QP_INIT_OP_DESTROY || init.op == QP_INIT_OP_RTR);
  assign init_ready = state_q == TAKE;

  // ------------------------------------------------------------------ ready list

  logic [QP_COUNT-1:0] listed_q;   // outlives init: a QP is never listed twice
  logic [QP_W-1:0]     list_in;
  logic                list_push;
  logic [QP_W-1:0]     list_head;
  logic                list_valid;
  logic                list_pop;
  logic [QP_W:0]       listed;

  stream_fifo #(.DATA_W(QP_W), .DEPTH(QP_COUNT)) u_list (
    .clk,
    .rst,
    .s_data  (list_in),
    .s_valid (list_push),
    .s_ready (),
    .m_data  (list_head),
    .m_valid (list_valid),
    .m_ready (list_pop),
    .count   (listed)
  );

  assign ready_qps = listed + (QP_W + 1)'(state_q == LOAD || state_q == JOB || state_q == SEND);

  // ------------------------------------------------------------------ whose turn

  logic            from_result_q;
  logic            take_result;
  logic            take_order;
  logic            take_turn;
  logic            sent;
  logic            stored;
  logic            pkt_ready;
  logic            want_pkt;
  logic            error_ready;
  logic [QP_W-1:0] qpn_q;
  logic [QP_W-1:0] qpn;

  assign take_result = state_q == TAKE && !init_valid && s_result_valid;
  assign take_order  = state_q == TAKE && !init_valid && !s_result_valid && s_reply_valid;
  assign take_turn   = state_q == TAKE && !init_valid && !s_result_valid && !s_reply_valid
                    && list_valid && pkt_ready;
  assign list_pop    = take_turn;

  assign qpn = take_result ? result.qpn[QP_W-1:0]
             : take_order  ? order.qpn[QP_W-1:0]
             : taking      ? list_head : qpn_q;

  assign stored         = state_q == STORE && (!from_result_q || error_ready);
  assign s_reply_ready  = stored && !from_result_q;
  assign s_result_ready = stored && from_result_q;
  assign sent           = state_q == SEND;
  assign turn_en        = sent;
  assign qp_rd_qpn      = 24'(qpn);

  always_comb begin
    state_d = state_q;
    case (state_q)
      TAKE:    if (take_result || take_order) state_d = STORE;
               else if (take_turn)            state_d = LOAD;
      STORE:   if (stored) state_d = TAKE;
      LOAD:    state_d = JOB;
      JOB:     state_d = SEND;
      SEND:    state_d = TAKE;
      default: state_d = TAKE;
    endcase
  end

  always_ff @(posedge clk) begin
    state_q <= state_d;
    if (state_q == TAKE) begin
      qpn_q         <= qpn;
      from_result_q <= take_result;
    end
    if (rst) state_q <= TAKE;
  end

  // ------------------------------------------------------------------ memories

  logic [CONTEXT_W-1:0]   ctx_bits;
  context_t               ctx_read;
  context_t               ctx_q;
  context_t               ctx_store;  // behind STORE
  context_t               ctx_send;   // behind SEND
  context_t               ctx_init;
  logic                   ctx_write;
  logic [3:0]             place;      // job to answer
  logic [3:0]             place_q;
  logic [RSP_JOB_W-1:0]   job_bits;
  logic [RSP_JOB_W-1:0]   rest_bits;
  logic [63:0]            value;
  logic [63:0]            rest_value;
  rsp_job_t               job;
  rsp_job_t               job_new;
  logic                   job_store;
  logic                   job_send;

  assign ctx_init  = '0;
  assign ctx_read  = ctx_bits;
  assign job       = job_bits;
  assign ctx_write = stored || sent;
  assign place     = oldest(ctx_read.wanted, ctx_read.newest);

  ram_1w1r #(.DATA_W(CONTEXT_W), .DEPTH(QP_COUNT)) u_context (
    .clk,
    .wr_en   (ctx_write || init_now),
    .wr_addr (init_now ? init.qpn[QP_W-1:0] : qpn_q),
    .wr_data (init_now ? ctx_init : storing ? ctx_store : ctx_send),
    .rd_en   (taking),
    .rd_addr (qpn),
    .rd_data (ctx_bits)
  );

  ram_1w1r #(.DATA_W(RSP_JOB_W), .DEPTH(QP_COUNT * 16)) u_jobs (
    .clk,
    .wr_en   (job_store || job_send),
    .wr_addr ({qpn_q, storing ? order.place : place_q}),
    .wr_data (storing ? job_new : rest_bits),
    .rd_en   (loading),
    .rd_addr ({qpn_q, place}),
    .rd_data (job_bits)
  );

  ram_1w1r #(.DATA_W(64), .DEPTH(QP_COUNT * 16)) u_values (
    .clk,
    .wr_en   ((job_store && !(order.again && job_new.atomic)) || job_send),
    .wr_addr ({qpn_q, storing ? order.place : place_q}),
    .wr_data (storing ? order.value : rest_value),
    .rd_en   (loading),
    .rd_addr ({qpn_q, place}),
    .rd_data (value)
  );

  ram_1w1r #(.DATA_W(RSP_READS_W), .DEPTH(QP_COUNT)) u_reads (
    .clk,
    .wr_en   (sent || init_now),
    .wr_addr (init_now ? init.qpn[QP_W-1:0] : qpn_q),
    .wr_data (init_now ? RSP_READS_W'(0) : ctx_send.reads),
    .rd_en   (reads_rd_en),
    .rd_addr (reads_rd_qpn),
    .rd_data (reads_rd_data)
  );

  // ------------------------------------------------------------------ an order or a failure

  logic        is_job;
  logic        is_ack;
  logic        keeps_nak;
  logic        is_nak;       // a NAK waits
  logic        settles;      // and is answered by now
  logic [23:0] order_age;
  logic        newly_failed;
  logic        forgotten;    // the order is a repeat that gets no answer
  logic        accepts;      // the order changes something
  logic        more_come;
  logic        hold;
  qp_error_t   error;

  // Older than the NAK that waits: the NAK says more.
  assign order_age    = order.psn - ctx_read.ack_psn;
  assign is_nak       = ctx_read.ack && ctx_read.ack_syndrome[6:5] != AETH_TYPE_ACK;
  assign keeps_nak    = is_nak && order_age[23];
  assign settles      = is_nak && order_age == '0;
  assign newly_failed = from_result_q && result.response && !ctx_read.dead;
  assign is_job       = order.kind == RSP_REPLY_READ || order.kind == RSP_REPLY_ATOMIC;
  assign forgotten    = !from_result_q && order.kind == RSP_REPLY_SETTLE && order.again;
  assign is_ack       = order.kind == RSP_REPLY_ACK ? !keeps_nak
                      : order.kind == RSP_REPLY_SETTLE && !order.again && settles;
  assign accepts      = !from_result_q && !ctx_read.dead && (is_job || is_ack);
  assign job_store    = stored && accepts && is_job;

  assign orders_rd_qpn = qpn;
  assign orders_rd_en  = taking;

  // Worth waiting: requests that an acknowledge is promised to are on their way.
  assign more_come = orders_rd_data != ctx_read.orders + 10'd1;
  assign hold      = accepts && order.kind == RSP_REPLY_ACK && more_come && !hurry
                  && order.syndrome[6:5] == AETH_TYPE_ACK && ctx_read.wanted == '0
                  && 9'(ctx_read.covered) + 9'd1 < {1'b0, ack_every};

  always_comb begin
    job_new        = '0;
    job_new.atomic  = order.kind == RSP_REPLY_ATOMIC;
    job_new.credits = order.syndrome[4:0];
    job_new.psn     = order.psn;
    job_new.msn     = order.msn;
    job_new.rkey    = order.rkey;
    job_new.length  = order.kind == RSP_REPLY_ATOMIC ? 32'd0 : order.length;
  end

  logic [15:0] order_bit;

  assign order_bit = 16'd1 << order.place;

  always_comb begin
    ctx_store = ctx_read;
    if (from_result_q) begin
      if (newly_failed) begin
        ctx_store.dead         = 1'b1;
        ctx_store.wanted       = '0;
        ctx_store.ack          = 1'b1;
        ctx_store.ack_psn      = result.psn;
        ctx_store.ack_msn      = ctx_read.msn;
        ctx_store.ack_syndrome = result.status == CQE_STATUS_LOC_PROT_ERR
                               ? SYNDROME_NAK_REMOTE_ACCESS : SYNDROME_NAK_REMOTE_OPERATION;
      end
    end else begin
      if (order.kind != RSP_REPLY_SETTLE || forgotten) ctx_store.orders = ctx_read.orders + 10'd1;
      if (accepts) begin
        ctx_store.msn = order.msn;
        if (is_job) begin
          ctx_store.wanted = ctx_read.wanted | order_bit;
          if (!order.again) begin
            ctx_store.open   = ctx_read.open | order_bit;
            ctx_store.newest = order.place;
          end
          if (!order_age[23]) begin
            ctx_store.ack     = 1'b0;
            ctx_store.covered = '0;
          end
        end else begin
          ctx_store.ack          = 1'b1;
          ctx_store.ack_psn      = order.psn;
          ctx_store.ack_msn      = order.msn;
          ctx_store.ack_syndrome = order.syndrome;
          if (ctx_read.covered != '1) ctx_store.covered = ctx_read.covered + 8'd1;
        end
      end
    end
  end

  always_comb begin
    error        = '0;
    error.qpn    = result.qpn;
    error.status = result.status == CQE_STATUS_LOC_PROT_ERR ? CQE_STATUS_REM_ACCESS_ERR
                                                            : CQE_STATUS_LOC_QP_OP_ERR;
    error.remote = 1'b1;
  end

  stream_fifo #(.DATA_W(QP_ERROR_W), .DEPTH(2)) u_errors (
    .clk,
    .rst,
    .s_data  (error),
    .s_valid (stored && newly_failed),
    .s_ready (error_ready),
    .m_data  (m_error_data),
    .m_valid (m_error_valid),
    .m_ready (m_error_ready),
    .count   ()
  );

  // ------------------------------------------------------------------ a turn

  logic        closed;     // the QP was reset: what waits is void
  logic        has_job;
  logic        has_ack;
  logic        finishes_q;
  logic [12:0] piece_q;
  logic        more;
  logic [15:0] place_bit;
  logic [TX_PACKET_W-1:0] packet_bits;

  assign place_bit = 16'd1 << place_q;

  assign closed   = !cfg.exists || cfg.state == QP_STATE_RESET || cfg.state == QP_STATE_INIT;
  assign has_job  = !closed && ctx_q.wanted != '0;
  assign has_ack  = !closed && ctx_q.wanted == '0 && ctx_q.ack;
  assign want_pkt = has_job || has_ack;

  always_ff @(posedge clk) begin
    if (state_q == LOAD) begin
      ctx_q   <= ctx_read;
      place_q <= place;
    end
    if (state_q == JOB) begin
      finishes_q <= job.length <= 32'(rsp_mtu_bytes(cfg.path_mtu));
      piece_q    <= job.length <= 32'(rsp_mtu_bytes(cfg.path_mtu)) ? job.length[12:0]
                                                                  : rsp_mtu_bytes(cfg.path_mtu);
    end
  end

  assign job_send = sent && has_job && !finishes_q;

  always_comb begin
    ctx_send = ctx_q;
    if (closed) begin
      ctx_send.wanted  = '0;
      ctx_send.ack     = 1'b0;
      ctx_send.covered = '0;
    end else if (has_job) begin
      if (finishes_q) begin
        ctx_send.wanted = ctx_q.wanted & ~place_bit;
        ctx_send.open   = ctx_q.open & ~place_bit;
        if ((ctx_q.open & place_bit) != '0) ctx_send.reads = ctx_q.reads + 5'd1;
      end
    end else begin
      ctx_send.ack     = 1'b0;
      ctx_send.covered = '0;
    end
  end

  assign more = ctx_send.wanted != '0 || ctx_send.ack;

  rnic_rsp_packet #(.QP_W(QP_W)) u_packet (
    .qpn          (qpn_q),
    .pd           (cfg.pd),
    .has_job,
    .job_data     (job_bits),
    .value,
    .piece        (piece_q),
    .finishes     (finishes_q),
    .again        ((ctx_q.open & place_bit) == '0),
    .ack_psn      (ctx_q.ack_psn),
    .ack_syndrome (ctx_q.ack_syndrome),
    .ack_msn      (ctx_q.ack_msn),
    .rest_data    (rest_bits),
    .rest_value,
    .packet_data  (packet_bits)
  );

  stream_fifo #(.DATA_W(TX_PACKET_W), .DEPTH(2)) u_packets (
    .clk,
    .rst,
    .s_data  (packet_bits),
    .s_valid (sending && want_pkt),
    .s_ready (pkt_ready),
    .m_data  (m_pkt_data),
    .m_valid (m_pkt_valid),
    .m_ready (m_pkt_ready),
    .count   (packets)
  );

  // ------------------------------------------------------------------ listing

  // A turn ends with the QP on the list again or with nothing left; an order or a failure puts
  // it on the list unless it stands there or its acknowledge is held back. One whose time is up
  // is listed while nothing else is.
  logic [QP_COUNT-1:0] held_q;  // holds an acknowledge back
  logic [QP_W-1:0]     due_qpn;
  logic                due_valid;
  logic                due;
  logic                store_list;
  logic                store_hold;

  rnic_rsp_hold #(.QP_COUNT(QP_COUNT)) u_hold (
    .clk,
    .rst,
    .hold_en   (store_hold),
    .hold_qpn  (qpn_q),
    .due_qpn,
    .due_valid,
    .due_ready (taking),
    .delay     (ack_delay),
    .hurry,
    .held      (held_qps)
  );

  assign store_hold = stored && hold && !listed_q[qpn_q];
  assign store_list = stored && !hold && !listed_q[qpn_q]
                   && (accepts || newly_failed || (forgotten && ctx_read.ack));
  assign due        = taking && due_valid && held_q[due_qpn] && !listed_q[due_qpn];
  assign list_in    = taking ? due_qpn : qpn_q;
  assign list_push  = taking ? due : sent ? more : store_list;

  always_ff @(posedge clk) begin
    if (store_hold)       held_q[qpn_q] <= 1'b1;
    else if (store_list)  held_q[qpn_q] <= 1'b0;
    if (store_list)       listed_q[qpn_q] <= 1'b1;
    if (sent)             listed_q[qpn_q] <= more;
    if (due) begin
      held_q[due_qpn]   <= 1'b0;
      listed_q[due_qpn] <= 1'b1;
    end
    if (rst) begin
      held_q   <= '0;
      listed_q <= '0;
    end
  end

  assign ev_ack_en     = sent && has_ack && ctx_q.ack_syndrome[6:5] == AETH_TYPE_ACK;
  assign ev_nak_en     = sent && has_ack && ctx_q.ack_syndrome[6:5] == AETH_TYPE_NAK;
  assign ev_rnr_nak_en = sent && has_ack && ctx_q.ack_syndrome[6:5] == AETH_TYPE_RNR;

endmodule
