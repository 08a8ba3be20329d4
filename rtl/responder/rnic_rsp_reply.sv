// rnic_rsp_reply: makes the responses: read data, acknowledges and NAKs.
//
// Per queue pair a ring of 16 reads, then at most one acknowledge, so responses leave in PSN
// order. A newer acknowledge replaces one that waits, and a read swallows it; neither removes a
// NAK for a later PSN. Queue pairs with work stand in a ready list, each once, and send one
// packet per turn. An order takes 2 cycles and goes before a turn, which takes 4. A turn begins
// when there is room for its packet, so orders and failures never wait for the way out.
//
//   s_reply  ─► TAKE ─► STORE                         context, ring of reads, list
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

  // Reads finished, one cycle after the number
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

  // Queue pairs on the list or at their turn, turns taken, packets that wait
  output logic [QP_W:0]          ready_qps,
  output logic                   turn_en,
  output logic [1:0]             packets,

  // Events
  output logic                   ev_ack_en,
  output logic                   ev_nak_en,
  output logic                   ev_rnr_nak_en
);

  typedef struct packed {
    logic [4:0]  head;       // oldest read, running free
    logic [4:0]  tail;       // behind the newest
    logic        started;    // the oldest has sent a packet
    logic        dead;       // a response failed: only its NAK leaves
    logic        ack;        // an acknowledge waits
    logic [23:0] ack_psn;
    logic [7:0]  ack_syndrome;
    logic [23:0] ack_msn;
    logic [23:0] msn;        // newest MSN
    logic [4:0]  replays;    // repeated reads finished
    logic [4:0]  reads;      // reads finished
  } context_t;
  localparam int CONTEXT_W = 103;

  // What is left of a read.
  typedef struct packed {
    logic        replay;
    logic [23:0] psn;
    logic [23:0] msn;
    logic [63:0] va;
    logic [31:0] rkey;
    logic [31:0] length;
  } job_t;
  localparam int JOB_W = 177;

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
  logic [JOB_W-1:0]       job_bits;
  job_t                   job;
  job_t                   job_new;
  job_t                   job_rest;
  logic                   job_write;
  logic                   job_push;
  rsp_reads_t             reads_new;

  assign ctx_init  = '0;
  assign ctx_read  = ctx_bits;
  assign job       = job_bits;
  assign ctx_write = stored || sent;

  ram_1w1r #(.DATA_W(CONTEXT_W), .DEPTH(QP_COUNT)) u_context (
    .clk,
    .wr_en   (ctx_write || init_now),
    .wr_addr (init_now ? init.qpn[QP_W-1:0] : qpn_q),
    .wr_data (init_now ? ctx_init : storing ? ctx_store : ctx_send),
    .rd_en   (taking),
    .rd_addr (qpn),
    .rd_data (ctx_bits)
  );

  ram_1w1r #(.DATA_W(JOB_W), .DEPTH(QP_COUNT * 16)) u_jobs (
    .clk,
    .wr_en   (job_push || job_write),
    .wr_addr ({qpn_q, storing ? ctx_read.tail[3:0] : ctx_q.head[3:0]}),
    .wr_data (storing ? job_new : job_rest),
    .rd_en   (loading),
    .rd_addr ({qpn_q, ctx_read.head[3:0]}),
    .rd_data (job_bits)
  );

  ram_1w1r #(.DATA_W(RSP_READS_W), .DEPTH(QP_COUNT)) u_reads (
    .clk,
    .wr_en   (sent || init_now),
    .wr_addr (init_now ? init.qpn[QP_W-1:0] : qpn_q),
    .wr_data (init_now ? RSP_READS_W'(0) : reads_new),
    .rd_en   (reads_rd_en),
    .rd_addr (reads_rd_qpn),
    .rd_data (reads_rd_data)
  );

  // ------------------------------------------------------------------ an order or a failure

  logic        keeps_nak;
  logic [23:0] order_age;
  logic        newly_failed;
  qp_error_t   error;

  // Older than the NAK that waits: the NAK says more.
  assign order_age    = order.psn - ctx_read.ack_psn;
  assign keeps_nak    = ctx_read.ack && order_age[23] && ctx_read.ack_syndrome[6:5] != AETH_TYPE_ACK;
  assign newly_failed = from_result_q && result.response && !ctx_read.dead;
  assign job_push     = stored && !from_result_q && order.read && !ctx_read.dead;

  always_comb begin
    job_new        = '0;
    job_new.replay = order.replay;
    job_new.psn    = order.psn;
    job_new.msn    = order.msn;
    job_new.va     = order.va;
    job_new.rkey   = order.rkey;
    job_new.length = order.length;
  end

  always_comb begin
    ctx_store = ctx_read;
    if (from_result_q) begin
      if (newly_failed) begin
        ctx_store.dead         = 1'b1;
        ctx_store.head         = ctx_read.tail;
        ctx_store.ack          = 1'b1;
        ctx_store.ack_psn      = result.psn;
        ctx_store.ack_msn      = ctx_read.msn;
        ctx_store.ack_syndrome = result.status == CQE_STATUS_LOC_PROT_ERR
                               ? SYNDROME_NAK_REMOTE_ACCESS : SYNDROME_NAK_REMOTE_OPERATION;
      end
    end else if (!ctx_read.dead) begin
      ctx_store.msn = order.msn;
      if (order.read) begin
        ctx_store.tail = ctx_read.tail + 5'd1;
        if (!order_age[23]) ctx_store.ack = 1'b0;
      end else if (!keeps_nak) begin
        ctx_store.ack          = 1'b1;
        ctx_store.ack_psn      = order.psn;
        ctx_store.ack_msn      = order.msn;
        ctx_store.ack_syndrome = order.syndrome;
      end
    end
  end

  always_comb begin
    error        = '0;
    error.qpn    = result.qpn;
    error.status = result.status == CQE_STATUS_LOC_PROT_ERR ? CQE_STATUS_REM_ACCESS_ERR
                                                            : CQE_STATUS_LOC_QP_OP_ERR;
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
  logic        has_read;
  logic        has_ack;
  logic        finishes_q;
  logic [12:0] piece_q;
  logic        more;
  tx_packet_t  packet;
  mem_req_t    mem;
  logic [TX_PACKET_W-1:0] packet_bits;

  assign packet_bits = packet;

  assign closed   = !cfg.exists || cfg.state == QP_STATE_RESET || cfg.state == QP_STATE_INIT;
  assign has_read = !closed && ctx_q.head != ctx_q.tail;
  assign has_ack  = !closed && ctx_q.head == ctx_q.tail && ctx_q.ack;
  assign want_pkt = has_read || has_ack;

  always_ff @(posedge clk) begin
    if (state_q == LOAD) ctx_q <= ctx_read;
    if (state_q == JOB) begin
      finishes_q <= job.length <= 32'(rsp_mtu_bytes(cfg.path_mtu));
      piece_q    <= job.length <= 32'(rsp_mtu_bytes(cfg.path_mtu)) ? job.length[12:0]
                                                                  : rsp_mtu_bytes(cfg.path_mtu);
    end
  end

  assign job_write = sent && has_read && !finishes_q;

  always_comb begin
    job_rest        = job;
    job_rest.psn    = job.psn + 24'd1;
    job_rest.va     = job.va + 64'(piece_q);
    job_rest.length = job.length - 32'(piece_q);
  end

  always_comb begin
    ctx_send = ctx_q;
    if (closed) begin
      ctx_send.head    = ctx_q.tail;
      ctx_send.started = 1'b0;
      ctx_send.ack     = 1'b0;
    end else if (has_read) begin
      ctx_send.started = !finishes_q;
      if (finishes_q) begin
        ctx_send.head = ctx_q.head + 5'd1;
        if (job.replay) ctx_send.replays = ctx_q.replays + 5'd1;
        else            ctx_send.reads   = ctx_q.reads + 5'd1;
      end
    end else ctx_send.ack = 1'b0;
  end

  assign more              = ctx_send.head != ctx_send.tail || ctx_send.ack;
  assign reads_new.replays = ctx_send.replays;
  assign reads_new.reads   = ctx_send.reads;

  always_comb begin
    mem        = '0;
    mem.pd     = cfg.pd;
    mem.qpn    = 16'(qpn_q);
    mem.access = ACCESS_REMOTE_READ;
    if (has_read && piece_q != '0) begin
      mem.kind   = SEG_KIND_KEY;
      mem.va     = job.va;
      mem.length = piece_q;
      mem.token  = job.rkey;
    end
  end

  always_comb begin
    packet             = '0;
    packet.first       = 1'b1;
    packet.last        = 1'b1;
    packet.response    = 1'b1;
    packet.qpn         = 16'(qpn_q);
    packet.opcode      = OPCODE_RC_ACKNOWLEDGE;
    packet.psn         = ctx_q.ack_psn;
    packet.syndrome    = ctx_q.ack_syndrome;
    packet.msn         = ctx_q.ack_msn;
    if (has_read) begin
      packet.psn         = job.psn;
      packet.payload_len = piece_q;
      packet.syndrome    = SYNDROME_ACK_NO_CREDITS;
      packet.msn         = job.msn;
      if (ctx_q.started) packet.opcode = finishes_q ? OPCODE_RC_READ_RESPONSE_LAST
                                                    : OPCODE_RC_READ_RESPONSE_MIDDLE;
      else               packet.opcode = finishes_q ? OPCODE_RC_READ_RESPONSE_ONLY
                                                    : OPCODE_RC_READ_RESPONSE_FIRST;
    end
  end

  stream_fifo #(.DATA_W(TX_PACKET_W), .DEPTH(2)) u_packets (
    .clk,
    .rst,
    .s_data  ({mem, packet_bits[TX_PACKET_W-MEM_REQ_W-1:0]}),
    .s_valid (sending && want_pkt),
    .s_ready (pkt_ready),
    .m_data  (m_pkt_data),
    .m_valid (m_pkt_valid),
    .m_ready (m_pkt_ready),
    .count   (packets)
  );

  // ------------------------------------------------------------------ listing

  // A turn ends with the QP on the list again or with nothing left; an order or a failure puts
  // it on the list unless it stands there.
  assign list_in   = qpn_q;
  assign list_push = sent ? more : stored && !listed_q[qpn_q] && (!from_result_q || newly_failed);

  always_ff @(posedge clk) begin
    if (stored && list_push) listed_q[qpn_q] <= 1'b1;
    if (sent)                listed_q[qpn_q] <= more;
    if (rst) listed_q <= '0;
  end

  assign ev_ack_en     = sent && has_ack && ctx_q.ack_syndrome[6:5] == AETH_TYPE_ACK;
  assign ev_nak_en     = sent && has_ack && ctx_q.ack_syndrome[6:5] == AETH_TYPE_NAK;
  assign ev_rnr_nak_en = sent && has_ack && ctx_q.ack_syndrome[6:5] == AETH_TYPE_RNR;

endmodule
