// rnic_rsp_check: decides what a request packet does (rocev2 4.2, first failure decides).
//
// Every header gives exactly one command, in order; a refused packet's NAK is a command that
// moves nothing, so it cannot overtake. Receive ring entries are claimed here. A frame takes
// 3 cycles: its context is read, compared and written before the next frame's is read. A
// repeated READ looks through the remembered ones, 2 cycles each.
//
//   s_req ─► TAKE ─► LOAD ─► JUDGE ──────────────────────► m_cmd
//                              └─► SEEK ⇄ MATCH ─► ANSWER ──┘
//
// A queue pair that went to ERR takes turns with the frames: the WQE in hand first, then one
// receive entry per turn until consumer and producer index meet; doorbells wake it again.
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

  // Reads that reply has finished, one cycle after the number
  output logic [QP_W-1:0]        reads_rd_qpn,
  output logic                   reads_rd_en,
  input  logic [RSP_READS_W-1:0] reads_rd_data,

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

  // Events
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
    logic [4:0]  reads;     // accepted, modulo 32
    logic [4:0]  replays;   // repeated, modulo 32
    logic [3:0]  newest;    // place of the next record
    logic [4:0]  records;   // reads remembered
  } context_t;
  localparam int CONTEXT_W = 52 + 160 + 19;

  typedef struct packed {
    logic [23:0] psn;
    logic [63:0] va;
    logic [31:0] rkey;
    logic [31:0] length;
  } record_t;
  localparam int RECORD_W = 152;

  typedef enum logic [2:0] {TAKE, LOAD, JUDGE, SEEK, MATCH, ANSWER} state_e;

  state_e     state_q;
  state_e     state_d;
  logic       taking;
  logic       seeking;
  rx_header_t hdr;
  qp_config_t cfg;
  qp_config_t flush_cfg;
  qp_init_t   init;
  ring_update_t rq;

  assign taking    = state_q == TAKE;
  assign seeking   = state_q == SEEK;
  assign hdr       = s_req_hdr;
  assign cfg       = s_req_cfg;
  assign flush_cfg = qp_rd_cfg;
  assign init      = init_data;
  assign rq        = s_rq_data;

  // ------------------------------------------------------------------ whose turn

  logic [QP_COUNT-1:0] pending_q;  // wants a turn of flushing
  logic [QP_COUNT-1:0] begun_q;    // its WQE in hand was flushed
  logic [QP_W-1:0]     scan_q;
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
  assign flush_due   = pending_q[scan_q] && flushes != ($clog2(FLUSHES) + 1)'(FLUSHES);
  assign begin_flush = state_q == TAKE && !init_valid && flush_due
                    && !(s_req_valid && was_flush_q);
  assign begin_frame = state_q == TAKE && !init_valid && s_req_valid && !begin_flush;
  assign init_qp     = init.op == QP_INIT_OP_CREATE || init.op == QP_INIT_OP_DESTROY
                    || init.op == QP_INIT_OP_RTR;
  assign init_ring   = init.op == QP_INIT_OP_CREATE || init.op == QP_INIT_OP_DESTROY
                    || init.op == QP_INIT_OP_RQ_CREATE;

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
  rsp_reads_t           finished_reads;
  logic [RECORD_W-1:0]  record_bits;
  record_t              record;
  record_t              record_new;
  logic                 record_write;
  logic [3:0]           place_q;
  logic [4:0]           records_left_q;

  assign turn_qpn = begin_flush || (flushing_q && state_q != TAKE) ? scan_q : hdr.qpn[QP_W-1:0];
  assign turn_rq  = begin_flush ? RQ_W'(scan_q) : cfg.rq_id[RQ_W-1:0];

  assign qp_rd_qpn    = 24'(scan_q);
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
    .wr_addr (init_now ? init.qpn[RQ_W-1:0] : flushing_q ? RQ_W'(scan_q) : cfg.rq_id[RQ_W-1:0]),
    .wr_data (init_now ? 16'd0 : consumer_q + 16'd1),
    .rd_en   (taking),
    .rd_addr (turn_rq),
    .rd_data (consumer)
  );

  // The last 16 reads of each QP.
  ram_1w1r #(.DATA_W(RECORD_W), .DEPTH(QP_COUNT * 16)) u_records (
    .clk,
    .wr_en   (record_write),
    .wr_addr ({turn_qpn, ctx_q.newest}),
    .wr_data (record_new),
    .rd_en   (seeking),
    .rd_addr ({turn_qpn, place_q}),
    .rd_data (record_bits)
  );

  assign ctx_read       = ctx_bits;
  assign record         = record_bits;
  assign finished_reads = reads_rd_data;
  assign s_rq_ready     = !init_now;
  assign s_flush_ready  = !init_now;

  // ------------------------------------------------------------------ compare (LOAD)

  opcode_info_t info;
  logic         is_send;
  logic         is_write;
  logic         is_read;
  logic         starts;
  logic         ends;
  logic [23:0]  distance;
  logic [12:0]  mtu;
  logic [4:0]   reads_out;
  logic [4:0]   replays_out;
  logic [15:0]  entries;
  logic         bad_size;
  logic         bad_reth;
  logic         bad_total;

  logic         expected_q;   // PSN is the one expected
  logic         behind_q;     // a duplicate
  logic         refused_q;    // sequence, opcode or rights
  logic         too_many_q;   // reads above the limit
  logic         full_q;       // no place in the reply ring because of repeated reads
  logic         entry_q;      // the receive ring has an entry
  logic         bad_length_q;
  logic [23:0]  packets_q;    // responses of a read

  // Distance of the next request: one PSN for each response of a read.
  function automatic logic [23:0] read_packets(input logic [31:0] length, input logic [2:0] code);
    logic [23:0] packets;
    packets = 24'(({1'b0, length} + 33'(rsp_mtu_bytes(code)) - 33'd1) >> (4'd7 + 4'(code)));
    read_packets = length == '0 ? 24'd1 : packets;
  endfunction

  assign info     = opcode_info(hdr.opcode);
  assign is_send  = info.kind == PACKET_KIND_SEND;
  assign is_write = info.kind == PACKET_KIND_WRITE;
  assign is_read  = info.kind == PACKET_KIND_READ;
  assign starts   = info.first || info.only;
  assign ends     = info.last || info.only;
  assign distance = hdr.psn - ctx_read.epsn;
  assign mtu      = rsp_mtu_bytes(cfg.path_mtu);

  assign reads_out   = ctx_read.reads - finished_reads.reads;
  assign replays_out = ctx_read.replays - finished_reads.replays;
  assign entries     = producer - consumer;

  // Payload and pad against the place in the message.
  assign bad_size = hdr.pad != 2'(-hdr.payload_len) || hdr.payload_len > mtu
                 || ((info.first || info.middle) && hdr.payload_len != mtu)
                 || (info.last && hdr.payload_len == '0)
                 || (is_read && hdr.payload_len != '0);

  assign bad_reth = info.reth && {32'd0, hdr.reth_len} > MAX_MESSAGE;

  // A WRITE must end with its last announced byte, and not before its last packet.
  always_comb begin
    bad_total = 1'b0;
    if (is_write && info.first)  bad_total = hdr.reth_len <= 32'(hdr.payload_len);
    if (is_write && info.middle) bad_total = ctx_read.wr_left <= 32'(hdr.payload_len);
    if (is_write && info.last)   bad_total = ctx_read.wr_left != 32'(hdr.payload_len);
    if (is_write && info.only)   bad_total = hdr.reth_len != 32'(hdr.payload_len);
  end

  always_ff @(posedge clk) begin
    if (state_q == LOAD) begin
      ctx_q        <= ctx_read;
      consumer_q   <= consumer;
      expected_q   <= distance == '0;
      behind_q     <= distance[23];
      too_many_q   <= is_read && reads_out >= cfg.max_dest_rd_atomic;
      full_q       <= 6'(reads_out) + 6'(replays_out) >= 6'd16;
      entry_q      <= entries != '0 && entries <= 16'h8000;
      bad_length_q <= bad_size || bad_reth || bad_total;
      packets_q    <= read_packets(hdr.reth_len, cfg.path_mtu);
      if (ctx_read.in_send)       refused_q <= !is_send || starts;
      else if (ctx_read.in_write) refused_q <= !is_write || starts;
      else                        refused_q <= !starts || !(is_send || is_write || is_read);
      if (is_write && !cfg.access[ACCESS_REMOTE_WRITE_B]) refused_q <= 1'b1;
      if (is_read && !cfg.access[ACCESS_REMOTE_READ_B])   refused_q <= 1'b1;
      place_q        <= ctx_read.newest - 4'd1;
      records_left_q <= ctx_read.records;
    end
    if (state_q == MATCH) begin
      place_q        <= place_q - 4'd1;
      records_left_q <= records_left_q - 5'd1;
    end
  end

  // ------------------------------------------------------------------ repeated reads

  logic [23:0] offset_psn;
  logic [35:0] offset;
  logic        match;
  logic        replay_q;

  // Strict rule: the part asked for starts on a packet of the old read and ends where it ended.
  assign offset_psn = hdr.psn - record.psn;
  assign offset     = {12'd0, offset_psn} << (4'd7 + 4'(cfg.path_mtu));
  assign match      = (offset_psn == '0 || offset < {4'd0, record.length})
                   && hdr.reth_va - record.va == {28'd0, offset}
                   && {4'd0, hdr.reth_len} + offset == {4'd0, record.length}
                   && hdr.reth_rkey == record.rkey && hdr.payload_len == '0;

  always_comb begin
    record_new        = '0;
    record_new.psn    = hdr.psn;
    record_new.va     = hdr.reth_va;
    record_new.rkey   = hdr.reth_rkey;
    record_new.length = hdr.reth_len;
  end

  // ------------------------------------------------------------------ judge

  logic        live;
  logic        accepted;
  logic        repeated_read;
  logic        out_of_order;
  logic        repeated;
  logic        fatal_early;
  logic        crowded;
  logic        no_entry;
  logic        fatal_length;
  logic        good;
  logic [23:0] msn_d;

  // Exactly one of these, or none for a dead QP. Plain assigns, here and wherever an always_comb
  // reads the result: Icarus 11 runs all always_comb blocks of a module when a value that one of
  // them reads changes on the way to its final value, which never ends if another makes it.
  assign live          = !ctx_q.dead;
  assign repeated_read = live && behind_q && is_read;
  assign repeated      = live && behind_q && !is_read;
  assign out_of_order  = live && !behind_q && !expected_q;
  assign fatal_early   = live && expected_q && (refused_q || too_many_q);
  assign accepted      = live && expected_q && !refused_q && !too_many_q;
  assign crowded       = accepted && is_read && full_q;
  assign no_entry      = accepted && info.takes_wqe && !entry_q;
  assign fatal_length  = accepted && !crowded && !no_entry && bad_length_q;
  assign good          = accepted && !crowded && !no_entry && !bad_length_q;
  assign msn_d         = ends ? ctx_q.msn + 24'd1 : ctx_q.msn;

  logic flush_hand;
  logic flush_entry;
  logic flush_live;

  assign flush_live  = flush_cfg.state == QP_STATE_ERR;
  assign flush_hand  = flush_live && !begun_q[scan_q];
  assign flush_entry = flush_live && begun_q[scan_q] && entry_q && !flush_cfg.use_srq;

  always_comb begin
    state_d = state_q;
    case (state_q)
      TAKE:   if (begin_flush || begin_frame) state_d = LOAD;
      LOAD:   state_d = JUDGE;
      JUDGE:  if (flushing_q) begin
        if (!m_cmd_valid || m_cmd_ready) state_d = TAKE;
      end else if (repeated_read) begin
        if (full_q || ctx_q.records == '0) state_d = ANSWER;
        else                               state_d = SEEK;
      end else if (m_cmd_ready) state_d = TAKE;
      SEEK:   state_d = MATCH;
      MATCH:  if (match || records_left_q == 5'd1) state_d = ANSWER;
              else                                 state_d = SEEK;
      ANSWER: if (m_cmd_ready) state_d = TAKE;
      default: state_d = TAKE;
    endcase
  end

  assign m_cmd_valid = (state_q == JUDGE && (flushing_q ? flush_hand || flush_entry : !repeated_read))
                    || state_q == ANSWER;
  assign cmd_taken   = m_cmd_valid && m_cmd_ready;
  assign finished    = cmd_taken && !flushing_q;
  assign s_req_ready = finished;

  always_ff @(posedge clk) begin
    state_q <= state_d;
    if (state_q == LOAD) replay_q <= 1'b0;
    if (state_q == MATCH) replay_q <= match;
    if (begin_flush || begin_frame) begin
      flushing_q  <= begin_flush;
      was_flush_q <= begin_flush;
    end
    if (state_q == TAKE && !begin_flush && !flush_due) scan_q <= scan_q + 1'b1;
    if (rst) begin
      state_q     <= TAKE;
      scan_q      <= '0;
      was_flush_q <= 1'b0;
      flushing_q  <= 1'b0;
    end
  end

  // A turn ends the wish for one before the indices are read, so a doorbell that comes later
  // makes a new wish.
  always_ff @(posedge clk) begin
    if (begin_flush) pending_q[scan_q] <= 1'b0;
    if (cmd_taken && flushing_q) begin
      begun_q[scan_q]   <= 1'b1;
      pending_q[scan_q] <= 1'b1;
    end
    if (s_rq_valid && s_rq_ready && rq.number < 16'(QP_COUNT) && begun_q[rq.number[QP_W-1:0]])
      pending_q[rq.number[QP_W-1:0]] <= 1'b1;
    if (s_flush_valid && s_flush_ready) pending_q[s_flush_data[QP_W-1:0]] <= 1'b1;
    if (init_now && init_qp) begin
      pending_q[init.qpn[QP_W-1:0]] <= 1'b0;
      begun_q[init.qpn[QP_W-1:0]]   <= 1'b0;
    end
    if (cmd_taken && flushing_q && !flushed_en) flushes <= flushes + 1'b1;
    if (!(cmd_taken && flushing_q) && flushed_en) flushes <= flushes - 1'b1;
    if (rst) begin
      pending_q <= '0;
      begun_q   <= '0;
      flushes   <= '0;
    end
  end

  // ------------------------------------------------------------------ context after it

  assign claim        = cmd_taken && (flushing_q ? flush_entry
                                                 : info.takes_wqe && (good || fatal_length));
  assign claim_en     = claim && !flushing_q;
  assign claim_rq     = cfg.rq_id;
  assign record_write = cmd_taken && !flushing_q && good && is_read;
  assign ctx_write    = cmd_taken;

  always_comb begin
    ctx_d = ctx_q;
    if (flushing_q) ctx_d.dead = 1'b1;
    else if (repeated_read) begin
      if (replay_q) ctx_d.replays = ctx_q.replays + 5'd1;
    end else if (out_of_order || no_entry) ctx_d.nak_sent = 1'b1;
    else if (fatal_early || fatal_length) ctx_d.dead = 1'b1;
    else if (good) begin
      ctx_d.nak_sent = 1'b0;
      ctx_d.epsn     = ctx_q.epsn + (is_read ? packets_q : 24'd1);
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
      if (is_read) begin
        ctx_d.reads  = ctx_q.reads + 5'd1;
        ctx_d.newest = ctx_q.newest + 4'd1;
        if (ctx_q.records != 5'd16) ctx_d.records = ctx_q.records + 5'd1;
      end
    end else if (expected_q && !ctx_q.dead) ctx_d.nak_sent = 1'b0;
  end

  // ------------------------------------------------------------------ command

  rx_retire_t retire;
  rx_retire_t flush_retire;
  logic       takes_wqe;
  logic [RSP_CMD_W-1:0] frame_cmd;
  logic [RSP_CMD_W-1:0] flush_cmd;
  logic [7:0] recv_op;
  logic [7:0] recv_flags;

  assign recv_op = info.ieth   ? CQE_OP_RECV_INV
                 : !info.immdt ? CQE_OP_RECV
                 : is_write    ? CQE_OP_RECV_WRITE_IMM : CQE_OP_RECV_IMM;

  assign recv_flags = (hdr.solicited ? CQE_FLAG_SOLICITED : 8'd0)
                    | (info.immdt ? CQE_FLAG_IMMEDIATE : 8'd0)
                    | (info.ieth ? CQE_FLAG_INVALIDATED : 8'd0);

  always_comb begin
    retire            = '0;
    retire.kind       = RETIRE_KIND_NONE;
    retire.qpn        = hdr.qpn[15:0];
    retire.psn        = hdr.psn;
    retire.opcode     = hdr.opcode;
    retire.syndrome   = SYNDROME_ACK_NO_CREDITS;
    retire.msn        = ctx_q.msn;
    retire.prior_msn  = ctx_q.msn;
    retire.cqe_status = CQE_STATUS_SUCCESS;
    retire.cqe_op     = recv_op;
    retire.cqn        = cfg.recv_cq;
    retire.imm        = hdr.imm;
    retire.reth_va    = hdr.reth_va;
    retire.reth_rkey  = hdr.reth_rkey;
    retire.reth_len   = hdr.reth_len;
    if (repeated_read && replay_q) begin
      // `reply` tells a repeated read from a new one.
      retire.kind  = RETIRE_KIND_READ;
      retire.reply = 1'b1;
    end
    if (repeated && hdr.ack_req && (is_send || is_write)) begin
      retire.kind  = RETIRE_KIND_ACK;
      retire.reply = 1'b1;
      retire.psn   = ctx_q.epsn - 24'd1;
    end
    if (out_of_order && !ctx_q.nak_sent) begin
      retire.kind     = RETIRE_KIND_ACK;
      retire.reply    = 1'b1;
      retire.psn      = ctx_q.epsn;
      retire.syndrome = SYNDROME_NAK_SEQUENCE;
    end
    if (no_entry) begin
      retire.kind     = RETIRE_KIND_ACK;
      retire.reply    = 1'b1;
      retire.syndrome = SYNDROME_RNR_NAK | 8'(cfg.min_rnr_timer);
    end
    if (fatal_early || fatal_length) begin
      retire.kind       = RETIRE_KIND_ACK;
      retire.reply      = 1'b1;
      retire.syndrome   = SYNDROME_NAK_INVALID_REQUEST;
      retire.fatal      = 1'b1;
      retire.cqe_status = CQE_STATUS_REM_INV_REQ_ERR;
      if (fatal_length && is_send) retire.cqe_status = CQE_STATUS_LOC_LEN_ERR;
      if (fatal_early)             retire.cqe_op     = CQE_OP_RECV;
    end
    if (good) begin
      retire.kind      = is_read ? RETIRE_KIND_READ : RETIRE_KIND_ACK;
      retire.reply     = hdr.ack_req && !is_read;
      retire.msn       = msn_d;
      retire.cqe       = (is_send && ends) || (is_write && info.takes_wqe);
      retire.cqe_flags = recv_flags;
      if (is_write && !starts) begin
        retire.reth_va   = ctx_q.wr_va;
        retire.reth_rkey = ctx_q.wr_rkey;
      end
      retire.byte_len = info.only ? hdr.reth_len : ctx_q.wr_len;
    end
  end

  always_comb begin
    flush_retire     = '0;
    flush_retire.qpn = 16'(scan_q);
    flush_retire.cqn = flush_cfg.recv_cq;
  end

  // In the order of rsp_cmd_t.
  assign takes_wqe = info.takes_wqe && (good || fatal_length);

  assign frame_cmd = {
    retire, RSP_CMD_FRAME, takes_wqe, good && is_send, good && is_write, ends, good && info.ieth,
    hdr.payload_len, hdr.payload_off, hdr.payload_beats, cfg.pd, cfg.rq_id, consumer_q
  };

  assign flush_cmd = {
    flush_retire, flush_hand ? RSP_CMD_FLUSH_HAND : RSP_CMD_FLUSH_WQE, !flush_hand, 4'd0,
    13'd0, 6'd0, 7'd0, 16'd0, 16'(scan_q), consumer_q
  };

  assign m_cmd_data = flushing_q ? flush_cmd : frame_cmd;

  assign ev_duplicate_en = finished && (repeated || repeated_read);
  assign ev_sequence_en  = finished && out_of_order;
  assign ev_no_wqe_en    = finished && no_entry;
  assign ev_resource_en  = finished && (crowded || (repeated_read && !replay_q));

  `RNIC_ASSERT(rq_number_in_range, !s_rq_valid || 32'(rq.number) < RQ_COUNT)
  `RNIC_ASSERT(flush_number_in_range, !s_flush_valid || 32'(s_flush_data) < QP_COUNT)

endmodule
