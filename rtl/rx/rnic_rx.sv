// rnic_rx: the receive pipeline, from the MAC to payload in host memory.
//
//   s_axis_rx ─► parse ─┬────────► buffer ─► dispatch ─┬─► m_req, m_rsp      (responder, completer)
//                       └─► icrc ──┘   │      work  <──┴── s_req_work, s_rsp_work
//                                      │       │
//                                      │       ├─► mem_check ─► pieces ─┬─► m_wreq  atomic ─► m_atomic_*
//                                      │       │                        ├──────────────┤
//                                      └───────┼────────────────► write ┼─► m_wdata    │
//                                              └────────────────────────┴───────────► retire ─► m_*_done
//
// Takes a beat every cycle. In frame order from end to end: headers out, work in, bursts, done. Every
// frame whose header was handed out must come back as one group of RxWork.
//
// An INVALIDATE waits until everything before it has been judged, and does nothing when its queue pair
// is dead by then: it was sent behind something that must not have happened.
`include "codes.svh"
`include "layouts.svh"
`include "rx.svh"
`include "streams.svh"

module rnic_rx #(
  parameter int QP_COUNT     = 256,
  parameter int DEST_LATENCY = 2,    // cycles from rx_dest_gid to its answer, 1 to 3
  parameter int BEATS        = 1024, // payload buffer: covers two reads of memory, entry and page
  parameter int FRAMES       = 128,  // header buffer
  parameter int LINES        = 256   // page-list cache
) (
  input  logic            clk,
  input  logic            rst,

  // Frames from the MAC; tuser: the MAC found it bad
  input  logic            enable,
  input  logic [511:0]    s_axis_rx_tdata,
  input  logic [63:0]     s_axis_rx_tkeep,
  input  logic            s_axis_rx_tlast,
  input  logic            s_axis_rx_tuser,
  input  logic            s_axis_rx_tvalid,
  output logic            s_axis_rx_tready,

  // Is this address ours, DEST_LATENCY cycles later
  output logic [127:0]    rx_dest_gid,
  input  logic            rx_dest_hit,
  input  logic [3:0]      rx_dest_index,

  // Queue pair, two cycles later
  output logic [23:0]     qp_rd_qpn,
  input  qp_config_t      qp_rd_cfg,

  // Requests, their work, their end
  output rx_header_t      m_req_hdr,
  output qp_config_t      m_req_cfg,
  output logic            m_req_valid,
  input  logic            m_req_ready,
  input  rx_work_t        s_req_work_data,
  input  logic            s_req_work_valid,
  output logic            s_req_work_ready,
  output rx_done_t        m_req_done_data,
  output logic            m_req_done_valid,
  input  logic            m_req_done_ready,

  // Responses, their work, their end
  output rx_header_t      m_rsp_hdr,
  output qp_config_t      m_rsp_cfg,
  output logic            m_rsp_valid,
  input  logic            m_rsp_ready,
  input  rx_work_t        s_rsp_work_data,
  input  logic            s_rsp_work_valid,
  output logic            s_rsp_work_ready,
  output rx_done_t        m_rsp_done_data,
  output logic            m_rsp_done_valid,
  input  logic            m_rsp_done_ready,

  // Key table
  output logic            lookup_en,
  output logic [23:0]     lookup_index,
  input  key_entry_t      lookup_entry,
  output key_write_t      m_mod_data,
  output logic            m_mod_valid,
  input  logic            m_mod_ready,
  input  logic            key_changed_en,
  input  logic            key_grant_en,

  // Host reads of page lists; the data is shared with atomics
  output dma_read_req_t   m_dma_data,
  output logic            m_dma_valid,
  input  logic            m_dma_ready,
  input  dma_read_data_t  s_dma_data,
  input  logic            s_dma_en,

  // Host writes; answers in order; the error is shared with atomics
  output dma_write_req_t  m_wreq_data,
  output logic            m_wreq_valid,
  input  logic            m_wreq_ready,
  output dma_write_data_t m_wdata_data,
  output logic            m_wdata_valid,
  input  logic            m_wdata_ready,
  input  logic            s_wdone_en,
  input  logic            s_wdone_error,

  // Atomics: host reads and host writes of their own
  output dma_read_req_t   m_atomic_dma_data,
  output logic            m_atomic_dma_valid,
  input  logic            m_atomic_dma_ready,
  input  logic            s_atomic_dma_en,
  output dma_write_req_t  m_atomic_wreq_data,
  output logic            m_atomic_wreq_valid,
  input  logic            m_atomic_wreq_ready,
  output dma_write_data_t m_atomic_wdata_data,
  output logic            m_atomic_wdata_valid,
  input  logic            m_atomic_wdata_ready,
  input  logic            s_atomic_wdone_en,

  // Context of a new life
  input  qp_init_t        init_data,
  input  logic            init_valid,
  output logic            init_ready,

  // Drain: answers when every frame that was between dispatch and retire has left
  input  logic            drain_req_en,
  output logic            drain_done_en,

  // Congestion: a frame of this queue pair was marked; its peer asks it to slow down
  output logic            mark_en,
  output logic [15:0]     mark_qpn,
  output logic            cnp_en,
  output logic [15:0]     cnp_qpn,

  // Events. A frame ended on the wire; a RoCEv2 frame of ours was good; frames dropped before
  // and behind the buffer
  output logic            rx_en,
  output logic [12:0]     rx_bytes,
  output logic            rdma_en,
  output logic [12:0]     rdma_bytes,
  output logic            rdma_ce_en,
  output logic            drop_frame_en,
  output logic [4:0]      drop_frame_reason,
  output logic            drop_qp_en,
  output logic [4:0]      drop_qp_reason
);

  localparam int MOVES   = 8;   // between check and write
  localparam int NUMBERS = 32;  // words and atomics between the check's ends

  assign s_axis_rx_tready = 1'b1;

  // Parse, check, keep

  logic         crc_en;
  logic         crc_first;
  logic [511:0] crc_data;
  logic         crc_vlan;
  logic         crc_v6;
  logic [16:0]  crc_end;
  logic         crc_good;
  logic         beat_en;
  logic         beat_last;
  logic         beat_store;
  logic [511:0] beat_data;
  rx_header_t   beat_hdr;
  logic [4:0]   beat_reason;
  logic [12:0]  beat_bytes;

  rnic_rx_parse #(.DEST_LATENCY(DEST_LATENCY)) u_parse (
    .clk,
    .rst,
    .enable,
    .s_axis_rx_tdata,
    .s_axis_rx_tkeep,
    .s_axis_rx_tlast,
    .s_axis_rx_tuser,
    .s_axis_rx_tvalid,
    .rx_dest_gid,
    .rx_dest_hit,
    .rx_dest_index,
    .m_crc_en    (crc_en),
    .m_crc_first (crc_first),
    .m_crc_data  (crc_data),
    .m_crc_vlan  (crc_vlan),
    .m_crc_v6    (crc_v6),
    .m_crc_end   (crc_end),
    .crc_good,
    .m_en        (beat_en),
    .m_last      (beat_last),
    .m_store     (beat_store),
    .m_data      (beat_data),
    .m_hdr       (beat_hdr),
    .m_reason    (beat_reason),
    .m_bytes     (beat_bytes)
  );

  rnic_rx_icrc u_icrc (
    .clk,
    .rst,
    .s_en    (crc_en),
    .s_first (crc_first),
    .s_data  (crc_data),
    .s_vlan  (crc_vlan),
    .s_v6    (crc_v6),
    .s_end   (crc_end),
    .good    (crc_good)
  );

  rx_header_t   hdr_data;
  logic         hdr_valid;
  logic         hdr_ready;
  logic [511:0] payload_data;
  logic         payload_valid;
  logic         payload_ready;

  rnic_rx_buffer #(.BEATS(BEATS), .FRAMES(FRAMES)) u_buffer (
    .clk,
    .rst,
    .s_en        (beat_en),
    .s_last      (beat_last),
    .s_store     (beat_store),
    .s_data      (beat_data),
    .s_hdr       (beat_hdr),
    .s_reason    (beat_reason),
    .m_hdr_data  (hdr_data),
    .m_hdr_valid (hdr_valid),
    .m_hdr_ready (hdr_ready),
    .m_data      (payload_data),
    .m_valid     (payload_valid),
    .m_ready     (payload_ready),
    .good_en     (rdma_en),
    .good_ce     (rdma_ce_en),
    .drop_en     (drop_frame_en),
    .drop_reason (drop_frame_reason)
  );

  always_ff @(posedge clk) begin
    rx_en    <= beat_en && beat_last;
    rx_bytes <= beat_bytes;
    if (rst) rx_en <= 1'b0;
  end

  assign rdma_bytes = rx_bytes;

  // Headers out, work in

  rx_work_t   work_data;
  logic [1:0] work_side;
  logic       work_valid;
  logic       work_ready;
  logic       enter_en;

  rnic_rx_dispatch u_dispatch (
    .clk,
    .rst,
    .s_hdr_data   (hdr_data),
    .s_hdr_valid  (hdr_valid),
    .s_hdr_ready  (hdr_ready),
    .qp_rd_qpn,
    .qp_rd_cfg,
    .m_req_hdr,
    .m_req_cfg,
    .m_req_valid,
    .m_req_ready,
    .s_req_work_data,
    .s_req_work_valid,
    .s_req_work_ready,
    .m_rsp_hdr,
    .m_rsp_cfg,
    .m_rsp_valid,
    .m_rsp_ready,
    .s_rsp_work_data,
    .s_rsp_work_valid,
    .s_rsp_work_ready,
    .m_work_data  (work_data),
    .m_work_side  (work_side),
    .m_work_valid (work_valid),
    .m_work_ready (work_ready),
    .mark_en,
    .mark_qpn,
    .cnp_en,
    .cnp_qpn,
    .enter_en,
    .drop_en      (drop_qp_en),
    .drop_reason  (drop_qp_reason)
  );

  rx_work_t   seg;
  logic [1:0] seg_side;
  logic       seg_valid;
  logic       seg_ready;

  stream_register #(.DATA_W(RX_WORK_W + 2)) u_work (
    .clk,
    .rst,
    .s_data  ({work_side, work_data}),
    .s_valid (work_valid),
    .s_ready (work_ready),
    .m_data  ({seg_side, seg}),
    .m_valid (seg_valid),
    .m_ready (seg_ready)
  );

  // Of the frame, for its later segments

  mem_req_t    mem;
  rx_retire_t  retire;
  rx_number_t  number, number_q;
  logic [15:0] qpn, qpn_q;
  logic        by_number;

  assign mem       = seg.mem;
  assign retire    = seg.retire;
  assign qpn       = seg.first ? retire.qpn : qpn_q;
  assign number    = seg.first ? {retire.swap, retire.compare} : number_q;
  assign by_number = mem.kind == SEG_KIND_WORD || seg.atomic != ATOMIC_OP_NONE;

  always_ff @(posedge clk) begin
    if (seg_valid) begin
      qpn_q    <= qpn;
      number_q <= number;
    end
  end

  // An INVALIDATE waits until all before it are judged.

  localparam int INSIDE_W = 9;  // more than fit between here and there

  logic [INSIDE_W-1:0] inside_q;
  logic                judged_en;
  logic                entered;
  logic                alone_q;
  logic                is_mod;
  logic                may_enter;
  logic                dead;

  assign is_mod    = mem.op != KEY_OP_CHECK;
  assign may_enter = !is_mod || alone_q;

  always_ff @(posedge clk) begin
    if (entered && !judged_en) inside_q <= inside_q + 1'b1;
    if (!entered && judged_en) inside_q <= inside_q - 1'b1;
    alone_q <= seg_valid && is_mod && inside_q == '0 && !entered;
    if (rst) begin
      inside_q <= '0;
      alone_q  <= 1'b0;
    end
  end

  // Check; the first segment takes the frame to retire as well, and numbers go beside, all at once

  logic                frame_valid;
  logic                frame_ready;
  logic                number_room;
  logic                check_valid;
  logic                check_ready;
  logic                others_ready;
  mem_req_t            request;
  rx_segment_t         asked;
  mem_rsp_t            rsp_data;
  rx_segment_t         rsp_segment;
  logic                rsp_valid;
  logic                rsp_ready;

  assign others_ready = (frame_ready || !seg.first) && (number_room || !by_number) && may_enter;
  assign check_valid  = seg_valid && others_ready;
  assign entered      = check_valid && check_ready;
  assign frame_valid  = entered && seg.first;
  assign seg_ready    = check_ready && others_ready;

  always_comb begin
    request = mem;
    if (is_mod && dead) request.op   = KEY_OP_CHECK;
    if (is_mod && dead) request.kind = SEG_KIND_NONE;
  end

  always_comb begin
    asked.first  = seg.first;
    asked.last   = seg.last;
    asked.off    = seg.payload_off;
    asked.beats  = seg.payload_beats;
    asked.length = is_mod || by_number ? '0 : mem.length;
    asked.fault  = RX_FAULT_LOCAL_KEY;
    asked.again  = seg.first && retire.kind == RETIRE_KIND_READ && retire.reply;
    asked.word   = mem.kind == SEG_KIND_WORD;
    asked.atomic = seg.atomic;
    asked.side   = seg_side;
    asked.qpn    = qpn;
    if (is_mod) asked.fault = RX_FAULT_KEY;
    if ((mem.access & (ACCESS_REMOTE_WRITE | ACCESS_REMOTE_READ | ACCESS_REMOTE_ATOMIC)) != '0)
      asked.fault = RX_FAULT_KEY;
  end

  rx_number_t number_data;
  logic       number_valid;
  logic       number_ready;

  stream_fifo #(.DATA_W(RX_NUMBER_W), .DEPTH(NUMBERS)) u_numbers (
    .clk,
    .rst,
    .s_data  (number),
    .s_valid (entered && by_number),
    .s_ready (number_room),
    .m_data  (number_data),
    .m_valid (number_valid),
    .m_ready (number_ready),
    .count   ()
  );

  rnic_mem_check #(.USER_W(RX_SEGMENT_W), .LINES(LINES)) u_check (
    .clk,
    .rst,
    .s_req_data       (request),
    .s_req_user       (asked),
    .s_req_reg_pages  (64'd0),
    .s_req_reg_length (64'd0),
    .s_req_reg_shift  (5'd0),
    .s_req_reg_direct (1'b0),
    .s_req_valid      (check_valid),
    .s_req_ready      (check_ready),
    .lookup_en,
    .lookup_index,
    .lookup_entry,
    .m_mod_data,
    .m_mod_valid,
    .m_mod_ready,
    .changed_en       (key_changed_en),
    .grant_en         (key_grant_en),
    .m_dma_data,
    .m_dma_valid,
    .m_dma_ready,
    .s_dma_data,
    .s_dma_en,
    .m_rsp_data       (rsp_data),
    .m_rsp_user       (rsp_segment),
    .m_rsp_valid      (rsp_valid),
    .m_rsp_ready      (rsp_ready)
  );

  // Write

  rx_move_t       piece_data;
  logic           piece_valid;
  logic           piece_ready;
  rx_move_t       move_data;
  logic           move_valid;
  logic           move_ready;
  dma_write_req_t wreq_data;
  logic           wreq_valid;
  logic           wreq_ready;
  rx_record_t     record_data;
  logic           record_valid;
  logic           record_ready;

  rx_atomic_t     atomic_data;
  logic           atomic_valid;
  logic           atomic_ready;
  rx_lines_t      look_lines;
  logic           look_clash;
  logic           atomic_idle;

  rnic_rx_pieces #(.QP_COUNT(QP_COUNT)) u_pieces (
    .clk,
    .rst,
    .s_rsp_data     (rsp_data),
    .s_rsp_segment  (rsp_segment),
    .s_rsp_valid    (rsp_valid),
    .s_rsp_ready    (rsp_ready),
    .s_number_data  (number_data),
    .s_number_valid (number_valid),
    .s_number_ready (number_ready),
    .m_move_data    (piece_data),
    .m_move_valid   (piece_valid),
    .m_move_ready   (piece_ready),
    .m_wreq_data    (wreq_data),
    .m_wreq_valid   (wreq_valid),
    .m_wreq_ready   (wreq_ready),
    .m_atomic_data  (atomic_data),
    .m_atomic_valid (atomic_valid),
    .m_atomic_ready (atomic_ready),
    .look_lines,
    .look_clash,
    .atomic_idle,
    .m_record_data  (record_data),
    .m_record_valid (record_valid),
    .m_record_ready (record_ready),
    .judged_en,
    .dead_rd_qpn    (qpn),
    .dead_rd_side   (seg_side),
    .dead_rd        (dead),
    .init_data,
    .init_valid,
    .init_ready
  );

  logic [63:0] result_data;
  logic        result_error;
  logic        result_valid;
  logic        result_ready;

  rnic_rx_atomic u_atomic (
    .clk,
    .rst,
    .s_atomic_data  (atomic_data),
    .s_atomic_valid (atomic_valid),
    .s_atomic_ready (atomic_ready),
    .look_lines,
    .look_clash,
    .idle           (atomic_idle),
    .burst_en       (wreq_valid && wreq_ready),
    .burst_done_en  (s_wdone_en),
    .m_dma_data     (m_atomic_dma_data),
    .m_dma_valid    (m_atomic_dma_valid),
    .m_dma_ready    (m_atomic_dma_ready),
    .s_dma_data,
    .s_dma_en       (s_atomic_dma_en),
    .m_wreq_data    (m_atomic_wreq_data),
    .m_wreq_valid   (m_atomic_wreq_valid),
    .m_wreq_ready   (m_atomic_wreq_ready),
    .m_wdata_data   (m_atomic_wdata_data),
    .m_wdata_valid  (m_atomic_wdata_valid),
    .m_wdata_ready  (m_atomic_wdata_ready),
    .s_wdone_en     (s_atomic_wdone_en),
    .s_wdone_error,
    .m_result_data  (result_data),
    .m_result_error (result_error),
    .m_result_valid (result_valid),
    .m_result_ready (result_ready)
  );

  // Bursts are asked for ahead of their data.
  stream_fifo #(.DATA_W(DMA_WRITE_REQ_W), .DEPTH(MOVES)) u_wreqs (
    .clk,
    .rst,
    .s_data  (wreq_data),
    .s_valid (wreq_valid),
    .s_ready (wreq_ready),
    .m_data  (m_wreq_data),
    .m_valid (m_wreq_valid),
    .m_ready (m_wreq_ready),
    .count   ()
  );

  stream_fifo #(.DATA_W(RX_MOVE_W), .DEPTH(MOVES)) u_moves (
    .clk,
    .rst,
    .s_data  (piece_data),
    .s_valid (piece_valid),
    .s_ready (piece_ready),
    .m_data  (move_data),
    .m_valid (move_valid),
    .m_ready (move_ready),
    .count   ()
  );

  rnic_rx_write u_write (
    .clk,
    .rst,
    .s_move_data   (move_data),
    .s_move_valid  (move_valid),
    .s_move_ready  (move_ready),
    .s_data        (payload_data),
    .s_valid       (payload_valid),
    .s_ready       (payload_ready),
    .m_wdata_data,
    .m_wdata_valid,
    .m_wdata_ready
  );

  // Retire

  logic leave_en;

  rnic_rx_retire u_retire (
    .clk,
    .rst,
    .s_frame_data   (retire),
    .s_frame_side   (seg_side),
    .s_frame_valid  (frame_valid),
    .s_frame_ready  (frame_ready),
    .s_record_data  (record_data),
    .s_record_valid (record_valid),
    .s_record_ready (record_ready),
    .s_wdone_en,
    .s_wdone_error,
    .s_result_data  (result_data),
    .s_result_error (result_error),
    .s_result_valid (result_valid),
    .s_result_ready (result_ready),
    .m_req_done_data,
    .m_req_done_valid,
    .m_req_done_ready,
    .m_rsp_done_data,
    .m_rsp_done_valid,
    .m_rsp_done_ready,
    .leave_en
  );

  stream_drain u_drain (
    .clk,
    .rst,
    .enter_en,
    .leave_en,
    .drain_req_en,
    .drain_done_en
  );

endmodule
