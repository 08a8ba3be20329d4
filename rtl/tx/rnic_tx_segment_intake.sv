// rnic_tx_segment_intake: looks up what is known of a block's QP, and at what the block says.
//
// Configuration and progress are read when a block enters and are there two cycles later, when it
// joins a queue of four with them. What can be judged without the send context is judged here: is
// it a well-formed head of an entry, how many packets does it take, what do its SGEs sum up to. One
// block per cycle, three cycles of latency. m_next_qpn is the QP of the block that is first in the
// coming cycle. A QP that is to be sent back comes the same way, as a block that is none.
`include "codes.svh"
`include "layouts.svh"
`include "streams.svh"
`include "segment.svh"

module rnic_tx_segment_intake (
  input  logic                     clk,
  input  logic                     rst,

  // Blocks from the queue; `hold` keeps them out for a cycle
  input  logic [WQE_BLOCK_W-1:0]   s_wqe_data,
  input  logic                     s_wqe_valid,
  output logic                     s_wqe_ready,
  input  logic                     hold,

  // QPs to send back; they travel with the blocks
  input  logic [15:0]              s_rewind_data,
  input  logic                     s_rewind_valid,
  output logic                     s_rewind_ready,

  // What entered, and the facts of its QP, two cycles after that
  output logic [15:0]              enter_qpn,
  output logic                     enter_en,
  input  logic [QP_CONFIG_W-1:0]   qp_rd_cfg,
  input  logic [SQ_PROGRESS_W-1:0] progress_rd_data,
  input  logic                     pace_rd_hold,

  // Blocks that were looked at
  output logic [SEG_BLOCK_W-1:0]   m_block_data,
  output logic                     m_block_valid,
  input  logic                     m_block_ready,
  output logic [15:0]              m_next_qpn
);

  localparam int DEPTH = 4;

  logic [WQE_BLOCK_W-1:0] one_q;
  logic [WQE_BLOCK_W-1:0] two_q;
  logic                   one_valid_q;
  logic                   two_valid_q;
  logic [2:0]             waiting;

  wqe_block_t             in;
  logic                   room;
  logic                   one_rewind_q;
  logic                   two_rewind_q;

  assign in             = s_wqe_data;
  assign room           = !hold && waiting + 3'(one_valid_q) + 3'(two_valid_q) < 3'(DEPTH);
  assign s_rewind_ready = room;
  assign s_wqe_ready    = room && !s_rewind_valid;
  assign enter_en       = room && (s_rewind_valid || s_wqe_valid);
  assign enter_qpn      = s_rewind_valid ? s_rewind_data : in.qpn;

  always_ff @(posedge clk) begin
    one_q        <= s_rewind_valid ? {in.data, in.error, in.index, s_rewind_data} : s_wqe_data;
    one_rewind_q <= s_rewind_valid;
    two_q        <= one_q;
    two_rewind_q <= one_rewind_q;
    one_valid_q  <= enter_en;
    two_valid_q  <= one_valid_q;
    if (rst) begin
      one_valid_q <= 1'b0;
      two_valid_q <= 1'b0;
    end
  end

  // What it says

  wqe_block_t   block;
  sq_wqe_t      wqe;
  qp_config_t   cfg;
  sq_progress_t progress;
  seg_block_t   seen;
  logic [511:0] data;

  assign block    = two_q;
  assign data     = block.data;
  assign wqe      = data;
  assign cfg      = qp_rd_cfg;
  assign progress = progress_rd_data;

  logic        is_send;
  logic        is_write;
  logic        is_atomic;
  logic        is_read;
  logic        is_local;
  logic        is_moving;   // it names bytes
  logic        is_inline;
  logic        framed;
  logic        wants_inline;
  logic        wants_sge;
  logic [4:0]  sge_room;
  logic [4:0]  sge_most;
  logic [8:0]  inline_room;
  logic [7:0]  flags;
  logic [15:0] ring_size;
  logic [32:0] rounded;
  logic [25:0] packets;

  assign flags        = wqe.flags;
  assign is_send      = wqe.opcode == WR_OP_SEND || wqe.opcode == WR_OP_SEND_IMM
                     || wqe.opcode == WR_OP_SEND_INV;
  assign is_write     = wqe.opcode == WR_OP_WRITE || wqe.opcode == WR_OP_WRITE_IMM;
  assign is_atomic    = wqe.opcode == WR_OP_CMP_SWAP || wqe.opcode == WR_OP_FETCH_ADD;
  assign is_read      = wqe.opcode == WR_OP_READ || is_atomic;
  assign is_local     = wqe.opcode == WR_OP_LOCAL_INV || wqe.opcode == WR_OP_FAST_REG
                     || wqe.opcode == WR_OP_NOP;
  assign is_moving    = is_send || is_write || wqe.opcode == WR_OP_READ;
  assign wants_inline = flags[WQE_FLAG_INLINE_B];
  assign wants_sge    = (is_moving && !wants_inline) || is_atomic;
  assign is_inline    = wants_inline && (is_send || is_write) && wqe.length != '0;
  assign ring_size    = 16'd1 << cfg.sq_log;

  // Two SGEs or 32 bytes in the head, four or 64 in each further block.
  assign sge_room    = {wqe.blocks[2:0] - 3'd1, 2'b10};
  assign framed      = !block.error && wqe.index == block.index && wqe.blocks != '0
                    && wqe.blocks <= 4'(MAX_WQE_BLOCKS) && 16'(wqe.blocks) <= ring_size;
  assign inline_room = {wqe.blocks[2:0] - 3'd1, 6'd32};
  assign sge_most    = is_read ? 5'(MAX_READ_SGE) : 5'(MAX_SGE);

  always_comb begin
    rounded = {1'b0, wqe.length};
    case (cfg.path_mtu)
      MTU_BYTES_256:  packets = 26'((rounded + 33'd255) >> 8);
      MTU_BYTES_512:  packets = 26'((rounded + 33'd511) >> 9);
      MTU_BYTES_1024: packets = 26'((rounded + 33'd1023) >> 10);
      MTU_BYTES_2048: packets = 26'((rounded + 33'd2047) >> 11);
      default:      packets = 26'((rounded + 33'd4095) >> 12);
    endcase
    if (wqe.length == '0) packets = 26'd1;
  end

  always_comb begin
    seen.qpn        = block.qpn;
    seen.index      = block.index;
    seen.error      = block.error;
    seen.data       = data;
    seen.alive      = cfg.exists && (cfg.state == QP_STATE_RTS || cfg.state == QP_STATE_SQD
                                     || cfg.state == QP_STATE_SQE || cfg.state == QP_STATE_ERR);
    seen.flush      = cfg.state == QP_STATE_ERR || cfg.state == QP_STATE_SQE;
    seen.drain      = cfg.state == QP_STATE_SQD;
    seen.pd         = cfg.pd;
    seen.path_mtu   = cfg.path_mtu;
    seen.max_reads  = cfg.max_rd_atomic > 5'd16 ? 5'd16 : cfg.max_rd_atomic;
    seen.msg_tail   = progress.msg_tail;
    seen.reads_done = progress.reads_done;
    seen.count      = progress.count;
    seen.rnr_wait   = progress.rnr_wait;
    seen.sq_tail    = progress.sq_tail;
    seen.psn        = progress.psn;
    seen.una        = progress.una;
    seen.limited    = progress.limited;
    seen.limit      = progress.limit;
    seen.held       = pace_rd_hold;
    seen.rewind     = two_rewind_q;

    seen.framed     = framed;
    seen.is_read    = is_read;
    seen.is_local   = is_local;
    seen.is_inline  = is_inline;

    seen.bad_op     = !framed || !(is_moving || is_atomic || is_local) || cfg.qp_type != QP_TYPE_RC
                   || (wants_sge && ({1'b0, wqe.num_sge} > sge_room
                                     || {1'b0, wqe.num_sge} > sge_most))
                   || (is_atomic && wqe.num_sge != 4'd1)
                   || (wants_inline && (is_read || (is_moving && wqe.num_sge != '0)))
                   || (is_inline && wqe.length <= 32'(MAX_INLINE)
                       && wqe.length > 32'(inline_room))
                   || (is_read && cfg.max_rd_atomic == '0)
                   || (is_local && wqe.blocks != 4'd1);
    // More than 2^23 - 1 numbers would make new ones look old (rocev2 3.2).
    seen.bad_len    = (is_moving && (wqe.length > MAX_MESSAGE[31:0] || packets >= 26'h0800000))
                   || (is_inline && wqe.length > 32'(MAX_INLINE))
                   || (is_atomic && wqe.length != 32'd8);
    seen.psns       = is_local ? '0 : is_atomic ? 24'd1 : packets[23:0];
  end

  // Sums of SGE lengths: a head's SGEs are in its upper half

  logic [32:0] low_two;
  logic [32:0] high_two;

  assign low_two  = {1'b0, data[95:64]} + {1'b0, data[223:192]};
  assign high_two = {1'b0, data[351:320]} + {1'b0, data[479:448]};

  always_comb begin
    seen.sum_1    = data[95:64];
    seen.sum_2    = low_two;
    seen.sum_3    = {1'b0, low_two} + {2'd0, data[351:320]};
    seen.sum_4    = {1'b0, low_two} + {1'b0, high_two};
    seen.sum_head = {1'b0, high_two};
    if (wqe.num_sge == 4'd1) seen.sum_head = {2'd0, data[351:320]};
    if (wqe.num_sge == 4'd0) seen.sum_head = '0;
  end

  // Queue: the first in a register, the others behind it

  logic [SEG_BLOCK_W-1:0] next_data;
  logic                   next_valid;
  logic                   next_take;
  seg_block_t             next;
  seg_block_t             head;
  logic                   unused_ready;

  stream_fifo #(
    .DATA_W (SEG_BLOCK_W),
    .DEPTH  (DEPTH)
  ) u_waiting (
    .clk,
    .rst,
    .s_data  (seen),
    .s_valid (two_valid_q && !(next_take && !next_valid)),
    .s_ready (unused_ready),
    .m_data  (next_data),
    .m_valid (next_valid),
    .m_ready (next_take),
    .count   (waiting)
  );

  logic [SEG_BLOCK_W-1:0] head_q;
  logic                   head_valid_q;

  assign next_take  = !head_valid_q || m_block_ready;
  assign next       = next_valid ? next_data : seen;
  assign head       = head_q;
  assign m_next_qpn = next_take ? next.qpn : head.qpn;

  always_ff @(posedge clk) begin
    if (next_take) head_q <= next;
    if (next_take) head_valid_q <= next_valid || two_valid_q;
    if (rst) head_valid_q <= 1'b0;
  end

  assign m_block_data  = head_q;
  assign m_block_valid = head_valid_q;

endmodule
