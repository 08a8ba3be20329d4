// rnic_rsp_receive: turns commands into the groups of work that move a frame's payload.
//
// Receive entries are fetched while their commands wait in line; the one of a SEND in progress
// stays in the context of its QP with what is left of its SGEs. A payload becomes one beat per
// SGE it touches, in SGE order, then a beat for the token to invalidate. A READ is a beat that moves
// nothing and has its whole range checked, as the first packet of a WRITE has; an atomic moves its
// eight bytes. A SEND that does not fit, or an entry that makes no sense, becomes a fatal NAK that
// moves nothing. A frame with one segment takes 3 cycles.
//
//   s_cmd ─► line (IN_FLIGHT commands) ─► READ context ─► PREPARE ─► EMIT ─► m_work
//     └────► fetch ─► host ─► entries ──────────────────────┘          └───► m_flush
`include "responder.svh"
`include "codes.svh"
`include "wire.svh"

module rnic_rsp_receive #(
  parameter int QP_COUNT  = 256,
  parameter int IN_FLIGHT = 128,
  localparam int QP_W     = $clog2(QP_COUNT)
) (
  input  logic                       clk,
  input  logic                       rst,

  // What to do
  input  logic [RSP_CMD_W-1:0]       s_cmd_data,
  input  logic                       s_cmd_valid,
  output logic                       s_cmd_ready,

  // Configuration of a receive ring, two cycles after its number
  output logic [15:0]                rq_rd_id,
  input  logic [RQ_CONFIG_W-1:0]     rq_rd_cfg,

  // Host reads
  output logic [DMA_READ_REQ_W-1:0]  m_dma_data,
  output logic                       m_dma_valid,
  input  logic                       m_dma_ready,
  input  logic [DMA_READ_DATA_W-1:0] s_dma_data,
  input  logic                       s_dma_en,

  // Whether a QP has failed behind the pipeline
  output logic [QP_W-1:0]            poison_qpn,
  input  logic                       poisoned,

  // Groups of work
  output logic [RX_WORK_W-1:0]       m_work_data,
  output logic                       m_work_valid,
  input  logic                       m_work_ready,

  // Entries to complete as flushed
  output logic [RSP_FLUSH_W-1:0]     m_flush_data,
  output logic                       m_flush_valid,
  input  logic                       m_flush_ready,

  // Context of a new life
  input  logic [QP_INIT_W-1:0]       init_data,
  input  logic                       init_valid,
  output logic                       init_ready,

  // Frames that left, and those of them that RxDone answers, free running
  output logic                       frame_en,
  output logic [15:0]                groups
);

  typedef struct packed {
    logic        in_hand;  // a SEND in progress holds the entry
    logic        dead;     // failed here: nothing moves any more
    logic [15:0] index;    // the entry
    logic [31:0] wr_id;
    logic [15:0] pd;
    logic [31:0] total;    // bytes received
    sge_t        sge2;     // what is left of it, first part lowest
    sge_t        sge1;
    sge_t        sge0;
  } context_t;
  localparam int CONTEXT_W = 98 + 3 * SGE_W;

  typedef enum logic [1:0] {READ, PREPARE, EMIT} state_e;

  state_e   state_q;
  state_e   state_d;
  logic     reading;
  qp_init_t init;
  logic     init_now;

  assign reading    = state_q == READ;
  assign init       = init_data;
  assign init_now   = state_q == READ && init_valid;
  assign init_ready = state_q == READ;

  // ------------------------------------------------------------------ line

  rsp_cmd_t             s_cmd;
  rsp_cmd_t             cmd;
  logic [RSP_CMD_W-1:0] cmd_bits;
  logic                 cmd_valid;
  logic                 line_ready;
  logic                 claim_ready;
  logic                 done;

  assign s_cmd       = s_cmd_data;
  assign s_cmd_ready = line_ready && claim_ready;
  assign cmd         = cmd_bits;

  stream_fifo #(
    .DATA_W     (RSP_CMD_W),
    .DEPTH      (IN_FLIGHT),
    .REGISTERED (1)
  ) u_line (
    .clk,
    .rst,
    .s_data  (s_cmd_data),
    .s_valid (s_cmd_valid && claim_ready),
    .s_ready (line_ready),
    .m_data  (cmd_bits),
    .m_valid (cmd_valid),
    .m_ready (done),
    .count   ()
  );

  logic [RQ_WQE_W-1:0] wqe_bits;
  rq_wqe_t             wqe;
  logic [15:0]         wqe_pd;
  logic                wqe_error;
  logic                wqe_valid;
  logic                wqe_take;

  rnic_rsp_fetch #(.IN_FLIGHT(IN_FLIGHT)) u_fetch (
    .clk,
    .rst,
    .s_claim_rq    (s_cmd.rq_id),
    .s_claim_index (s_cmd.index),
    .s_claim_valid (s_cmd_valid && line_ready && s_cmd.takes_wqe),
    .s_claim_ready (claim_ready),
    .rq_rd_id,
    .rq_rd_cfg,
    .m_dma_data,
    .m_dma_valid,
    .m_dma_ready,
    .s_dma_data,
    .s_dma_en,
    .m_wqe_data    (wqe_bits),
    .m_wqe_pd      (wqe_pd),
    .m_wqe_error   (wqe_error),
    .m_wqe_valid   (wqe_valid),
    .m_wqe_ready   (wqe_take)
  );

  assign wqe      = wqe_bits;
  assign wqe_take = state_q == PREPARE && cmd.takes_wqe;

  // ------------------------------------------------------------------ context

  logic [CONTEXT_W-1:0] ctx_bits;
  context_t             ctx_read;
  context_t             ctx_write;
  context_t             ctx_init;
  logic                 ctx_write_en;

  assign ctx_read = ctx_bits;
  assign ctx_init = '0;

  ram_1w1r #(.DATA_W(CONTEXT_W), .DEPTH(QP_COUNT)) u_context (
    .clk,
    .wr_en   (ctx_write_en || (init_now && (init.op == QP_INIT_OP_CREATE
              || init.op == QP_INIT_OP_DESTROY || init.op == QP_INIT_OP_RTR))),
    .wr_addr (init_now ? init.qpn[QP_W-1:0] : cmd.retire.qpn[QP_W-1:0]),
    .wr_data (init_now ? ctx_init : ctx_write),
    .rd_en   (reading),
    .rd_addr (cmd.retire.qpn[QP_W-1:0]),
    .rd_data (ctx_bits)
  );

  // ------------------------------------------------------------------ prepare

  context_t    now_q;      // as this frame finds it, its entry in hand
  logic [33:0] space_q;    // bytes left in the SGEs
  logic        bad_wqe_q;
  context_t    found;
  sge_t        sge0;
  sge_t        sge1;
  sge_t        sge2;

  always_comb begin
    sge0 = wqe.sge0;
    sge1 = wqe.sge1;
    sge2 = wqe.sge2;
    if (wqe.num_sge < 4'd1) sge0.length = '0;
    if (wqe.num_sge < 4'd2) sge1.length = '0;
    if (wqe.num_sge < 4'd3) sge2.length = '0;
    found = ctx_read;
    if (cmd.takes_wqe) begin
      found.in_hand = 1'b1;
      found.index   = cmd.index;
      found.wr_id   = wqe.wr_id;
      found.pd      = wqe_pd;
      found.total   = '0;
      found.sge0    = sge0;
      found.sge1    = sge1;
      found.sge2    = sge2;
    end
  end

  assign poison_qpn = cmd.retire.qpn[QP_W-1:0];

  always_ff @(posedge clk) begin
    if (state_q == PREPARE) begin
      now_q      <= found;
      now_q.dead <= ctx_read.dead || poisoned;
      space_q    <= {2'd0, found.sge0.length} + {2'd0, found.sge1.length}
                  + {2'd0, found.sge2.length};
      bad_wqe_q  <= cmd.takes_wqe
                 && (wqe_error || wqe.num_sge > 4'(MAX_RECV_SGE) || wqe.index != cmd.index);
    end
  end

  // ------------------------------------------------------------------ emit

  logic        is_frame;
  logic        works;      // payload may move
  logic        unusable;   // the entry makes no sense
  logic        too_long;
  logic        fails;
  logic        is_table;   // wqe_index is a place in the resource table
  logic        executes;   // an atomic that was not executed before
  logic        first_q;
  logic [12:0] left_q;     // payload to place
  sge_t        part0_q;    // SGEs as they are used up
  sge_t        part1_q;
  sge_t        part2_q;
  logic [12:0] take;
  logic        placing;
  logic        skip;
  logic        invalidating;
  logic        last;
  sge_t        rest0;

  assign is_frame = cmd.kind == RSP_CMD_FRAME;
  assign works    = is_frame && !now_q.dead;
  assign is_table = cmd.retire.kind == RETIRE_KIND_READ || cmd.retire.kind == RETIRE_KIND_ATOMIC;
  assign executes = works && cmd.retire.kind == RETIRE_KIND_ATOMIC && !cmd.retire.reply;
  assign unusable = works && bad_wqe_q && !cmd.retire.fatal;
  assign too_long = works && cmd.scatter && !bad_wqe_q && 34'(cmd.payload_len) > space_q;
  assign fails    = unusable || too_long;

  assign placing      = works && cmd.scatter && !fails && left_q != '0;
  assign skip         = placing && part0_q.length == '0;
  assign take         = part0_q.length < 32'(left_q) ? part0_q.length[12:0] : left_q;
  assign invalidating = works && cmd.invalidate && !fails && !placing;
  assign last         = !placing || (take == left_q && !cmd.invalidate);

  assign rest0        = {part0_q.token, part0_q.length - 32'(take), part0_q.addr + 64'(take)};

  assign done = state_q == EMIT && (is_frame ? m_work_valid && m_work_ready && last : m_flush_ready);

  always_comb begin
    state_d = state_q;
    case (state_q)
      READ:    if (cmd_valid && !init_valid) state_d = PREPARE;
      PREPARE: if (!cmd.takes_wqe || wqe_valid) state_d = EMIT;
      EMIT:    if (done) state_d = READ;
      default: state_d = READ;
    endcase
  end

  always_ff @(posedge clk) begin
    state_q <= state_d;
    if (state_q == PREPARE) begin
      first_q <= 1'b1;
      left_q  <= cmd.payload_len;
      part0_q <= found.sge0;
      part1_q <= found.sge1;
      part2_q <= found.sge2;
    end else if (skip) begin
      part0_q <= part1_q;
      part1_q <= part2_q;
      part2_q <= '0;
    end else if (m_work_valid && m_work_ready) begin
      first_q <= 1'b0;
      if (placing) begin
        left_q  <= left_q - take;
        part0_q <= rest0;
      end
    end
    if (rst) state_q <= READ;
  end

  // What the next packet of the message finds.
  assign ctx_write_en = done && (!is_frame || cmd.scatter || cmd.retire.fatal || fails);

  always_comb begin
    ctx_write = now_q;
    ctx_write.sge0 = placing ? rest0 : part0_q;
    ctx_write.sge1 = part1_q;
    ctx_write.sge2 = part2_q;
    ctx_write.total = now_q.total + 32'(cmd.payload_len);
    if (!is_frame || cmd.ends || cmd.retire.fatal || fails) ctx_write.in_hand = 1'b0;
    if (!is_frame || cmd.retire.fatal || fails) ctx_write.dead = 1'b1;
  end

  // ------------------------------------------------------------------ group

  rx_retire_t retire;
  mem_req_t   mem;
  logic [1:0] atomic;

  always_comb begin
    retire           = cmd.retire;
    retire.wr_id     = now_q.wr_id;
    if (!is_table) retire.wqe_index = now_q.index;
    retire.holds_wqe = cmd.takes_wqe || cmd.scatter;
    if (cmd.scatter) retire.byte_len = now_q.total + 32'(cmd.payload_len);
    if (cmd.retire.fatal) begin
      retire.cqe       = now_q.in_hand;
      retire.holds_wqe = now_q.in_hand;
    end
    if (fails) begin
      retire.reply      = 1'b1;
      retire.fatal      = 1'b1;
      retire.msn        = cmd.retire.prior_msn;
      retire.syndrome   = unusable ? SYNDROME_NAK_REMOTE_OPERATION : SYNDROME_NAK_INVALID_REQUEST;
      retire.cqe        = 1'b1;
      retire.cqe_status = unusable ? CQE_STATUS_LOC_QP_OP_ERR : CQE_STATUS_LOC_LEN_ERR;
    end
  end

  always_comb begin
    mem     = '0;
    mem.qpn = cmd.retire.qpn;
    mem.pd  = cmd.pd;
    if (placing) begin
      mem.kind   = SEG_KIND_KEY;
      mem.va     = part0_q.addr;
      mem.length = take;
      mem.token  = part0_q.token;
      mem.pd     = now_q.pd;
      mem.access = ACCESS_LOCAL_WRITE;
    end else if (invalidating) begin
      mem.op     = KEY_OP_INVALIDATE;
      mem.kind   = SEG_KIND_KEY;
      mem.token  = cmd.retire.imm;
    end else if (works && cmd.store && !fails && cmd.payload_len != '0) begin
      mem.kind   = SEG_KIND_KEY;
      mem.va     = cmd.retire.reth_va;
      mem.length = cmd.payload_len;
      mem.span   = cmd.retire.reth_len;
      mem.token  = cmd.retire.reth_rkey;
      mem.access = ACCESS_REMOTE_WRITE;
    end else if (works && cmd.retire.kind == RETIRE_KIND_READ) begin
      mem.kind   = SEG_KIND_KEY;
      mem.va     = cmd.retire.reth_va;
      mem.span   = cmd.retire.reth_len;
      mem.token  = cmd.retire.reth_rkey;
      mem.access = ACCESS_REMOTE_READ;
    end else if (executes) begin
      mem.kind   = SEG_KIND_KEY;
      mem.va     = cmd.retire.reth_va;
      mem.length = 13'd8;
      mem.token  = cmd.retire.reth_rkey;
      mem.access = ACCESS_REMOTE_ATOMIC;
    end
  end

  assign atomic = !executes ? ATOMIC_OP_NONE
                : cmd.retire.opcode == OPCODE_RC_FETCH_ADD ? ATOMIC_OP_ADD : ATOMIC_OP_SWAP;

  // In the order of RxWork.
  assign m_work_data  = {retire, atomic, mem, cmd.payload_beats, cmd.payload_off, last, first_q};
  assign m_work_valid = state_q == EMIT && is_frame && !skip;

  // ------------------------------------------------------------------ flushed entries

  rsp_flush_t flush;

  always_comb begin
    flush         = '0;
    flush.nothing = !now_q.in_hand;
    flush.hand    = cmd.kind == RSP_CMD_FLUSH_HAND;
    flush.reached = cmd.shared;
    flush.qpn     = cmd.retire.qpn;
    flush.cqn     = cmd.retire.cqn;
    flush.wr_id   = now_q.wr_id;
    flush.index   = now_q.index;
    flush.behind  = groups;
  end

  assign m_flush_data  = flush;
  assign m_flush_valid = state_q == EMIT && !is_frame;

  assign frame_en = done && is_frame;

  always_ff @(posedge clk) begin
    if (frame_en && cmd.retire.kind != RETIRE_KIND_NONE) groups <= groups + 16'd1;
    if (rst) groups <= '0;
  end

endmodule
