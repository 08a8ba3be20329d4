// rnic_rx_pieces: turns the answers of the key check into moves, host write bursts, atomics and records.
//
// A segment becomes one or two moves: what the line engine does with the next payload bytes. A move
// that writes has its burst asked for at once, and every move leaves a record for retire. Pieces do
// not cross 4 KiB, see rnic_mem_check. One move per cycle.
//
// After a refused segment its queue pair is dead on that side (requests or responses): the rest of
// the frame and all later frames move nothing and have no fault, until init. Whoever wants to know
// before the next frame asks `dead_rd`, when nothing is inside. A repeated read whose key was taken back
// since it was answered has a fault like any other, but nobody dies of it: the responder forgets it.
//
// A burst that touches a line with an atomic under way waits here for its end; so does an atomic that
// finds no room. While atomics are under way a burst takes a second cycle, to be compared with them.
`include "codes.svh"
`include "rx.svh"
`include "streams.svh"
`include "assert.svh"

module rnic_rx_pieces #(
  parameter int QP_COUNT = 256
) (
  input  logic           clk,
  input  logic           rst,

  // Answers, with what was asked, and the numbers of words and atomics
  input  mem_rsp_t       s_rsp_data,
  input  rx_segment_t    s_rsp_segment,
  input  logic           s_rsp_valid,
  output logic           s_rsp_ready,
  input  rx_number_t     s_number_data,
  input  logic           s_number_valid,
  output logic           s_number_ready,

  // Moves
  output rx_move_t       m_move_data,
  output logic           m_move_valid,
  input  logic           m_move_ready,

  // Bursts
  output dma_write_req_t m_wreq_data,
  output logic           m_wreq_valid,
  input  logic           m_wreq_ready,

  // Atomics, and whether some are under way in the lines shown in the cycle before
  output rx_atomic_t     m_atomic_data,
  output logic           m_atomic_valid,
  input  logic           m_atomic_ready,
  output rx_lines_t      look_lines,
  input  logic           look_clash,
  input  logic           atomic_idle,

  // Records
  output rx_record_t     m_record_data,
  output logic           m_record_valid,
  input  logic           m_record_ready,

  // A segment is judged
  output logic           judged_en,

  // Is this queue pair dead, a cycle later
  input  logic [15:0]    dead_rd_qpn,
  input  logic [1:0]     dead_rd_side,
  output logic           dead_rd,

  // Context of a new life
  input  qp_init_t       init_data,
  input  logic           init_valid,
  output logic           init_ready
);

  localparam int QP_W = QP_COUNT > 1 ? $clog2(QP_COUNT) : 1;

  // Which queue pairs are dead

  logic [QP_COUNT-1:0] dead_req_q;
  logic [QP_COUNT-1:0] dead_rsp_q;
  logic                init_en;
  logic                kill;
  logic [QP_W-1:0]     kill_qpn, in_qpn, ask_qpn, init_qpn;
  logic                in_dead;

  rx_segment_t seg;   // under way below

  assign init_ready = 1'b1;
  assign init_en    = init_valid && (init_data.op == QP_INIT_OP_CREATE
                   || init_data.op == QP_INIT_OP_RTR || init_data.op == QP_INIT_OP_DESTROY);
  assign init_qpn   = init_data.qpn[QP_W-1:0];
  assign kill_qpn   = seg.qpn[QP_W-1:0];
  assign in_qpn     = s_rsp_segment.qpn[QP_W-1:0];
  assign ask_qpn    = dead_rd_qpn[QP_W-1:0];
  assign in_dead    = (s_rsp_segment.side == RX_SIDE_REQ && dead_req_q[in_qpn])
                   || (s_rsp_segment.side == RX_SIDE_RSP && dead_rsp_q[in_qpn])
                   || (kill && seg.side == s_rsp_segment.side && kill_qpn == in_qpn);

  always_ff @(posedge clk) begin
    if (init_en) dead_req_q[init_qpn] <= 1'b0;
    if (init_en) dead_rsp_q[init_qpn] <= 1'b0;
    if (kill && seg.side == RX_SIDE_REQ) dead_req_q[kill_qpn] <= 1'b1;
    if (kill && seg.side == RX_SIDE_RSP) dead_rsp_q[kill_qpn] <= 1'b1;
    dead_rd <= (dead_rd_side == RX_SIDE_REQ && dead_req_q[ask_qpn])
            || (dead_rd_side == RX_SIDE_RSP && dead_rsp_q[ask_qpn]);
    if (rst) begin
      dead_req_q <= '0;
      dead_rsp_q <= '0;
    end
  end

  // The answer, and whether it is of a dead queue pair

  mem_rsp_t rsp;
  logic     dead;
  logic     valid;
  logic     leaves;

  stream_register #(.DATA_W(1 + MEM_RSP_W + RX_SEGMENT_W)) u_answer (
    .clk,
    .rst,
    .s_data  ({in_dead, s_rsp_data, s_rsp_segment}),
    .s_valid (s_rsp_valid),
    .s_ready (s_rsp_ready),
    .m_data  ({dead, rsp, seg}),
    .m_valid (valid),
    .m_ready (leaves)
  );

  // Its pieces

  logic        second_q;   // the first piece is gone
  logic        refused;
  logic        atomic;
  logic [63:0] addr;
  logic [12:0] len;
  logic        write;
  logic        more;       // a second piece follows

  // Bus addresses of a contiguous region may be odd where its virtual addresses are not; eight bytes
  // across two lines cannot be changed in one piece.
  assign refused = !rsp.ok || rsp.bus_error
                || (seg.atomic != ATOMIC_OP_NONE && rsp.addr0[2:0] != '0);
  assign atomic  = !dead && !refused && seg.atomic != ATOMIC_OP_NONE;
  assign addr    = second_q ? rsp.addr1 : rsp.addr0;
  assign len     = second_q ? rsp.len1 : rsp.len0;
  assign write   = !dead && !refused && !atomic && len != '0;
  assign more    = !dead && !refused && rsp.len1 != '0 && !second_q;

  // The word begins at addr0, so byte n of any aligned eight is its byte n - addr0.
  logic [63:0]  number;
  logic [127:0] turned;

  assign number = s_number_data.swap;
  assign turned = {number, number} << {rsp.addr0[2:0], 3'b000};

  always_comb begin
    m_move_data.first  = seg.first && !second_q;
    m_move_data.last   = seg.last && !more;
    m_move_data.off    = seg.off;
    m_move_data.beats  = seg.beats;
    m_move_data.lane   = addr[5:0];
    m_move_data.write  = write;
    m_move_data.word   = seg.word;
    m_move_data.number = turned[127:64];
    m_move_data.length = '0;
    if (write)                  m_move_data.length = len;
    else if (!dead && !refused) m_move_data.length = seg.length;
  end

  assign m_wreq_data.addr  = addr;
  assign m_wreq_data.beats = 7'((14'(addr[5:0]) + 14'(len) + 14'd63) >> 6);

  always_comb begin
    m_atomic_data.op      = seg.atomic;
    m_atomic_data.addr    = addr;
    m_atomic_data.swap    = s_number_data.swap;
    m_atomic_data.compare = s_number_data.compare;
  end

  always_comb begin
    m_record_data.last   = seg.last && !more;
    m_record_data.write  = write;
    m_record_data.atomic = atomic;
    m_record_data.fault  = RX_FAULT_NONE;
    if (!dead && rsp.bus_error) m_record_data.fault = RX_FAULT_BUS;
    else if (!dead && refused)  m_record_data.fault = seg.fault;
  end

  // Its lines are shown in one cycle and known to be free in the next; no atomic can have come
  // between, for all come from here.

  logic        looked_q;
  logic        clear;
  logic [12:0] last_byte;

  assign last_byte        = 13'(addr[11:0]) + len - 13'd1;
  assign look_lines.page  = addr[63:12];
  assign look_lines.first = addr[11:6];
  assign look_lines.last  = last_byte[11:6];

  always_comb begin
    clear = 1'b1;
    if (write)  clear = atomic_idle || (looked_q && !look_clash);
    if (atomic) clear = atomic_idle || looked_q;
  end

  // All leave together.

  logic room;
  logic fire;

  assign room   = m_move_ready && m_record_ready && (m_wreq_ready || !write)
               && (m_atomic_ready || !atomic);
  assign fire   = valid && room && clear;
  assign leaves = fire && !more;
  assign kill   = fire && !dead && refused && !seg.again;

  assign m_move_valid   = fire;
  assign m_record_valid = fire;
  assign m_wreq_valid   = fire && write;
  assign m_atomic_valid = fire && atomic;
  assign s_number_ready = leaves && (seg.word || seg.atomic != ATOMIC_OP_NONE);
  assign judged_en      = leaves;

  always_ff @(posedge clk) begin
    looked_q <= valid && !fire;
    if (fire) second_q <= more;
    if (rst) begin
      looked_q <= 1'b0;
      second_q <= 1'b0;
    end
  end

  `RNIC_ASSERT(numbers_are_there, !s_number_ready || s_number_valid)
  `RNIC_ASSERT(an_atomic_has_eight_bytes, !m_atomic_valid || rsp.len0 == 13'd8)

endmodule
