// rnic_tx_segment: the requester, from send queue blocks to packets.
//
// intake looks a block's QP up, decide keeps the send contexts and says what becomes of the block,
// walk writes the records and cuts the message into packets. Per QP everything leaves in ring order.
// A one-block entry with one packet takes two cycles, of one QP or of many; a long message a cycle
// per beat. Seven cycles from a block to its first packet.
//
//   s_wqe ─► intake ─► decide ─► walk ─► m_pkt, records, m_kick
//                        └► m_park
//
// drain_done_en: every block that had entered at drain_req_en was dropped, given back, or has left
// as packets and records. (An entry that is only half here waits for its rest; a context reset or
// any other QP's block ends that.)
`include "layouts.svh"
`include "streams.svh"
`include "segment.svh"

module rnic_tx_segment #(
  parameter int QP_COUNT  = 256,
  parameter int MSG_DEPTH = 256
) (
  input  logic                     clk,
  input  logic                     rst,

  // Blocks from the queue, and what goes back to it
  input  logic [WQE_BLOCK_W-1:0]   s_wqe_data,
  input  logic                     s_wqe_valid,
  output logic                     s_wqe_ready,
  output logic [SQ_PARK_W-1:0]     m_park_data,
  output logic                     m_park_valid,
  input  logic                     m_park_ready,

  // Facts of other blocks, two cycles after the number
  output logic [23:0]              qp_rd_qpn,
  input  logic [QP_CONFIG_W-1:0]   qp_rd_cfg,
  output logic [15:0]              progress_rd_qpn,
  input  logic [SQ_PROGRESS_W-1:0] progress_rd_data,

  // Packets, and the inline buffer that some of them refer to
  output logic [TX_PACKET_W-1:0]   m_pkt_data,
  output logic                     m_pkt_valid,
  input  logic                     m_pkt_ready,
  input  logic [5:0]               inline_slot,
  input  logic                     inline_slot_valid,
  output logic                     inline_slot_ready,
  output logic                     inline_write_en,
  output logic [5:0]               inline_write_slot,
  output logic [1:0]               inline_write_block,
  output logic [511:0]             inline_write_data,

  // Records for the completer, its wake-up, and the next PSN (two cycles after the number)
  output logic                     msg_write_en,
  output logic [15:0]              msg_write_qpn,
  output logic [15:0]              msg_write_index,
  output logic [MSG_RECORD_W-1:0]  msg_write_data,
  output logic                     read_write_en,
  output logic [15:0]              read_write_qpn,
  output logic [3:0]               read_write_slot,
  output logic [READ_RECORD_W-1:0] read_write_data,
  output logic                     sge_write_en,
  output logic [15:0]              sge_write_qpn,
  output logic [3:0]               sge_write_slot,
  output logic [2:0]               sge_write_number,
  output logic [SGE_W-1:0]         sge_write_data,
  output logic [15:0]              m_kick_data,
  output logic                     m_kick_valid,
  input  logic                     m_kick_ready,
  input  logic [15:0]              psn_rd_qpn,
  output logic [23:0]              psn_rd_data,

  // Context of a new life; everything that was inside has left
  input  logic [QP_INIT_W-1:0]     init_data,
  input  logic                     init_valid,
  output logic                     init_ready,
  input  logic                     drain_req_en,
  output logic                     drain_done_en,

  // Events: an entry became a message
  output logic                     ev_wqe_en
);

  // Who looks a QP up: the second look of a message, a block, a long message in an idle cycle

  wqe_block_t  block;
  logic [15:0] watch_qpn;
  logic        watch_en;
  logic        poll_en;
  logic        poll_taken;
  logic        enter;

  assign block           = s_wqe_data;
  assign enter           = s_wqe_valid && s_wqe_ready;
  assign poll_taken      = poll_en && !enter;
  assign qp_rd_qpn       = {8'd0, watch_en || poll_taken ? watch_qpn : block.qpn};
  assign progress_rd_qpn = block.qpn;

  logic [SEG_BLOCK_W-1:0] block_data;
  logic                   block_valid;
  logic                   block_ready;
  logic [15:0]            next_qpn;

  rnic_tx_segment_intake u_intake (
    .clk,
    .rst,
    .s_wqe_data,
    .s_wqe_valid,
    .s_wqe_ready,
    .hold          (watch_en),
    .qp_rd_cfg,
    .progress_rd_data,
    .m_block_data  (block_data),
    .m_block_valid (block_valid),
    .m_block_ready (block_ready),
    .m_next_qpn    (next_qpn)
  );

  logic [SEG_JOB_W-1:0] job_data;
  logic                 job_valid;
  logic                 job_ready;
  logic                 line_write_en;
  logic                 line_write_bank;
  logic [1:0]           line_write_number;
  logic [511:0]         line_write_data;

  rnic_tx_segment_decide #(
    .QP_COUNT  (QP_COUNT),
    .MSG_DEPTH (MSG_DEPTH)
  ) u_decide (
    .clk,
    .rst,
    .s_block_data  (block_data),
    .s_block_valid (block_valid),
    .s_block_ready (block_ready),
    .s_next_qpn    (next_qpn),
    .m_job_data    (job_data),
    .m_job_valid   (job_valid),
    .m_job_ready   (job_ready),
    .line_write_en,
    .line_write_bank,
    .line_write_number,
    .line_write_data,
    .inline_slot,
    .inline_slot_valid,
    .inline_slot_ready,
    .inline_write_en,
    .inline_write_slot,
    .inline_write_block,
    .inline_write_data,
    .m_park_data,
    .m_park_valid,
    .m_park_ready,
    .psn_rd_qpn,
    .psn_rd_data,
    .init_data,
    .init_valid,
    .init_ready,
    .ev_wqe_en
  );

  logic busy;
  logic done;

  rnic_tx_segment_walk u_walk (
    .clk,
    .rst,
    .s_job_data  (job_data),
    .s_job_valid (job_valid),
    .s_job_ready (job_ready),
    .line_write_en,
    .line_write_bank,
    .line_write_number,
    .line_write_data,
    .m_pkt_data,
    .m_pkt_valid,
    .m_pkt_ready,
    .msg_write_en,
    .msg_write_qpn,
    .msg_write_index,
    .msg_write_data,
    .read_write_en,
    .read_write_qpn,
    .read_write_slot,
    .read_write_data,
    .sge_write_en,
    .sge_write_qpn,
    .sge_write_slot,
    .sge_write_number,
    .sge_write_data,
    .m_kick_data,
    .m_kick_valid,
    .m_kick_ready,
    .watch_qpn,
    .watch_en,
    .poll_en,
    .poll_taken,
    .qp_rd_cfg,
    .busy,
    .done
  );

  // Drain: the blocks that were inside leave decide, then the job that was at work ends, then the
  // packet and the park that were on their way out are taken

  typedef enum logic [2:0] {QUIET, BLOCKS, JOB, PACKET, DONE} drain_e;

  drain_e     drain_q;
  drain_e     drain_d;
  logic [7:0] entered_q;
  logic [7:0] popped_q;
  logic [7:0] target_q;
  logic [7:0] ahead;     // blocks still to leave, negated

  assign ahead = popped_q - target_q;

  always_comb begin
    drain_d = drain_q;

    case (drain_q)
      QUIET:  if (drain_req_en) drain_d = BLOCKS;
      BLOCKS: if (!ahead[7]) drain_d = JOB;
      JOB:    if (!busy || done) drain_d = PACKET;
      PACKET: if ((!m_pkt_valid || m_pkt_ready) && (!m_park_valid || m_park_ready)) drain_d = DONE;
      DONE:   drain_d = QUIET;
      default: drain_d = QUIET;
    endcase
  end

  assign drain_done_en = drain_q == DONE;

  always_ff @(posedge clk) begin
    drain_q   <= drain_d;
    entered_q <= entered_q + 8'(enter);
    popped_q  <= popped_q + 8'(block_valid && block_ready);
    if (drain_req_en) target_q <= entered_q + 8'(enter);
    if (rst) begin
      drain_q   <= QUIET;
      entered_q <= '0;
      popped_q  <= '0;
    end
  end

endmodule
