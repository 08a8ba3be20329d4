// tx_harness: rnic_tx between the tables it reads, with ports that a test can drive.
`include "streams.svh"
`include "layouts.svh"

module tx_harness #(
  parameter int QP_COUNT  = 16,
  parameter int KEY_COUNT = 16
) (
  input  logic                       clk,
  input  logic                       rst,

  // Packets of responder and requester
  input  logic [TX_PACKET_W-1:0]     s_rsp_data,
  input  logic                       s_rsp_valid,
  output logic                       s_rsp_ready,
  input  logic [TX_PACKET_W-1:0]     s_req_data,
  input  logic                       s_req_valid,
  output logic                       s_req_ready,

  // Inline buffer
  output logic [5:0]                 inline_slot_data,
  output logic                       inline_slot_valid,
  input  logic                       inline_slot_ready,
  input  logic                       inline_write_en,
  input  logic [5:0]                 inline_write_slot,
  input  logic [1:0]                 inline_write_block,
  input  logic [511:0]               inline_write_data,

  // Tables
  input  logic                       qp_write_en,
  input  logic [15:0]                qp_write_qpn,
  input  logic [QP_CONFIG_W-1:0]     qp_write_cfg,
  input  logic                       gid_write_en,
  input  logic [3:0]                 gid_write_index,
  input  logic [127:0]               gid_write_gid,
  input  logic [KEY_WRITE_W-1:0]     s_key_data,
  input  logic                       s_key_valid,
  output logic                       s_key_ready,
  output logic                       keys_ready,

  // Host reads
  output logic [DMA_READ_REQ_W-1:0]  m_list_data,
  output logic                       m_list_valid,
  input  logic                       m_list_ready,
  output logic [DMA_READ_REQ_W-1:0]  m_read_data,
  output logic                       m_read_valid,
  input  logic                       m_read_ready,
  input  logic [DMA_READ_DATA_W-1:0] s_dma_data,
  input  logic [1:0]                 s_dma_en,

  // Results
  output logic [TX_RESULT_W-1:0]     m_result_data,
  output logic                       m_result_valid,
  input  logic                       m_result_ready,

  // Frames
  output logic [511:0]               m_axis_tx_data,
  output logic [63:0]                m_axis_tx_keep,
  output logic                       m_axis_tx_last,
  output logic                       m_axis_tx_valid,
  input  logic                       m_axis_tx_ready,

  // Epochs
  input  logic                       epoch_en,
  input  logic [15:0]                epoch_qpn,
  input  logic [2:0]                 epoch,

  // Context reset and drain
  input  logic [QP_INIT_W-1:0]       init_data,
  input  logic                       init_valid,
  output logic                       init_ready,
  input  logic                       drain_req_en,
  output logic                       drain_done_en,

  // Configuration
  input  logic [47:0]                mac,
  input  logic                       mig_req,
  input  logic                       ecn,
  input  logic [7:0]                 cnp_tclass,
  input  logic [2:0]                 cnp_pcp,

  // Statistics, counted
  output logic [31:0]                packets_q,
  output logic [31:0]                bytes_q,
  output logic [31:0]                aborted_q,
  output logic [31:0]                stale_q,
  output logic [31:0]                dma_errors_q,
  output logic [31:0]                acks_q,
  output logic [31:0]                rnr_naks_q,
  output logic [31:0]                naks_q
);

  localparam int QP_W = $clog2(QP_COUNT);

  // Queue pairs and addresses
  logic [QP_CONFIG_W-1:0] qps [QP_COUNT];
  logic [127:0]           gids [16];
  logic [23:0]            qp_rd_qpn;
  logic [23:0]            qpn_q;
  logic [QP_CONFIG_W-1:0] qp_rd_cfg;
  logic [3:0]             gid_rd_index;
  logic [127:0]           gid_rd_gid;

  always_ff @(posedge clk) begin
    if (qp_write_en) qps[qp_write_qpn[QP_W-1:0]] <= qp_write_cfg;
    if (gid_write_en) gids[gid_write_index] <= gid_write_gid;
    qpn_q      <= qp_rd_qpn;
    qp_rd_cfg  <= qps[qpn_q[QP_W-1:0]];
    gid_rd_gid <= gids[gid_rd_index];
  end

  // Keys
  logic                        lookup_en;
  logic [23:0]                 lookup_index;
  logic [2:0][KEY_ENTRY_W-1:0] lookup_entry;
  logic [KEY_WRITE_W-1:0]      mod_data;
  logic                        mod_valid;
  logic [1:0]                  mod_ready;
  logic                        key_changed_en;
  logic                        key_grant_en;

  rnic_mem_keys #(.KEY_COUNT(KEY_COUNT)) u_keys (
    .clk, .rst,
    .s_write_data  (s_key_data),
    .s_write_valid (s_key_valid),
    .s_write_ready (s_key_ready),
    .s_mod_data    ({{KEY_WRITE_W{1'b0}}, mod_data}),
    .s_mod_valid   ({1'b0, mod_valid}),
    .s_mod_ready   (mod_ready),
    .lookup_en     ({2'b00, lookup_en}),
    .lookup_index  ({48'd0, lookup_index}),
    .lookup_entry,
    .changed_en    (key_changed_en),
    .grant_en      (key_grant_en),
    .ready         (keys_ready)
  );

  // Statistics
  logic       ev_tx_packet;
  logic       ev_tx_bytes_en;
  logic [6:0] ev_tx_bytes;
  logic       ev_aborted;
  logic [1:0] ev_stale;
  logic       ev_dma_error;
  logic       ev_ack;
  logic       ev_rnr_nak;
  logic       ev_nak;

  always_ff @(posedge clk) begin
    packets_q    <= packets_q + 32'(ev_tx_packet);
    bytes_q      <= bytes_q + (ev_tx_bytes_en ? 32'(ev_tx_bytes) : 32'd0);
    aborted_q    <= aborted_q + 32'(ev_aborted);
    stale_q      <= stale_q + 32'(ev_stale[0]) + 32'(ev_stale[1]);
    dma_errors_q <= dma_errors_q + 32'(ev_dma_error);
    acks_q       <= acks_q + 32'(ev_ack);
    rnr_naks_q   <= rnr_naks_q + 32'(ev_rnr_nak);
    naks_q       <= naks_q + 32'(ev_nak);
    if (rst) begin
      packets_q    <= '0;
      bytes_q      <= '0;
      aborted_q    <= '0;
      stale_q      <= '0;
      dma_errors_q <= '0;
      acks_q       <= '0;
      rnr_naks_q   <= '0;
      naks_q       <= '0;
    end
  end

  rnic_tx #(.QP_COUNT(QP_COUNT)) u_tx (
    .clk, .rst,
    .s_pkt_data        ({s_req_data, s_rsp_data}),
    .s_pkt_valid       ({s_req_valid, s_rsp_valid}),
    .s_pkt_ready       ({s_req_ready, s_rsp_ready}),
    .inline_slot       (inline_slot_data),
    .inline_slot_valid,
    .inline_slot_ready,
    .inline_write_en,
    .inline_write_slot,
    .inline_write_block,
    .inline_write_data,
    .qp_rd_qpn,
    .qp_rd_cfg,
    .gid_rd_index,
    .gid_rd_gid,
    .lookup_en,
    .lookup_index,
    .lookup_entry      (lookup_entry[0]),
    .m_mod_data        (mod_data),
    .m_mod_valid       (mod_valid),
    .m_mod_ready       (mod_ready[0]),
    .key_changed_en,
    .key_grant_en,
    .m_dma_data        ({m_read_data, m_list_data}),
    .m_dma_valid       ({m_read_valid, m_list_valid}),
    .m_dma_ready       ({m_read_ready, m_list_ready}),
    .s_dma_rsp_data    (s_dma_data),
    .s_dma_rsp_en      (s_dma_en),
    .m_result_data,
    .m_result_valid,
    .m_result_ready,
    .m_axis_tx_tdata   (m_axis_tx_data),
    .m_axis_tx_tkeep   (m_axis_tx_keep),
    .m_axis_tx_tlast   (m_axis_tx_last),
    .m_axis_tx_tvalid  (m_axis_tx_valid),
    .m_axis_tx_tready  (m_axis_tx_ready),
    .epoch_en,
    .epoch_qpn,
    .epoch,
    .init_data,
    .init_valid,
    .init_ready,
    .drain_req_en,
    .drain_done_en,
    .mac,
    .mig_req,
    .ecn,
    .cnp_tclass,
    .cnp_pcp,
    .ev_tx_packet,
    .ev_tx_bytes_en,
    .ev_tx_bytes,
    .ev_aborted,
    .ev_stale,
    .ev_dma_error,
    .ev_ack,
    .ev_rnr_nak,
    .ev_nak
  );

endmodule
