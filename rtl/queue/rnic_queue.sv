// rnic_queue: from doorbells to send queue blocks.
//
// doorbell decodes the page, schedule decides whose blocks are read next, fetch reads them. Every
// posted block comes out of m_wqe at least once, per QP in ring order, and again from where a
// park asked for it. Kicks, parks and flushes are always accepted. A pushed block of an idle QP is
// out five cycles after its beat.
//
//   s_axi_db ─► doorbell ─► schedule ─► fetch ─► m_wqe
//                  │ m_rq, m_cq, m_eq     │ m_dma, s_dma
`include "layouts.svh"
`include "streams.svh"

module rnic_queue #(
  parameter int QP_COUNT  = 256,
  parameter int SRQ_COUNT = 16,
  parameter int CQ_COUNT  = 256,
  parameter int EQ_COUNT  = 16,
  parameter int WINDOW    = 128,
  parameter int TURN      = 16
) (
  input  logic                       clk,
  input  logic                       rst,

  // Doorbell page, as the host sees it; a bus is not reset with what stands behind it
  input  logic                       bus_rst,
  input  logic [3:0]                 s_axi_db_awid,
  input  logic [19:0]                s_axi_db_awaddr,
  input  logic [7:0]                 s_axi_db_awlen,
  input  logic [2:0]                 s_axi_db_awsize,
  input  logic [1:0]                 s_axi_db_awburst,
  input  logic                       s_axi_db_awvalid,
  output logic                       s_axi_db_awready,
  input  logic [511:0]               s_axi_db_wdata,
  input  logic [63:0]                s_axi_db_wstrb,
  input  logic                       s_axi_db_wlast,
  input  logic                       s_axi_db_wvalid,
  output logic                       s_axi_db_wready,
  output logic [3:0]                 s_axi_db_bid,
  output logic [1:0]                 s_axi_db_bresp,
  output logic                       s_axi_db_bvalid,
  input  logic                       s_axi_db_bready,
  input  logic [3:0]                 s_axi_db_arid,
  input  logic [7:0]                 s_axi_db_arlen,
  input  logic                       s_axi_db_arvalid,
  output logic                       s_axi_db_arready,
  output logic [3:0]                 s_axi_db_rid,
  output logic [511:0]               s_axi_db_rdata,
  output logic [1:0]                 s_axi_db_rresp,
  output logic                       s_axi_db_rlast,
  output logic                       s_axi_db_rvalid,
  input  logic                       s_axi_db_rready,

  // Blocks, in order
  output logic [WQE_BLOCK_W-1:0]     m_wqe_data,
  output logic                       m_wqe_valid,
  input  logic                       m_wqe_ready,
  output logic                       m_wqe_others,   // other QPs than that of the last one wait

  // From the requester, the completer, the QP table
  input  logic [SQ_PARK_W-1:0]       s_park_data,
  input  logic                       s_park_valid,
  output logic                       s_park_ready,
  input  logic [15:0]                s_kick_data,
  input  logic                       s_kick_valid,
  output logic                       s_kick_ready,
  input  logic [15:0]                s_flush_data,
  input  logic                       s_flush_valid,
  output logic                       s_flush_ready,

  // Facts of other blocks, two cycles after the number
  output logic [23:0]                qp_rd_qpn,
  input  logic [QP_CONFIG_W-1:0]     qp_rd_cfg,
  output logic [15:0]                progress_rd_qpn,
  input  logic [SQ_PROGRESS_W-1:0]   progress_rd_data,
  output logic [15:0]                pace_rd_qpn,
  input  logic                       pace_rd_hold,

  // Doorbells of the other rings
  output logic [RING_UPDATE_W-1:0]   m_rq_data,
  output logic                       m_rq_valid,
  input  logic                       m_rq_ready,
  output logic [CQ_UPDATE_W-1:0]     m_cq_data,
  output logic                       m_cq_valid,
  input  logic                       m_cq_ready,
  output logic [RING_UPDATE_W-1:0]   m_eq_data,
  output logic                       m_eq_valid,
  input  logic                       m_eq_ready,

  // Host memory
  output logic [DMA_READ_REQ_W-1:0]  m_dma_data,
  output logic                       m_dma_valid,
  input  logic                       m_dma_ready,
  input  logic [DMA_READ_DATA_W-1:0] s_dma_data,
  input  logic                       s_dma_en,

  // Context of a new life; bursts that came in and have left whole
  input  logic [QP_INIT_W-1:0]       init_data,
  input  logic                       init_valid,
  output logic                       init_ready,
  output logic                       enter_en,
  output logic                       leave_en,

  // Configuration
  input  logic                       tx_enable,

  // Events: doorbells and pushes that were understood; writes refused at the bus, numbers out of
  // range, doorbells and pushes whose QP or index is wrong
  output logic                       ev_doorbell_en,
  output logic                       ev_push_en,
  output logic                       ev_refused_en,
  output logic                       ev_range_en,
  output logic                       ev_bad_en
);

  logic                     sq_push;
  logic [RING_UPDATE_W-1:0] sq_data;
  logic [511:0]             sq_block;
  logic                     sq_valid;
  logic                     sq_ready;

  rnic_queue_doorbell #(
    .QP_COUNT  (QP_COUNT),
    .SRQ_COUNT (SRQ_COUNT),
    .CQ_COUNT  (CQ_COUNT),
    .EQ_COUNT  (EQ_COUNT)
  ) u_doorbell (
    .clk,
    .rst              (bus_rst),
    .s_axi_db_awid,
    .s_axi_db_awaddr,
    .s_axi_db_awlen,
    .s_axi_db_awsize,
    .s_axi_db_awburst,
    .s_axi_db_awvalid,
    .s_axi_db_awready,
    .s_axi_db_wdata,
    .s_axi_db_wstrb,
    .s_axi_db_wlast,
    .s_axi_db_wvalid,
    .s_axi_db_wready,
    .s_axi_db_bid,
    .s_axi_db_bresp,
    .s_axi_db_bvalid,
    .s_axi_db_bready,
    .s_axi_db_arid,
    .s_axi_db_arlen,
    .s_axi_db_arvalid,
    .s_axi_db_arready,
    .s_axi_db_rid,
    .s_axi_db_rdata,
    .s_axi_db_rresp,
    .s_axi_db_rlast,
    .s_axi_db_rvalid,
    .s_axi_db_rready,
    .m_sq_push  (sq_push),
    .m_sq_data  (sq_data),
    .m_sq_block (sq_block),
    .m_sq_valid (sq_valid),
    .m_sq_ready (sq_ready),
    .m_rq_data,
    .m_rq_valid,
    .m_rq_ready,
    .m_cq_data,
    .m_cq_valid,
    .m_cq_ready,
    .m_eq_data,
    .m_eq_valid,
    .m_eq_ready,
    .ev_refused_en,
    .ev_range_en
  );

  logic         grant_en;
  logic         push_en;
  logic [15:0]  qpn;
  logic [15:0]  index;
  logic [4:0]   count;
  logic [63:0]  base;
  logic [14:0]  place;
  logic [511:0] block;
  logic         grant_room;
  logic         push_room;
  logic         ready_any;
  logic         ready_more;
  logic [15:0]  ready_qpn;

  rnic_queue_schedule #(
    .QP_COUNT (QP_COUNT),
    .TURN     (TURN)
  ) u_schedule (
    .clk,
    .rst,
    .s_sq_push  (sq_push),
    .s_sq_data  (sq_data),
    .s_sq_block (sq_block),
    .s_sq_valid (sq_valid),
    .s_sq_ready (sq_ready),
    .s_park_data,
    .s_park_valid,
    .s_park_ready,
    .s_kick_data,
    .s_kick_valid,
    .s_kick_ready,
    .s_flush_data,
    .s_flush_valid,
    .s_flush_ready,
    .init_data,
    .init_valid,
    .init_ready,
    .qp_rd_qpn,
    .qp_rd_cfg,
    .progress_rd_qpn,
    .progress_rd_data,
    .pace_rd_qpn,
    .pace_rd_hold,
    .ready_any,
    .ready_more,
    .ready_qpn,
    .m_grant_en (grant_en),
    .m_push_en  (push_en),
    .m_qpn      (qpn),
    .m_index    (index),
    .m_count    (count),
    .m_base     (base),
    .m_place    (place),
    .m_block    (block),
    .grant_room,
    .push_room,
    .tx_enable,
    .ev_doorbell_en,
    .ev_push_en,
    .ev_bad_en
  );

  rnic_queue_fetch #(
    .WINDOW (WINDOW),
    .TURN   (TURN)
  ) u_fetch (
    .clk,
    .rst,
    .s_grant_en (grant_en),
    .s_push_en  (push_en),
    .s_qpn      (qpn),
    .s_index    (index),
    .s_count    (count),
    .s_base     (base),
    .s_place    (place),
    .s_block    (block),
    .grant_room,
    .push_room,
    .m_dma_data,
    .m_dma_valid,
    .m_dma_ready,
    .s_dma_data,
    .s_dma_en,
    .m_wqe_data,
    .m_wqe_valid,
    .m_wqe_ready,
    .enter_en,
    .leave_en
  );

  // Each change of QP among the grants is one among the blocks that leave.

  wqe_block_t  leaving;
  logic [7:0]  changes_q;
  logic [15:0] last_in_q;
  logic [15:0] last_out_q;
  logic        change_in;
  logic        change_out;

  assign leaving      = m_wqe_data;
  assign change_in    = (grant_en || push_en) && qpn != last_in_q;
  assign change_out   = m_wqe_valid && m_wqe_ready && leaving.qpn != last_out_q;
  assign m_wqe_others = changes_q != '0 || ready_more || (ready_any && ready_qpn != last_out_q);

  always_ff @(posedge clk) begin
    if (grant_en || push_en) last_in_q <= qpn;
    if (m_wqe_valid && m_wqe_ready) last_out_q <= leaving.qpn;
    changes_q <= changes_q + 8'(change_in) - 8'(change_out);
    if (rst) begin
      changes_q  <= '0;
      last_in_q  <= '0;
      last_out_q <= '0;
    end
  end

endmodule
