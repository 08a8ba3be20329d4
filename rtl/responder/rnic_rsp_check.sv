// rnic_rsp_check: decides what a request packet does (rocev2 4.2, first failure decides).
//
// Every header gives exactly one command, in order; a refused packet's NAK is a command that
// moves nothing, so it cannot overtake. Receive ring entries are claimed here. A frame takes
// 3 cycles: its context is read, compared and written before the next frame's is read. A
// repeated READ or atomic is looked for in the resource table, a place per cycle. A queue pair
// that went to ERR takes turns with the frames to flush its receive entries.
//
//   s_req ─► TAKE ─► LOAD ─► JUDGE ────────────► m_cmd
//                              └─► SEEK ─► ANSWER ─┘
`include "responder.svh"
`include "wire.svh"
`include "codes.svh"
`include "assert.svh"

module rnic_rsp_check #(
  parameter int QP_COUNT = 256,
  parameter int RQ_COUNT = 320,
  parameter int FLUSHES  = 16,
  localparam int QP_W    = $clog2(QP_COUNT),
  localparam int RQ_W    = $clog2(RQ_COUNT)
) (
  input  logic                   clk,
  input  logic                   rst,

  // Requests, with the configuration of their QP
  input  logic [RX_HEADER_W-1:0] s_req_hdr,
  input  logic [QP_CONFIG_W-1:0] s_req_cfg,
  input  logic                   s_req_valid,
  output logic                   s_req_ready,

  // Doorbells of receive rings
  input  logic [RING_UPDATE_W-1:0] s_rq_data,
  input  logic                   s_rq_valid,
  output logic                   s_rq_ready,

  // Queue pairs that went to ERR, and flushed entries that left the responder
  input  logic [15:0]            s_flush_data,
  input  logic                   s_flush_valid,
  output logic                   s_flush_ready,
  input  logic                   flushed_en,

  // Configuration of a QP to flush, two cycles after the number
  output logic [23:0]            qp_rd_qpn,
  input  logic [QP_CONFIG_W-1:0] qp_rd_cfg,

  // Reads and atomics that reply has answered, one cycle after the number
  output logic [QP_W-1:0]        reads_rd_qpn,
  output logic                   reads_rd_en,
  input  logic [RSP_READS_W-1:0] reads_rd_data,

  // Orders for reply that were sent on their way, one cycle after the number
  input  logic [QP_W-1:0]         orders_rd_qpn,
  input  logic                    orders_rd_en,
  output logic [RSP_ORDERS_W-1:0] orders_rd_data,

  // What to do
  output logic [RSP_CMD_W-1:0]   m_cmd_data,
  output logic                   m_cmd_valid,
  input  logic                   m_cmd_ready,

  // Receive entries taken by frames
  output logic                   claim_en,
  output logic [15:0]            claim_rq,

  // Context of a new life
  input  logic [QP_INIT_W-1:0]   init_data,
  input  logic                   init_valid,
  output logic                   init_ready,

  // Flushes on their way
  output logic [$clog2(FLUSHES):0] flushes,

  // Events; the first request of a life was accepted in RTR
  output logic                   established_en,
  output logic [QP_W-1:0]        established_qpn,
  output logic                   ev_duplicate_en,
  output logic                   ev_sequence_en,
  output logic                   ev_no_wqe_en,
  output logic                   ev_resource_en
);

  typedef struct packed {
    logic [23:0] epsn;      // next PSN expected
    logic [23:0] msn;       // messages completed
    logic        in_send;   // a SEND is in progress
    logic        in_write;  // a WRITE is in progress
    logic        nak_sent;  // until epsn arrives
    logic        dead;      // answered with a fatal NAK, or flushed
    logic [63:0] wr_va;     // WRITE in progress: next byte
    logic [31:0] wr_rkey;   // its token
    logic [31:0] wr_left;   // bytes to come
    logic [31:0] wr_len;    // bytes of the message
    logic        greeted;   // a request was accepted
    logic [9:0]  orders;    // for reply, modulo 1024
    logic [4:0]  reads;     // accepted, atomics too, modulo 32
    logic [3:0]  newest;    // place of the next record
    logic [4:0]  records;   // remembered
  } context_t;
  localparam int CONTEXT_W = 52 + 160 + 25;

  typedef enum logic [2:0] {TAKE, LOAD, JUDGE, SEEK, ANSWER} state_e;

  state_e     state_q;
  state_e     state_d;
  logic       taking;
  rx_header_t hdr;
  qp_config_t cfg;
  qp_config_t flush_cfg;
  qp_init_t   init;
  ring_update_t rq;

  assign taking    = state_q == TAKE;
  assign hdr       = s_req_hdr;
  assign cfg       = s_req_cfg;
  assign flush_cfg = qp_rd_cfg;
  assign init      = init_data;
  assign rq        = s_rq_data;

  // ------------------------------------------------------------------ whose turn

  logic [QP_W-1:0]     turn;         // queue pair whose turn of flushing it is
  logic                turn_hand;    // for the WQE in hand
  logic                was_flush_q;
  logic                flushing_q;
  logic                flush_due;
  logic                begin_flush;
  logic                begin_frame;
  logic                init_now;
  logic                init_qp;
  logic                init_ring;
  logic                cmd_taken;
  logic                finished;

  assign init_now    = state_q == TAKE && init_valid;
  assign init_ready  = state_q == TAKE;
  assign begin_flush = state_q == TAKE && !init_valid && flush_due
                    && !(s_req_valid && was_flush_q);
  assign begin_frame = state_q == TAKE && !init_valid && s_req_valid && !begin_flush;
  assign init_qp     = init.op == QP_INIT_OP_CREATE || init.op == QP_INIT_OP_DESTROY
                    || init.op == QP_INIT_OP_RTR;
  assign init_ring   = init.op == QP_INIT_OP_CREATE || init.op == QP_INIT_OP_DESTROY
                    || init.op == QP_INIT_OP_RQ_CREATE;

  rnic_rsp_turns #(.QP_COUNT(QP_COUNT), .FLUSHES(FLUSHES)) u_turns (
    .clk,
    .rst,
    .error_en      (s_flush_valid && s_flush_ready),
    .error_qpn     (s_flush_data[QP_W-1:0]),
    .doorbell_en   (s_rq_valid && s_rq_ready),
    .doorbell_ring (rq.number),
    .free          (taking),
    .qpn           (turn),
    .due           (flush_due),
    .in_hand       (turn_hand),
    .begin_en      (begin_flush),
    .flush_en      (cmd_taken && flushing_q),
    .flushed_en,
    .init_en       (init_now && init_qp),
    .init_qpn      (init.qpn[QP_W-1:0]),
    .flushes
  );

  // ------------------------------------------------------------------ memories

  logic [QP_W-1:0]      turn_qpn;
  logic [RQ_W-1:0]      turn_rq;
  logic [CONTEXT_W-1:0] ctx_bits;
  context_t             ctx_read;
  context_t             ctx_q;
  context_t             ctx_d;
  context_t             ctx_init;
  logic                 ctx_write;
  logic [15:0]          producer;
  logic [15:0]          consumer;
  logic [15:0]          consumer_q;
  logic                 claim;

  assign turn_qpn = begin_flush || (flushing_q && state_q != TAKE) ? turn : hdr.qpn[QP_W-1:0];
  assign turn_rq  = begin_flush ? RQ_W'(turn) : cfg.rq_id[RQ_W-1:0];

  assign qp_rd_qpn    = 24'(turn);
  assign reads_rd_qpn = turn_qpn;
  assign reads_rd_en  = state_q == TAKE;

  always_comb begin
    ctx_init = '0;
    if (init.op == QP_INIT_OP_RTR) ctx_init.epsn = init.psn;
  end

  ram_1w1r #(.DATA_W(CONTEXT_W), .DEPTH(QP_COUNT)) u_context (
    .clk,
    .wr_en   (ctx_write || (init_now && init_qp)),
    .wr_addr (init_now ? init.qpn[QP_W-1:0] : turn_qpn),
    .wr_data (init_now ? ctx_init : ctx_d),
    .rd_en   (taking),
    .rd_addr (turn_qpn),
    .rd_data (ctx_bits)
  );

  ram_1w1r #(.DATA_W(16), .DEPTH(RQ_COUNT)) u_producer (
    .clk,
    .wr_en   ((init_now && init_ring) || (s_rq_valid && s_rq_ready)),
    .wr_addr (init_now ? init.qpn[RQ_W-1:0] : rq.number[RQ_W-1:0]),
    .wr_data (init_now ? 16'd0 : rq.index),
    .rd_en   (taking),
    .rd_addr (turn_rq),
    .rd_data (producer)
  );

  ram_1w1r #(.DATA_W(16), .DEPTH(RQ_COUNT)) u_consumer (
    .clk,
    .wr_en   ((init_now && init_ring) || claim),
    .wr_addr (init_now ? init.qpn[RQ_W-1:0] : flushing_q ? RQ_W'(turn) : cfg.rq_id[RQ_W-1:0]),
    .wr_data (init_now ? 16'd0 : consumer_q + 16'd1),
    .rd_en   (taking),
    .rd_addr (turn_rq),
    .rd_data (consumer)
  );

  // What reply compares its orders with.
  ram_1w1r #(.DATA_W(RSP_ORDERS_W), .DEPTH(QP_COUNT)) u_orders (
    .clk,
    .wr_en   (ctx_write || (init_now && init_qp)),
    .wr_addr (init_now ? init.qpn[QP_W-1:0] : turn_qpn),
    .wr_data (init_now ? RSP_ORDERS_W'(0) : ctx_d.orders),
    .rd_en   (orders_rd_en),
    .rd_addr (orders_rd_qpn),
    .rd_data (orders_rd_data)
  );

  assign ctx_read      = ctx_bits;
  assign s_rq_ready    = !init_now;
  assign s_flush_ready = !init_now;

  // ------------------------------------------------------------------ compare (LOAD)

  opcode_info_t info;
  logic         is_send;
  logic         is_write;
  logic         is_read;
  logic         is_atomic;
  logic         is_table;     // kept in the resource table
  logic         ends;
  logic         takes_wqe;
  logic [23:0]  packets;
  logic         refused;
  logic         bad_length;
  logic [23:0]  distance;
  logic [4:0]   reads_out;
  logic [15:0]  entries;
  logic         has_entry;

  logic         expected_q;   // PSN is the one expected
  logic         behind_q;     // a duplicate
  logic         refused_q;    // sequence, opcode or rights
  logic         too_many_q;   // reads and atomics above the limit
  logic         entry_q;      // the receive ring has an entry
  logic [15:0]  entries_q;    // so many
  logic         bad_length_q;
  logic [23:0]  packets_q;    // PSNs that the request takes

  rnic_rsp_rules u_rules (
    .hdr_data   (s_req_hdr),
    .cfg_data   (s_req_cfg),
    .in_send    (ctx_read.in_send),
    .in_write   (ctx_read.in_write),
    .write_left (ctx_read.wr_left),
    .is_send,
    .is_write,
    .is_read,
    .is_atomic,
    .starts     (),
    .ends,
    .takes_wqe,
    .packets,
    .refused,
    .bad_length
  );

  assign info      = opcode_info(hdr.opcode);
  assign is_table  = is_read || is_atomic;
  assign distance  = hdr.psn - ctx_read.epsn;
  assign reads_out = ctx_read.reads - reads_rd_data;
  assign entries   = producer - consumer;
  assign has_entry = entries != '0 && entries <= 16'h8000;

  always_ff @(posedge clk) begin
    if (state_q == LOAD) begin
      ctx_q        <= ctx_read;
      consumer_q   <= consumer;
      expected_q   <= distance == '0;
      behind_q     <= distance[23];
      too_many_q   <= is_table && reads_out >= cfg.max_dest_rd_atomic;
      entry_q      <= has_entry;
      entries_q    <= has_entry ? entries : '0;
      refused_q    <= refused;
      bad_length_q <= bad_length;
      packets_q    <= packets;
    end
  end

  // ------------------------------------------------------------------ resource table

  rsp_record_t record;
  logic        remember;
  logic        seeking;
  logic        seek_done;
  logic        seek_found;
  logic [3:0]  seek_place;
  logic        found_q;     // the repeated request is remembered
  logic [3:0]  place_q;     // there

  always_comb begin
    record        = '0;
    record.atomic = is_atomic;
    record.psn    = hdr.psn;
    record.va     = hdr.reth_va;
    record.rkey   = hdr.reth_rkey;
    record.length = hdr.reth_len;
  end

  rnic_rsp_records #(.QP_COUNT(QP_COUNT)) u_records (
    .clk,
    .rst,
    .write_en    (remember),
    .write_qpn   (turn_qpn),
    .write_place (ctx_q.newest),
    .write_data  (record),
    .seek        (seeking),
    .seek_qpn    (turn_qpn),
    .seek_next   (ctx_q.newest),
    .seek_count  (ctx_q.records),
    .seek_data   (record),
    .seek_mtu    (cfg.path_mtu),
    .done        (seek_done),
    .found       (seek_found),
    .place       (seek_place)
  );

  // ------------------------------------------------------------------ judge

  logic        live;
  logic        accepted;
  logic        again;         // a repeated read or atomic
  logic        out_of_order;
  logic        repeated;      // any other repeated request
  logic        fatal_early;
  logic        no_entry;
  logic        fatal_length;
  logic        good;
  logic        promised;      // reply will get an order
  logic [23:0] msn_d;

  // Exactly one of these, or none for a dead QP. Plain assigns, here and wherever an always_comb
  // reads the result: Icarus 11 runs all always_comb blocks of a module when a value that one of
  // them reads changes on the way to its final value, which never ends if another makes it.
  assign live          = !ctx_q.dead;
  assign again         = live && behind_q && is_table;
  assign repeated      = live && behind_q && !is_table;
  assign out_of_order  = live && !behind_q && !expected_q;
  assign fatal_early   = live && expected_q && (refused_q || too_many_q);
  assign accepted      = live && expected_q && !refused_q && !too_many_q;
  assign no_entry      = accepted && takes_wqe && !entry_q;
  assign fatal_length  = accepted && !no_entry && bad_length_q;
  assign good          = accepted && !no_entry && !bad_length_q;
  assign seeking       = state_q == SEEK;
  assign msn_d         = ends ? ctx_q.msn + 24'd1 : ctx_q.msn;

  logic flush_hand;
  logic flush_entry;
  logic flush_live;

  assign flush_live  = flush_cfg.state == QP_STATE_ERR;
  assign flush_hand  = flush_live && turn_hand;
  assign flush_entry = flush_live && !turn_hand && entry_q && !flush_cfg.use_srq;

  always_comb begin
    state_d = state_q;
    case (state_q)
      TAKE:   if (begin_flush || begin_frame) state_d = LOAD;
      LOAD:   state_d = JUDGE;
      JUDGE:  if (flushing_q) begin
        if (!m_cmd_valid || m_cmd_ready) state_d = TAKE;
      end else if (again) state_d = SEEK;
      else if (m_cmd_ready) state_d = TAKE;
      SEEK:   if (seek_done) state_d = ANSWER;
      ANSWER: if (m_cmd_ready) state_d = TAKE;
      default: state_d = TAKE;
    endcase
  end

  assign m_cmd_valid = (state_q == JUDGE && (flushing_q ? flush_hand || flush_entry : !again))
                    || state_q == ANSWER;
  assign cmd_taken   = m_cmd_valid && m_cmd_ready;
  assign finished    = cmd_taken && !flushing_q;
  assign s_req_ready = finished;

  always_ff @(posedge clk) begin
    state_q <= state_d;
    if (state_q == LOAD) found_q <= 1'b0;
    if (state_q == SEEK) begin
      found_q <= seek_found && hdr.payload_len == '0;
      place_q <= seek_place;
    end
    if (begin_flush || begin_frame) begin
      flushing_q  <= begin_flush;
      was_flush_q <= begin_flush;
    end
    if (rst) begin
      state_q     <= TAKE;
      was_flush_q <= 1'b0;
      flushing_q  <= 1'b0;
    end
  end

  // ------------------------------------------------------------------ context after it

  assign claim     = cmd_taken && (flushing_q ? flush_entry : takes_wqe && (good || fatal_length));
  assign ctx_write = cmd_taken;
  assign remember  = finished && good && is_table;
  assign claim_en  = claim && !flushing_q;
  assign claim_rq  = cfg.rq_id;

  always_comb begin
    ctx_d = ctx_q;
    if (flushing_q) ctx_d.dead = 1'b1;
    else if (out_of_order || no_entry) ctx_d.nak_sent = 1'b1;
    else if (fatal_early || fatal_length) ctx_d.dead = 1'b1;
    else if (good) begin
      ctx_d.nak_sent = 1'b0;
      ctx_d.epsn     = ctx_q.epsn + packets_q;
      ctx_d.greeted  = 1'b1;
      ctx_d.in_send  = is_send && !ends;
      ctx_d.in_write = is_write && !ends;
      ctx_d.msn      = msn_d;
      if (is_write) begin
        ctx_d.wr_va   = (info.first ? hdr.reth_va : ctx_q.wr_va) + 64'(hdr.payload_len);
        ctx_d.wr_left = (info.first ? hdr.reth_len : ctx_q.wr_left) - 32'(hdr.payload_len);
        if (info.first) begin
          ctx_d.wr_rkey = hdr.reth_rkey;
          ctx_d.wr_len  = hdr.reth_len;
        end
      end
      if (is_table) begin
        ctx_d.reads  = ctx_q.reads + 5'd1;
        ctx_d.newest = ctx_q.newest + 4'd1;
        if (ctx_q.records != 5'd16) ctx_d.records = ctx_q.records + 5'd1;
      end
    end
    if (!flushing_q && promised) ctx_d.orders = ctx_q.orders + 10'd1;
  end

  // ------------------------------------------------------------------ command

  rx_retire_t           flush_retire;
  logic [RSP_CMD_W-1:0] frame_cmd;
  logic [RSP_CMD_W-1:0] flush_cmd;

  rnic_rsp_command u_command (
    .hdr_data    (s_req_hdr),
    .cfg_data    (s_req_cfg),
    .verdict     ({again && found_q, repeated, out_of_order, no_entry, fatal_early, fatal_length,
                   good}),
    .epsn        (ctx_q.epsn),
    .msn         (ctx_q.msn),
    .nak_sent    (ctx_q.nak_sent),
    .write_va    (ctx_q.wr_va),
    .write_rkey  (ctx_q.wr_rkey),
    .write_len   (ctx_q.wr_len),
    .place       (good ? ctx_q.newest : place_q),
    .index       (consumer_q),
    .entries     (entries_q),
    .cmd         (frame_cmd),
    .promised
  );

  always_comb begin
    flush_retire     = '0;
    flush_retire.qpn = 16'(turn);
    flush_retire.cqn = flush_cfg.recv_cq;
  end

  // In the order of rsp_cmd_t.
  assign flush_cmd = {
    flush_retire, flush_hand ? RSP_CMD_FLUSH_HAND : RSP_CMD_FLUSH_WQE, !flush_hand, 4'd0,
    flush_cfg.use_srq, 13'd0, 6'd0, 7'd0, 16'd0, 16'(turn), consumer_q
  };

  assign m_cmd_data = flushing_q ? flush_cmd : frame_cmd;

  assign established_en  = finished && good && !ctx_q.greeted && cfg.state == QP_STATE_RTR;
  assign established_qpn = turn_qpn;
  assign ev_duplicate_en = finished && (repeated || again);
  assign ev_sequence_en  = finished && out_of_order;
  assign ev_no_wqe_en    = finished && no_entry;
  assign ev_resource_en  = finished && again && !found_q;

  `RNIC_ASSERT(rq_number_in_range, !s_rq_valid || 32'(rq.number) < RQ_COUNT)
  `RNIC_ASSERT(flush_number_in_range, !s_flush_valid || 32'(s_flush_data) < QP_COUNT)

endmodule
