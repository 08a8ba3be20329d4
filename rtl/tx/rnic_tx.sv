// rnic_tx: turns packet descriptors into frames on the wire.
//
//             ┌─────────────────────► headers ────────────┐
//   s_pkt[2] ─┴─► mem_check ─► payload ─► segments ─► steps ─► align ─► icrc ─► buffer ─► m_axis_tx
//               (key, pages)  └─► host ─► landing ────────┘    └─► verdict ─► m_result
//
// In order from end to end. Headers are built while the payload is on its way. 128 segments may be
// between check and buffer, with 512 lines of 64 bytes; from steps to buffer a beat per cycle, and
// nothing is ever held up there: room in the frame buffer is taken before a frame is begun. What
// fails is dropped at the frame buffer and reported. A request that is stale, because its queue pair
// has been sent back since it was made, is dropped where its payload would be read and where its
// frame would begin.
`include "streams.svh"
`include "layouts.svh"
`include "tx.svh"

module rnic_tx #(
  parameter int QP_COUNT = 256
) (
  input  logic                             clk,
  input  logic                             rst,

  // Packets (TxPacket): 0 the responder's, 1 the requester's
  input  logic [1:0][TX_PACKET_W-1:0]      s_pkt_data,
  input  logic [1:0]                       s_pkt_valid,
  output logic [1:0]                       s_pkt_ready,

  // Inline buffer: a free slot, and what the requester writes there before it sends the packet
  output logic [5:0]                       inline_slot,
  output logic                             inline_slot_valid,
  input  logic                             inline_slot_ready,
  input  logic                             inline_write_en,
  input  logic [5:0]                       inline_write_slot,
  input  logic [1:0]                       inline_write_block,
  input  logic [511:0]                     inline_write_data,

  // Queue pair (QpConfig, two cycles) and own address (one cycle)
  output logic [23:0]                      qp_rd_qpn,
  input  logic [QP_CONFIG_W-1:0]           qp_rd_cfg,
  output logic [3:0]                       gid_rd_index,
  input  logic [127:0]                     gid_rd_gid,

  // Key table
  output logic                             lookup_en,
  output logic [23:0]                      lookup_index,
  input  logic [KEY_ENTRY_W-1:0]           lookup_entry,
  output logic [KEY_WRITE_W-1:0]           m_mod_data,
  output logic                             m_mod_valid,
  input  logic                             m_mod_ready,
  input  logic                             key_changed_en,
  input  logic                             key_grant_en,

  // Host reads (DmaReadReq): 0 page lists, 1 payload
  output logic [1:0][DMA_READ_REQ_W-1:0]   m_dma_data,
  output logic [1:0]                       m_dma_valid,
  input  logic [1:0]                       m_dma_ready,
  input  logic [DMA_READ_DATA_W-1:0]       s_dma_rsp_data,
  input  logic [1:0]                       s_dma_rsp_en,

  // Results (TxResult)
  output logic [TX_RESULT_W-1:0]           m_result_data,
  output logic                             m_result_valid,
  input  logic                             m_result_ready,

  // Frames
  output logic [511:0]                     m_axis_tx_tdata,
  output logic [63:0]                      m_axis_tx_tkeep,
  output logic                             m_axis_tx_tlast,
  output logic                             m_axis_tx_tvalid,
  input  logic                             m_axis_tx_tready,

  // Epochs of queue pairs, as the requester changes them
  input  logic                             epoch_en,
  input  logic [15:0]                      epoch_qpn,
  input  logic [2:0]                       epoch,

  // Context reset (QpInit) and drain
  input  logic [QP_INIT_W-1:0]             init_data,
  input  logic                             init_valid,
  output logic                             init_ready,
  input  logic                             drain_req_en,
  output logic                             drain_done_en,

  // Configuration
  input  logic [47:0]                      mac,
  input  logic                             mig_req,
  input  logic                             ecn,         // requests and read responses carry ECT(0)
  input  logic [7:0]                       cnp_tclass,  // DSCP and ECN of a CNP
  input  logic [2:0]                       cnp_pcp,     // and its priority

  // Statistics
  output logic                             ev_tx_packet,
  output logic                             ev_tx_bytes_en,
  output logic [6:0]                       ev_tx_bytes,
  output logic                             ev_aborted,
  output logic [1:0]                       ev_stale,
  output logic                             ev_dma_error,
  output logic                             ev_ack,
  output logic                             ev_rnr_nak,
  output logic                             ev_nak
);

  localparam int LINES    = 512;
  localparam int SEGMENTS = 128;
  localparam int BEATS    = 512;
  localparam int ROOM_W   = $clog2(BEATS) + 1;

  // Whose turn
  tx_packet_t             pkt;
  logic [TX_PACKET_W-1:0] pkt_data;
  logic                   pkt_valid;
  logic                   pkt_ready;
  logic                   turn_valid;
  logic                   window_open;
  logic                   admitted;
  logic [ROOM_W-1:0]      beat_room;
  logic [5:0]             leaving_q;

  assign pkt = pkt_data;

  rnic_tx_turn u_turn (
    .clk, .rst,
    .s_pkt_data,
    .s_pkt_valid,
    .s_pkt_ready,
    .m_pkt_data  (pkt_data),
    .m_pkt_valid (turn_valid),
    .m_pkt_ready (pkt_ready && admitted)
  );

  // Not more at once than the pipeline needs
  rnic_tx_window #(.BEATS_W(ROOM_W)) u_window (
    .clk, .rst,
    .enter_en  (pkt_valid && pkt_ready && pkt.first),
    .enter_len (pkt.payload_len),
    .leave_en  (leaving_q[5]),
    .buffered  (ROOM_W'(BEATS - 1) - beat_room),
    .open      (window_open)
  );

  assign admitted  = window_open || !pkt.first;
  assign pkt_valid = turn_valid && admitted;

  // Check and translate; a registration's list travels in fields that packets of its kind do not use
  logic [31:0]            reg_word;
  logic [MEM_RSP_W-1:0]   rsp_data;
  logic [TX_PACKET_W-1:0] rsp_user;
  logic                   rsp_valid;
  logic                   rsp_ready;
  logic                   has_header;
  logic                   hdr_ready;
  logic                   hdr_ok;
  logic                   check_ready;

  assign reg_word   = pkt.reth_len;
  assign has_header = pkt.first && !pkt.local_op;
  assign hdr_ok     = hdr_ready || !has_header;
  assign pkt_ready  = check_ready && hdr_ok;

  rnic_mem_check #(.USER_W(TX_PACKET_W)) u_check (
    .clk, .rst,
    .s_req_data       (pkt.mem),
    .s_req_user       (pkt_data),
    .s_req_reg_pages  (pkt.reth_va),
    .s_req_reg_length (pkt.swap),
    .s_req_reg_shift  (reg_word[4:0]),
    .s_req_reg_direct (reg_word[5]),
    .s_req_valid      (pkt_valid && hdr_ok),
    .s_req_ready      (check_ready),
    .lookup_en,
    .lookup_index,
    .lookup_entry,
    .m_mod_data,
    .m_mod_valid,
    .m_mod_ready,
    .changed_en       (key_changed_en),
    .grant_en         (key_grant_en),
    .m_dma_data       (m_dma_data[0]),
    .m_dma_valid      (m_dma_valid[0]),
    .m_dma_ready      (m_dma_ready[0]),
    .s_dma_data       (s_dma_rsp_data),
    .s_dma_en         (s_dma_rsp_en[0]),
    .m_rsp_data       (rsp_data),
    .m_rsp_user       (rsp_user),
    .m_rsp_valid      (rsp_valid),
    .m_rsp_ready      (rsp_ready)
  );

  // Ask the host
  logic [TX_TICKET_W-1:0]   early_ticket;
  logic [1:0]               early_bits;
  logic                     early_old;
  logic                     early_set_en;
  logic                     early_wipe_en;
  logic [1:0]               late_early_bits;
  tx_ticket_t               asking;
  logic [2:0]               asking_epoch;
  logic [$clog2(LINES):0]   line_room;
  logic                     reserve_en;
  logic [6:0]               reserve_lines;
  logic [TX_SEGMENT_W-1:0]  seg_in_data;
  logic                     seg_in_valid;
  logic                     seg_in_ready;

  rnic_tx_payload #(.LINES(LINES)) u_payload (
    .clk, .rst,
    .s_rsp_data      (rsp_data),
    .s_rsp_user      (rsp_user),
    .s_rsp_valid     (rsp_valid),
    .s_rsp_ready     (rsp_ready),
    .poison_ticket   (early_ticket),
    .poison          (early_bits | late_early_bits),
    .poison_old      (early_old),
    .poison_set_en   (early_set_en),
    .poison_wipe_en  (early_wipe_en),
    .epoch           (asking_epoch),
    .m_dma_data      (m_dma_data[1]),
    .m_dma_valid     (m_dma_valid[1]),
    .m_dma_ready     (m_dma_ready[1]),
    .room            (line_room),
    .reserve_en,
    .reserve_lines,
    .m_seg_data      (seg_in_data),
    .m_seg_valid     (seg_in_valid),
    .m_seg_ready     (seg_in_ready)
  );

  // Lines
  logic         line_valid;
  logic         line_pop_en;
  logic [511:0] line_data;
  logic         line_error;
  logic         inline_rd_en;
  logic [5:0]   inline_rd_slot;
  logic [1:0]   inline_rd_block;
  logic [511:0] inline_data;
  logic         inline_free_en;
  logic [5:0]   inline_free_slot;

  rnic_tx_landing #(.LINES(LINES)) u_landing (
    .clk, .rst,
    .room       (line_room),
    .reserve_en,
    .reserve_lines,
    .s_dma_data (s_dma_rsp_data),
    .s_dma_en   (s_dma_rsp_en[1]),
    .line_valid,
    .line_pop_en,
    .line_data,
    .line_error
  );

  rnic_tx_inline u_inline (
    .clk, .rst,
    .inline_slot,
    .inline_slot_valid,
    .inline_slot_ready,
    .inline_write_en,
    .inline_write_slot,
    .inline_write_block,
    .inline_write_data,
    .rd_en     (inline_rd_en),
    .rd_slot   (inline_rd_slot),
    .rd_block  (inline_rd_block),
    .rd_data   (inline_data),
    .free_en   (inline_free_en),
    .free_slot (inline_free_slot)
  );

  // Headers
  logic [TX_FRAME_W-1:0] frame_data;
  logic                  frame_valid;
  logic                  frame_ready;
  logic [895:0]          image_data;
  logic                  image_valid;
  logic                  image_ready;

  rnic_tx_headers #(.DEPTH(SEGMENTS)) u_headers (
    .clk, .rst,
    .s_pkt_data    (pkt_data),
    .s_pkt_valid   (pkt_valid && check_ready && has_header),
    .s_pkt_ready   (hdr_ready),
    .qp_rd_qpn,
    .qp_rd_cfg,
    .gid_rd_index,
    .gid_rd_gid,
    .m_frame_data  (frame_data),
    .m_frame_valid (frame_valid),
    .m_frame_ready (frame_ready),
    .m_image_data  (image_data),
    .m_image_valid (image_valid),
    .m_image_ready (image_ready),
    .mac,
    .mig_req,
    .ecn,
    .cnp_tclass,
    .cnp_pcp
  );

  // Segments that wait for their lines
  logic [TX_SEGMENT_W-1:0]   seg_data;
  logic                      seg_valid;
  logic                      seg_ready;
  logic [$clog2(SEGMENTS):0] seg_count_unused;

  stream_fifo #(.DATA_W(TX_SEGMENT_W), .DEPTH(SEGMENTS), .REGISTERED(1)) u_segments (
    .clk, .rst,
    .s_data  (seg_in_data),
    .s_valid (seg_in_valid),
    .s_ready (seg_in_ready),
    .m_data  (seg_data),
    .m_valid (seg_valid),
    .m_ready (seg_ready),
    .count   (seg_count_unused)
  );

  // Join
  logic                   beat_take_en;
  logic [6:0]             beat_take;
  logic                   result_room;
  logic                   results_empty;
  logic [TX_STEP_W-1:0]   step_data;
  logic                   step_en;
  logic [TX_TICKET_W-1:0] end_ticket;
  logic [1:0]             end_fault;
  logic                   end_bad;
  logic                   end_en;
  logic                   end_drop;
  logic [TX_BEAT_W-1:0]   beat;
  logic                   beat_en;
  logic                   beat_start;
  logic                   beat_v6;
  logic                   beat_vlan;
  logic                   beat_icrc;
  logic [5:0]             beat_cover;
  logic                   frame_end_en;
  logic                   frame_end_drop;
  logic [6:0]             frame_end_beats;
  logic [TX_TICKET_W-1:0] frame_end_ticket;

  rnic_tx_steps #(.ROOM_W(ROOM_W)) u_steps (
    .clk, .rst,
    .s_seg_data    (seg_data),
    .s_seg_valid   (seg_valid),
    .s_seg_ready   (seg_ready),
    .s_frame_data  (frame_data),
    .s_frame_valid (frame_valid),
    .s_frame_ready (frame_ready),
    .line_valid,
    .line_pop_en,
    .inline_rd_en,
    .inline_rd_slot,
    .inline_rd_block,
    .inline_free_en,
    .inline_free_slot,
    .room          (beat_room),
    .take_en       (beat_take_en),
    .take_beats    (beat_take),
    .result_room,
    .m_step_data   (step_data),
    .m_step_en     (step_en)
  );

  rnic_tx_align u_align (
    .clk, .rst,
    .s_step_data   (step_data),
    .s_step_en     (step_en),
    .line_data,
    .line_error,
    .inline_data,
    .s_image_data  (image_data),
    .s_image_valid (image_valid),
    .s_image_ready (image_ready),
    .end_ticket,
    .end_fault,
    .end_bad,
    .end_en,
    .end_drop,
    .m_beat        (beat),
    .m_beat_en     (beat_en),
    .m_start       (beat_start),
    .m_v6          (beat_v6),
    .m_vlan        (beat_vlan),
    .m_icrc        (beat_icrc),
    .m_cover       (beat_cover),
    .m_end_en      (frame_end_en),
    .m_end_drop    (frame_end_drop),
    .m_end_beats   (frame_end_beats),
    .m_end_ticket  (frame_end_ticket)
  );

  // Judge. The early table stops reads behind a failed check, the late one stops frames in order:
  // a packet in front of the failed one must still leave.
  logic [TX_TICKET_W-1:0] late_ticket;
  logic [1:0]             late_bits;
  logic                   late_old;
  logic                   late_set_en;
  logic                   late_wipe_en;
  logic [1:0]             early_unused;

  rnic_tx_verdict u_verdict (
    .clk, .rst,
    .end_ticket,
    .end_fault,
    .end_bad,
    .end_en,
    .end_drop,
    .poison_ticket   (late_ticket),
    .poison          (late_bits),
    .poison_old      (late_old),
    .poison_set_en   (late_set_en),
    .poison_wipe_en  (late_wipe_en),
    .result_room,
    .results_empty,
    .m_result_data,
    .m_result_valid,
    .m_result_ready,
    .ev_aborted,
    .ev_stale        (ev_stale[0]),
    .ev_dma_error,
    .ev_ack,
    .ev_rnr_nak,
    .ev_nak
  );

  qp_init_t init;
  logic     clear_en;

  assign init       = init_data;
  assign init_ready = !early_set_en && !early_wipe_en && !late_set_en && !late_wipe_en;
  assign clear_en   = init_valid && init_ready
                      && (init.op == QP_INIT_OP_CREATE || init.op == QP_INIT_OP_RTS
                          || init.op == QP_INIT_OP_DESTROY);

  rnic_tx_poison #(.QP_COUNT(QP_COUNT)) u_early (
    .clk,
    .rd_a_ticket (early_ticket),
    .rd_a_bits   (early_bits),
    .rd_a_old    (early_old),
    .rd_b_ticket ({TX_TICKET_W{1'b0}}),
    .rd_b_bits   (early_unused),
    .set_en      (early_set_en),
    .wipe_en     (early_wipe_en),
    .clear_en,
    .clear_qpn   (init.qpn)
  );

  rnic_tx_poison #(.QP_COUNT(QP_COUNT)) u_late (
    .clk,
    .rd_a_ticket (late_ticket),
    .rd_a_bits   (late_bits),
    .rd_a_old    (late_old),
    .rd_b_ticket (early_ticket),
    .rd_b_bits   (late_early_bits),
    .set_en      (late_set_en),
    .wipe_en     (late_wipe_en),
    .clear_en,
    .clear_qpn   (init.qpn)
  );

  // What is stale, where payload is asked for and where a frame begins
  logic [15:0] begin_qpn;
  logic [2:0]  begin_epoch;

  assign asking = early_ticket;

  rnic_tx_epochs #(.QP_COUNT(QP_COUNT)) u_epochs (
    .clk,
    .epoch_en,
    .epoch_qpn,
    .epoch,
    .rd_a_qpn   (asking.qpn),
    .rd_a_epoch (asking_epoch),
    .rd_b_qpn   (begin_qpn),
    .rd_b_epoch (begin_epoch)
  );

  // Seal and send
  logic [TX_BEAT_W-1:0] sealed;
  logic                 sealed_en;

  rnic_tx_icrc u_icrc (
    .clk, .rst,
    .s_beat    (beat),
    .s_beat_en (beat_en),
    .s_start   (beat_start),
    .s_v6      (beat_v6),
    .s_vlan    (beat_vlan),
    .s_icrc    (beat_icrc),
    .s_cover   (beat_cover),
    .m_beat    (sealed),
    .m_beat_en (sealed_en)
  );

  rnic_tx_buffer #(.DEPTH(BEATS)) u_buffer (
    .clk, .rst,
    .room        (beat_room),
    .take_en     (beat_take_en),
    .take_beats  (beat_take),
    .end_en      (frame_end_en),
    .end_drop    (frame_end_drop),
    .end_beats   (frame_end_beats),
    .end_ticket  (frame_end_ticket),
    .s_beat      (sealed),
    .s_beat_en   (sealed_en),
    .epoch_qpn   (begin_qpn),
    .epoch       (begin_epoch),
    .m_axis_tx_tdata,
    .m_axis_tx_tkeep,
    .m_axis_tx_tlast,
    .m_axis_tx_tvalid,
    .m_axis_tx_tready,
    .ev_packet   (ev_tx_packet),
    .ev_bytes_en (ev_tx_bytes_en),
    .ev_bytes    (ev_tx_bytes),
    .ev_stale    (ev_stale[1])
  );

  // A packet has left when its frame is in the buffer, six cycles after its last step was merged.
  always_ff @(posedge clk) begin
    leaving_q <= {leaving_q[4:0], end_en};
    if (rst) leaving_q <= '0;
  end

  rnic_tx_drain u_drain (
    .clk, .rst,
    .enter_en (pkt_valid && pkt_ready && pkt.first),
    .leave_en (leaving_q[5]),
    .results_empty,
    .drain_req_en,
    .drain_done_en
  );

endmodule
