// rnic_cpl_check: decides what a received response does and where its data goes.
//
// A response of a read or an atomic must have the next PSN of the oldest outstanding one, with the
// opcode and the length of its place in the read; it becomes the scatter list for its bytes. When a
// read was asked for again from its middle, the answer may begin with First or Only as well as go
// on as before (rocev2 3.9). A response or an acknowledge behind that PSN says that something was
// lost: the first one becomes a sequence NAK for it (implied NAK), later ones are dropped until it
// arrives. An acknowledge must name a PSN that was sent (rocev2 3.8). Everything else moves nothing
// and ends in a group of kind NONE. Every header gives exactly one group, in order.
//
//   s_rsp ─► load (context, then read record and SGE) ─► judge ─► m_work
//            3 cycles a frame                            1 cycle; a read response 2, and 3 more
//                                                        for each further SGE
//
// A frame waits in front of `load` while `judge` holds a read response of its own QP, so those
// of one QP take 5 cycles each. After a bad one, nothing more of its QP is placed.
`include "streams.svh"
`include "wire.svh"
`include "codes.svh"
`include "assert.svh"

module rnic_cpl_check #(
  parameter int QP_COUNT   = 256,
  parameter int READ_DEPTH = 16,
  parameter int READ_SGE   = 8,
  localparam int QP_W   = $clog2(QP_COUNT),
  localparam int SLOT_W = $clog2(READ_DEPTH),
  localparam int SGE_N_W = $clog2(READ_SGE)
) (
  input  logic                    clk,
  input  logic                    rst,

  // Responses, with the configuration of their QP
  input  logic [RX_HEADER_W-1:0]  s_rsp_hdr,
  input  logic [QP_CONFIG_W-1:0]  s_rsp_cfg,
  input  logic                    s_rsp_valid,
  output logic                    s_rsp_ready,

  // Outstanding reads, written by the requester
  input  logic                    read_write_en,
  input  logic [QP_W-1:0]         read_write_qpn,
  input  logic [SLOT_W-1:0]       read_write_slot,
  input  logic [READ_RECORD_W-1:0] read_write_data,
  input  logic                    sge_write_en,
  input  logic [QP_W-1:0]         sge_write_qpn,
  input  logic [SLOT_W-1:0]       sge_write_slot,
  input  logic [SGE_N_W-1:0]      sge_write_number,
  input  logic [SGE_W-1:0]        sge_write_data,

  // The oldest read was asked for again from its middle
  input  logic                    read_again_en,
  input  logic [QP_W-1:0]         read_again_qpn,

  // Next PSN of a QP's requester, two cycles after the number
  output logic [QP_W-1:0]         psn_rd_qpn,
  input  logic [23:0]             psn_rd_data,

  // What to do
  output logic [RX_WORK_W-1:0]    m_work_data,
  output logic                    m_work_valid,
  input  logic                    m_work_ready,

  // Context of a new life
  input  logic [QP_INIT_W-1:0]    init_data,
  input  logic                    init_valid,
  output logic                    init_ready,

  // Events
  output logic                    ev_ghost_en,
  output logic                    ev_sequence_en,
  output logic                    ev_syndrome_en
);

  // ------------------------------------------------------------------ context

  typedef struct packed {
    logic [SLOT_W-1:0]  slot;     // oldest outstanding read
    logic [23:0]        psn;      // its next response PSN, once it has begun
    logic               begun;
    logic               implied;  // a response behind it has been taken for a NAK
    logic               broken;   // a response was wrong
    logic [31:0]        offset;   // bytes placed
    logic [SGE_N_W-1:0] sge;      // SGE in use
    logic [31:0]        sge_off;  // bytes of it filled
  } context_t;
  localparam int CONTEXT_W = SLOT_W + 24 + 3 + 32 + SGE_N_W + 32;

  context_t            judge_ctx_q;
  context_t            ctx_read;
  context_t            ctx_new;
  logic                ctx_write;
  logic [QP_W-1:0]     ctx_write_qpn;
  logic [CONTEXT_W-1:0] ctx_read_bits;
  logic [CONTEXT_W-1:0] ctx_write_bits;

  // A read slot is in use when its writer and its reader have turned over a different number of
  // times. Two uses of a slot are at least READ_DEPTH reads apart, so no turn can be missed.
  logic                turn_wr;
  logic                turn_rd;
  logic                turn_old;

  qp_init_t            init;
  logic [SLOT_W:0]     init_slot_q;
  logic                init_write;
  logic                init_last;
  logic                init_wait;

  assign init       = init_data;
  assign init_last  = init_slot_q == (SLOT_W + 1)'(READ_DEPTH - 1);
  assign init_ready = (init_write && init_last) || !init_wait;

  // ------------------------------------------------------------------ load

  typedef enum logic [1:0] {TAKE, CONTEXT, RECORD} load_e;
  typedef enum logic [1:0] {JUDGE, PLACE, NEXT, WAIT} judge_e;

  judge_e                 judge_q;
  judge_e                 judge_d;

  load_e                  load_q;
  load_e                  load_d;
  logic [RX_HEADER_W-1:0] load_hdr_q;
  logic [15:0]            load_pd_q;
  logic [2:0]             load_mtu_q;
  logic                   take;
  logic                   hand;
  logic                   judge_free;

  rx_header_t             s_hdr;
  rx_header_t             load_hdr;
  qp_config_t             s_cfg;
  rx_header_t             hdr;
  logic                   judge_valid_q;
  logic                   judge_read_q;
  logic                   same_qp;

  assign s_hdr    = s_rsp_hdr;
  assign s_cfg    = s_rsp_cfg;
  assign load_hdr = load_hdr_q;

  function automatic logic is_data(input logic [7:0] opcode);
    is_data = opcode == OPCODE_RC_ATOMIC_ACKNOWLEDGE || opcode == OPCODE_RC_READ_RESPONSE_FIRST || opcode == OPCODE_RC_READ_RESPONSE_MIDDLE
           || opcode == OPCODE_RC_READ_RESPONSE_LAST  || opcode == OPCODE_RC_READ_RESPONSE_ONLY;
  endfunction

  assign same_qp     = judge_valid_q && (judge_read_q || implied_nak) && hdr.qpn[QP_W-1:0] == s_hdr.qpn[QP_W-1:0];
  assign s_rsp_ready = load_q == TAKE && !same_qp && !init_wait;
  assign take        = s_rsp_valid && s_rsp_ready;
  assign hand        = load_q == RECORD && judge_free;

  always_comb begin
    load_d = load_q;
    case (load_q)
      TAKE:    if (take) load_d = CONTEXT;
      CONTEXT: load_d = RECORD;
      RECORD:  if (judge_free) load_d = TAKE;
      default: load_d = TAKE;
    endcase
  end

  always_ff @(posedge clk) begin
    load_q <= load_d;
    if (take) begin
      load_hdr_q <= s_rsp_hdr;
      load_pd_q  <= s_cfg.pd;
      load_mtu_q <= s_cfg.path_mtu;
    end
    if (rst) load_q <= TAKE;
  end

  assign psn_rd_qpn = take ? s_hdr.qpn[QP_W-1:0] : load_hdr.qpn[QP_W-1:0];

  // ------------------------------------------------------------------ tables

  logic [SGE_W-1:0] load_sge_q;
  logic             load_fresh_q;  // first cycle of RECORD: the SGE is at its ring's output
  logic             turn_level_q;
  logic             sge_next;
  logic             load_tables;

  assign load_tables = load_q == CONTEXT;

  ram_1w1r #(
    .DATA_W (CONTEXT_W),
    .DEPTH  (QP_COUNT)
  ) u_context (
    .clk,
    .wr_en   (ctx_write || init_write),
    .wr_addr (init_write ? init.qpn[QP_W-1:0] : ctx_write_qpn),
    .wr_data (init_write ? '0 : ctx_write_bits),
    .rd_en   (take),
    .rd_addr (s_hdr.qpn[QP_W-1:0]),
    .rd_data (ctx_read_bits)
  );

  assign ctx_read = ctx_read_bits;

  logic [READ_RECORD_W-1:0] record_bits;
  logic                     write_turn;
  logic                     read_turn;

  ram_1w1r #(
    .DATA_W (READ_RECORD_W),
    .DEPTH  (QP_COUNT * READ_DEPTH)
  ) u_record (
    .clk,
    .wr_en   (read_write_en),
    .wr_addr ({read_write_qpn, read_write_slot}),
    .wr_data (read_write_data),
    .rd_en   (load_tables),
    .rd_addr ({load_hdr.qpn[QP_W-1:0], ctx_read.slot}),
    .rd_data (record_bits)
  );

  // Turn over the writer's side: read, then write the other value.
  logic                   turn_q;
  logic [QP_W+SLOT_W-1:0] turn_addr_q;

  ram_1w2r #(
    .DATA_W (1),
    .DEPTH  (QP_COUNT * READ_DEPTH)
  ) u_write_turn (
    .clk,
    .wr_en     (turn_q || init_write),
    .wr_addr   (turn_q ? turn_addr_q : {init.qpn[QP_W-1:0], init_slot_q[SLOT_W-1:0]}),
    .wr_data   (turn_q && !turn_old),
    .rd_a_en   (read_write_en),
    .rd_a_addr ({read_write_qpn, read_write_slot}),
    .rd_a_data (turn_old),
    .rd_b_en   (load_tables),
    .rd_b_addr ({load_hdr.qpn[QP_W-1:0], ctx_read.slot}),
    .rd_b_data (write_turn)
  );

  ram_1w1r #(
    .DATA_W (1),
    .DEPTH  (QP_COUNT * READ_DEPTH)
  ) u_read_turn (
    .clk,
    .wr_en   (turn_rd || init_write),
    .wr_addr (init_write ? {init.qpn[QP_W-1:0], init_slot_q[SLOT_W-1:0]}
                         : {ctx_write_qpn, judge_ctx_q.slot}),
    .wr_data (!init_write && turn_wr),
    .rd_en   (load_tables),
    .rd_addr ({load_hdr.qpn[QP_W-1:0], ctx_read.slot}),
    .rd_data (read_turn)
  );

  always_ff @(posedge clk) begin
    turn_q      <= read_write_en;
    turn_addr_q <= {read_write_qpn, read_write_slot};
    if (rst) turn_q <= 1'b0;
  end

  logic [SGE_W-1:0]   sge_bits;
  logic [SGE_N_W-1:0] sge_number;

  ram_1w1r #(
    .DATA_W (SGE_W),
    .DEPTH  (QP_COUNT * READ_DEPTH * READ_SGE)
  ) u_sge (
    .clk,
    .wr_en   (sge_write_en),
    .wr_addr ({sge_write_qpn, sge_write_slot, sge_write_number}),
    .wr_data (sge_write_data),
    .rd_en   (load_tables || sge_next),
    .rd_addr (load_tables ? {load_hdr.qpn[QP_W-1:0], ctx_read.slot, ctx_read.sge}
                                : {hdr.qpn[QP_W-1:0], judge_ctx_q.slot, sge_number}),
    .rd_data (sge_bits)
  );

  // ------------------------------------------------------------------ init: all slots of the QP

  assign init_wait  = init_valid && init.op != QP_INIT_OP_RQ_CREATE && init.op != QP_INIT_OP_RTR;
  assign init_write = init_wait && load_q == TAKE && !judge_valid_q && !turn_q;

  always_ff @(posedge clk) begin
    if (init_write) init_slot_q <= init_last ? '0 : init_slot_q + 1'b1;
    if (rst) init_slot_q <= '0;
  end

  // ------------------------------------------------------------------ judge

  logic [RX_HEADER_W-1:0] hdr_q;
  logic [15:0]            pd_q;
  logic [2:0]             mtu_q;
  logic [READ_RECORD_W-1:0] record_q;
  logic                   outstanding_q;
  logic [SGE_W-1:0]       sge_q;
  logic [23:0]            next_psn_q;
  read_record_t           record;
  read_record_t           load_record;
  logic                   judge_again_q;
  logic [QP_COUNT-1:0]    again_q;      // the oldest read was asked for again from its middle
  sge_t                   sge;
  sge_t                   sge_loaded;

  assign hdr        = hdr_q;
  assign record      = record_q;
  assign load_record = record_bits;
  assign sge        = sge_q;
  assign sge_loaded = sge_bits;

  // Signed distance in PSN space.
  function automatic logic precedes(input logic [23:0] a, input logic [23:0] b);
    logic [23:0] d;
    d = a - b;
    precedes = d[23];
  endfunction

  logic        ghost;
  logic        read_rsp;
  logic        read_first;
  logic        read_last;
  logic        read_expected;
  logic        may_restart;
  logic [23:0] expected_psn;
  logic [7:0]  read_opcode;
  logic [7:0]  other_opcode;   // as good, after a restart
  logic [31:0] read_left;
  logic [12:0] pmtu;
  logic [12:0] read_len;
  logic        opcode_ok;
  logic        length_ok;
  logic        beyond;
  logic        implied_nak;
  logic        type_reserved;
  logic [7:0]  status;
  logic        accept;
  logic        is_nak;
  logic        is_fatal;

  assign pmtu     = 13'd128 << mtu_q;
  assign read_rsp = judge_read_q;
  assign ghost    = !precedes(hdr.psn, next_psn_q);

  assign expected_psn  = judge_ctx_q.begun ? judge_ctx_q.psn : record.first_psn;
  assign read_first    = hdr.psn == record.first_psn;
  assign read_last     = hdr.psn == record.last_psn;
  assign read_expected = outstanding_q && hdr.psn == expected_psn;
  assign may_restart   = judge_again_q && judge_ctx_q.begun;
  assign read_left     = record.length - judge_ctx_q.offset;
  assign read_len      = record.atomic ? '0 : read_last ? read_left[12:0] : pmtu;
  assign length_ok     = hdr.payload_len == read_len;
  assign opcode_ok     = hdr.opcode == read_opcode || (may_restart && hdr.opcode == other_opcode);

  always_comb begin
    if (record.atomic)                read_opcode = OPCODE_RC_ATOMIC_ACKNOWLEDGE;
    else if (read_first && read_last) read_opcode = OPCODE_RC_READ_RESPONSE_ONLY;
    else if (read_first)              read_opcode = OPCODE_RC_READ_RESPONSE_FIRST;
    else if (read_last)               read_opcode = OPCODE_RC_READ_RESPONSE_LAST;
    else                              read_opcode = OPCODE_RC_READ_RESPONSE_MIDDLE;
    other_opcode = read_last ? OPCODE_RC_READ_RESPONSE_ONLY : OPCODE_RC_READ_RESPONSE_FIRST;
  end

  // An ACK covers its own PSN, a NAK everything before it. A NAK that ends the QP may name any PSN
  // of the read (rocev2 3.8).
  logic [7:0] syndrome_q;
  assign syndrome_q    = hdr.syndrome;
  assign is_nak        = syndrome_q[6:5] == AETH_TYPE_NAK || syndrome_q[6:5] == AETH_TYPE_RNR;
  assign is_fatal      = syndrome_q[6:5] == AETH_TYPE_NAK && syndrome_q[4:0] != '0;
  assign type_reserved = syndrome_q[7] || syndrome_q[6:5] == AETH_TYPE_RESERVED
                      || (syndrome_q[6:5] == AETH_TYPE_NAK && syndrome_q[4:2] != '0);

  // The response stands for something behind what the read still lacks.
  assign beyond      = outstanding_q
                    && (read_rsp  ? precedes(expected_psn, hdr.psn) :
                        is_fatal  ? precedes(record.last_psn, hdr.psn) :
                        is_nak    ? precedes(expected_psn, hdr.psn)
                                  : !precedes(hdr.psn, expected_psn));
  assign implied_nak = beyond && !ghost && (read_rsp || !type_reserved)
                    && !judge_ctx_q.implied && !judge_ctx_q.broken;

  // The syndrome of a read response is checked where it has one: all but Middle.
  logic read_syndrome_ok;
  assign read_syndrome_ok = hdr.opcode == OPCODE_RC_READ_RESPONSE_MIDDLE
                         || (!syndrome_q[7] && syndrome_q[6:5] == AETH_TYPE_ACK);

  always_comb begin
    accept = 1'b0;
    status = CQE_STATUS_SUCCESS;
    if (read_rsp) begin
      accept = !ghost && read_expected && !judge_ctx_q.broken;
      if (!opcode_ok || !read_syndrome_ok) status = CQE_STATUS_BAD_RESP_ERR;
      else if (!length_ok)                 status = CQE_STATUS_LOC_LEN_ERR;
    end else begin
      accept = hdr.opcode == OPCODE_RC_ACKNOWLEDGE && !ghost && !type_reserved && !beyond;
    end
  end

  // ------------------------------------------------------------------ placing, one SGE at a time

  logic [31:0] sge_left;
  logic [12:0] need_q;      // bytes of the frame not yet placed
  logic [12:0] piece;
  logic        sge_short;   // the SGE ends before the frame does
  logic        first_q;
  logic        emit;
  logic        emit_done;
  logic        moves;

  assign sge_left  = sge.length - judge_ctx_q.sge_off;
  assign sge_short = sge_left < {19'd0, need_q};
  assign piece     = sge_short ? sge_left[12:0] : need_q;
  assign moves     = read_rsp && accept && status == CQE_STATUS_SUCCESS
                  && (hdr.payload_len != '0 || record.atomic);

  assign emit       = judge_valid_q
                   && ((judge_q == JUDGE && !moves) || (judge_q == PLACE && piece != '0));
  assign emit_done  = emit && m_work_ready;
  assign judge_free = !judge_valid_q;
  assign sge_number = judge_ctx_q.sge + 1'b1;
  assign sge_next   = judge_q == NEXT && load_q != CONTEXT;

  always_comb begin
    judge_d = judge_q;
    case (judge_q)
      JUDGE:   if (judge_valid_q && moves) judge_d = PLACE;
      PLACE:   if (piece == '0 || (m_work_ready && sge_short)) judge_d = NEXT;
               else if (m_work_ready) judge_d = JUDGE;
      NEXT:    if (load_q != CONTEXT) judge_d = WAIT;  // the SGE ring has one read port
      WAIT:    judge_d = PLACE;
      default: judge_d = JUDGE;
    endcase
  end

  logic frame_done;
  logic read_done;
  assign frame_done = emit_done && (judge_q == JUDGE || !sge_short);
  assign read_done  = read_last && read_rsp && accept;

  always_ff @(posedge clk) begin
    judge_q <= judge_d;
    if (frame_done) judge_valid_q <= 1'b0;
    if (hand) begin
      judge_valid_q <= 1'b1;
      judge_read_q  <= is_data(load_hdr.opcode);
      hdr_q         <= load_hdr_q;
      pd_q          <= load_pd_q;
      mtu_q         <= load_mtu_q;
      judge_ctx_q   <= ctx_read_bits;
      record_q      <= record_bits;
      outstanding_q <= write_turn != read_turn;
      sge_q         <= load_fresh_q ? sge_bits : load_sge_q;
      next_psn_q    <= psn_rd_data;
      need_q        <= load_record.atomic ? 13'd8 : load_hdr.payload_len;
      judge_again_q <= again_q[load_hdr.qpn[QP_W-1:0]];
      first_q       <= 1'b1;
    end
    load_fresh_q <= load_q == CONTEXT;
    if (load_fresh_q) load_sge_q <= sge_bits;
    if (emit_done) begin
      first_q             <= 1'b0;
      need_q              <= need_q - piece;
      judge_ctx_q.sge_off <= judge_ctx_q.sge_off + {19'd0, piece};
    end
    if (judge_q == NEXT && load_q != CONTEXT) begin
      judge_ctx_q.sge     <= sge_number;
      judge_ctx_q.sge_off <= '0;
    end
    if (judge_q == WAIT) sge_q <= sge_loaded;
    if (rst) begin
      judge_q       <= JUDGE;
      judge_valid_q <= 1'b0;
    end
  end

  // The context moves with a read response that was taken.
  assign ctx_write     = frame_done && ((read_rsp && accept) || implied_nak);
  assign ctx_write_qpn = hdr.qpn[QP_W-1:0];
  assign turn_rd       = frame_done && read_done;
  assign turn_wr       = !turn_level_q;

  always_ff @(posedge clk) begin
    if (hand) turn_level_q <= read_turn;
    if (read_again_en) again_q[read_again_qpn] <= 1'b1;
    if (frame_done && read_rsp && accept) again_q[hdr.qpn[QP_W-1:0]] <= 1'b0;
    if (init_write) again_q[init.qpn[QP_W-1:0]] <= 1'b0;
    if (rst) again_q <= '0;
  end

  always_comb begin
    ctx_new         = judge_ctx_q;
    ctx_new.broken  = judge_ctx_q.broken || (accept && status != CQE_STATUS_SUCCESS);
    ctx_new.implied = implied_nak;
    if (implied_nak) begin
      ctx_new.broken = judge_ctx_q.broken;
    end else if (read_done) begin
      ctx_new.slot    = judge_ctx_q.slot + 1'b1;
      ctx_new.begun   = 1'b0;
      ctx_new.offset  = '0;
      ctx_new.sge     = '0;
      ctx_new.sge_off = '0;
    end else begin
      ctx_new.begun   = 1'b1;
      ctx_new.psn     = hdr.psn + 1'b1;
      ctx_new.offset  = judge_ctx_q.offset + {19'd0, hdr.payload_len};
      if (moves) ctx_new.sge_off = judge_ctx_q.sge_off + {19'd0, piece};
    end
  end
  assign ctx_write_bits = ctx_new;

  // ------------------------------------------------------------------ credits
  //
  // An AETH of type ACK tells up to which message the peer has receive WQEs (rocev2 3.7). Of a READ
  // all responses but Middle have one.

  logic        has_credits;
  logic [15:0] credits;

  assign has_credits = accept && status == CQE_STATUS_SUCCESS && syndrome_q[6:5] == AETH_TYPE_ACK
                    && !implied_nak && hdr.opcode != OPCODE_RC_READ_RESPONSE_MIDDLE;
  assign credits     = aeth_credits(syndrome_q[4:0]);

  // ------------------------------------------------------------------ the group

  mem_req_t   mem;
  rx_retire_t retire;

  always_comb begin
    mem = '0;
    if (judge_q == PLACE) begin
      mem.op     = KEY_OP_CHECK;
      mem.kind   = record.atomic ? SEG_KIND_WORD : SEG_KIND_KEY;
      mem.va     = sge.addr + {32'd0, judge_ctx_q.sge_off};
      mem.length = piece;
      mem.token  = sge.token;
      mem.pd     = pd_q;
      mem.qpn    = 16'(hdr.qpn);
      mem.access = ACCESS_LOCAL_WRITE;
    end
  end

  always_comb begin
    retire            = '0;
    retire.kind       = RETIRE_KIND_NONE;
    retire.qpn        = 16'(hdr.qpn);
    retire.psn        = hdr.psn;
    retire.opcode     = hdr.opcode;
    retire.syndrome   = hdr.syndrome;
    retire.swap       = hdr.swap;
    retire.reply      = has_credits;
    retire.msn        = hdr.msn + 24'(credits);
    if (implied_nak) begin
      retire.kind     = RETIRE_KIND_RESP_ACK;
      retire.psn      = expected_psn;
      retire.syndrome = SYNDROME_NAK_SEQUENCE;
    end else if (accept && read_rsp) begin
      retire.kind       = RETIRE_KIND_RESP_READ;
      retire.syndrome   = has_credits ? hdr.syndrome : SYNDROME_ACK_NO_CREDITS;
      retire.cqe_status = status;
      retire.read_last  = read_last;
    end else if (accept) begin
      retire.kind       = RETIRE_KIND_RESP_ACK;
    end
  end

  // A concatenation, because Icarus loops on a record that is put together of other records.
  assign m_work_data  = {retire, ATOMIC_OP_NONE, mem, hdr.payload_beats, hdr.payload_off,
                         judge_q == JUDGE || !sge_short, first_q};
  assign m_work_valid = emit;

  assign ev_ghost_en    = frame_done && !accept && ghost;
  assign ev_syndrome_en = frame_done && !accept && !ghost && !read_rsp && type_reserved;
  assign ev_sequence_en = frame_done && !accept && !ghost && (read_rsp || !type_reserved);

  `RNIC_ASSERT(sges_cover_the_read, judge_q != NEXT || 32'(judge_ctx_q.sge) + 1 < 32'(record.num_sge))

endmodule
