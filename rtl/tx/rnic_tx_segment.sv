// rnic_tx_segment: the requester, from send queue blocks to packets.
//
// intake looks a block's QP up, decide keeps the send contexts and says what becomes of the block,
// walk writes the records and cuts the message into packets. Per QP everything leaves in ring order.
// A one-block entry with one packet takes two cycles, of one QP or of many; a long message a cycle
// per beat. Seven cycles from a block to its first packet.
//
//   s_wqe, s_rewind ─► intake ─► decide ─► walk ─► m_pkt, records, m_kick
//                                │   ▲       │
//                         m_park ┘   └───────┘ what is left of a message for another turn
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
  input  logic                     s_wqe_others,   // other QPs than that of the last block wait there

  // QPs to be sent back to their oldest outstanding message
  input  logic [15:0]              s_rewind_data,
  input  logic                     s_rewind_valid,
  output logic                     s_rewind_ready,

  // Facts of other blocks, two cycles after the number
  output logic [23:0]              qp_rd_qpn,
  input  logic [QP_CONFIG_W-1:0]   qp_rd_cfg,
  output logic [15:0]              progress_rd_qpn,
  input  logic [SQ_PROGRESS_W-1:0] progress_rd_data,
  output logic [15:0]              pace_rd_qpn,
  input  logic                     pace_rd_hold,

  // Progress as it is published
  input  logic                     progress_en,
  input  logic [15:0]              progress_qpn,
  input  logic [SQ_PROGRESS_W-1:0] progress_data,

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
  output logic                     msg_write_new,
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
  output logic                     read_again_en,
  output logic [15:0]              read_again_qpn,
  input  logic [15:0]              psn_rd_qpn,
  output logic [23:0]              psn_rd_data,

  // Epochs of QPs, as they change: a packet of another one is stale
  output logic                     epoch_en,
  output logic [15:0]              epoch_qpn,
  output logic [2:0]               epoch,

  // Packets that leave
  output logic                     sent_en,
  output logic [15:0]              sent_qpn,
  output logic [12:0]              sent_bytes,
  output logic                     sent_oldest,
  output logic                     sent_again,
  output logic                     sent_replay,

  // Context of a new life; everything that was inside has left
  input  logic [QP_INIT_W-1:0]     init_data,
  input  logic                     init_valid,
  output logic                     init_ready,
  input  logic                     drain_req_en,
  output logic                     drain_done_en,

  // Events: an entry became a message
  output logic                     ev_wqe_en
);

  // Who looks a QP up: the second look of a message, the first of one that is sent again, a block, a
  // long message in an idle cycle

  logic [15:0] enter_qpn;
  logic [15:0] look_qpn;
  logic [15:0] watch_qpn;
  logic        watch_en;
  logic        poll_en;
  logic        poll_taken;
  logic        enter;

  assign poll_taken      = poll_en && !enter;
  assign look_qpn        = watch_en || poll_taken ? watch_qpn : enter_qpn;
  assign qp_rd_qpn       = {8'd0, look_qpn};
  assign pace_rd_qpn     = look_qpn;
  assign progress_rd_qpn = look_qpn;

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
    .s_rewind_data,
    .s_rewind_valid,
    .s_rewind_ready,
    .enter_qpn,
    .enter_en      (enter),
    .qp_rd_cfg,
    .progress_rd_data,
    .pace_rd_hold,
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
  logic                   busy;
  logic [15:0]            busy_qpn;
  logic                   done;
  logic                   recall;
  logic [SEG_YIELD_W-1:0] yield_data;
  logic                   yield_valid;
  logic                   yield_ready;

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
    .busy_qpn,
    .busy,
    .s_yield_data  (yield_data),
    .s_yield_valid (yield_valid),
    .s_yield_ready (yield_ready),
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
    .epoch_en,
    .epoch_qpn,
    .epoch,
    .init_data,
    .init_valid,
    .init_ready,
    .ev_wqe_en
  );

  // Do blocks of another QP wait behind the last one that left? Each change of QP on the way in is
  // one on the way out.

  logic [3:0]  changes_q;
  logic [15:0] last_in_q;
  logic [15:0] last_out_q;
  logic        change_in;
  logic        change_out;
  logic        others;
  logic [3:0]  rewinds_q;   // on their way to the decision: the walker makes room for them
  seg_block_t  first;
  sq_progress_t progress;
  sq_progress_t progress_rd;
  logic [15:0]  progress_tail;
  logic [15:0]  progress_rd_tail;

  assign progress         = progress_data;
  assign progress_tail    = progress.msg_tail;
  assign progress_rd      = progress_rd_data;
  assign progress_rd_tail = progress_rd.msg_tail;

  assign first      = block_data;
  assign change_in  = enter && enter_qpn != last_in_q;
  assign change_out = block_valid && block_ready && first.qpn != last_out_q;
  assign others     = changes_q != '0 || s_wqe_others;
  assign recall     = rewinds_q != '0 || s_rewind_valid;

  always_ff @(posedge clk) begin
    if (enter) last_in_q <= enter_qpn;
    if (block_valid && block_ready) last_out_q <= first.qpn;
    changes_q <= changes_q + 4'(change_in) - 4'(change_out);
    rewinds_q <= rewinds_q + 4'(s_rewind_valid && s_rewind_ready)
                           - 4'(block_valid && block_ready && first.rewind);
    if (rst) begin
      changes_q  <= '0;
      rewinds_q  <= '0;
      last_in_q  <= '0;
      last_out_q <= '0;
    end
  end

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
    .m_yield_data  (yield_data),
    .m_yield_valid (yield_valid),
    .m_yield_ready (yield_ready),
    .recall,
    .others,
    .progress_en,
    .progress_qpn,
    .progress_tail,
    .m_pkt_data,
    .m_pkt_valid,
    .m_pkt_ready,
    .msg_write_en,
    .msg_write_new,
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
    .progress_rd_tail,
    .pace_rd_hold,
    .read_again_en,
    .read_again_qpn,
    .sent_en,
    .sent_qpn,
    .sent_bytes,
    .sent_oldest,
    .sent_again,
    .sent_replay,
    .busy,
    .busy_qpn,
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
