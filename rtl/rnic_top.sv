// rnic_top: the adapter. Wiring only.
//
//   doorbells ─► u_queue ─► u_segment ─► u_tx ─► m_axis_tx
//                                          ▲
//   s_axis_rx ─► u_rx ◄─► u_responder ─────┘
//                  ▲
//                  └────► u_completer ─► u_cq ─► u_event ─► m_axis_irq
//
//   marks ─► u_cnp ─► u_reply, in front of u_tx: CNPs go out with the responder's packets.
//   CNPs ─► u_dcqcn: holds up queue pairs in u_queue and u_segment.
//   u_csr, u_admin, u_qp_table, u_keys: control.  u_host_read, u_host_write: the host port.
//
// Ports are AXI's: s_axil registers, s_axi_db doorbell page (write only), m_axi host memory,
// m_axis_tx and s_axis_rx Ethernet frames without preamble and FCS, m_axis_irq interrupt vectors.
`include "streams.svh"
`include "layouts.svh"
`include "codes.svh"
`include "registers.svh"

module rnic_top #(
  parameter int QP_COUNT  = 256,
  parameter int CQ_COUNT  = 256,
  parameter int EQ_COUNT  = 16,
  parameter int SRQ_COUNT = 64,
  parameter int KEY_COUNT = 1024,
  parameter int MSG_DEPTH = 256,
  parameter int US_CYCLES = 250
) (
  input  logic         clk,
  input  logic         rst,

  // Registers
  input  logic [15:0]  s_axil_awaddr,
  input  logic [2:0]   s_axil_awprot,
  input  logic         s_axil_awvalid,
  output logic         s_axil_awready,
  input  logic [31:0]  s_axil_wdata,
  input  logic [3:0]   s_axil_wstrb,
  input  logic         s_axil_wvalid,
  output logic         s_axil_wready,
  output logic [1:0]   s_axil_bresp,
  output logic         s_axil_bvalid,
  input  logic         s_axil_bready,
  input  logic [15:0]  s_axil_araddr,
  input  logic [2:0]   s_axil_arprot,
  input  logic         s_axil_arvalid,
  output logic         s_axil_arready,
  output logic [31:0]  s_axil_rdata,
  output logic [1:0]   s_axil_rresp,
  output logic         s_axil_rvalid,
  input  logic         s_axil_rready,

  // Doorbell page
  input  logic [3:0]   s_axi_db_awid,
  input  logic [19:0]  s_axi_db_awaddr,
  input  logic [7:0]   s_axi_db_awlen,
  input  logic [2:0]   s_axi_db_awsize,
  input  logic [1:0]   s_axi_db_awburst,
  input  logic         s_axi_db_awvalid,
  output logic         s_axi_db_awready,
  input  logic [511:0] s_axi_db_wdata,
  input  logic [63:0]  s_axi_db_wstrb,
  input  logic         s_axi_db_wlast,
  input  logic         s_axi_db_wvalid,
  output logic         s_axi_db_wready,
  output logic [3:0]   s_axi_db_bid,
  output logic [1:0]   s_axi_db_bresp,
  output logic         s_axi_db_bvalid,
  input  logic         s_axi_db_bready,
  input  logic [3:0]   s_axi_db_arid,
  input  logic [19:0]  s_axi_db_araddr,
  input  logic [7:0]   s_axi_db_arlen,
  input  logic [2:0]   s_axi_db_arsize,
  input  logic [1:0]   s_axi_db_arburst,
  input  logic         s_axi_db_arvalid,
  output logic         s_axi_db_arready,
  output logic [3:0]   s_axi_db_rid,
  output logic [511:0] s_axi_db_rdata,
  output logic [1:0]   s_axi_db_rresp,
  output logic         s_axi_db_rlast,
  output logic         s_axi_db_rvalid,
  input  logic         s_axi_db_rready,

  // Host memory
  output logic [3:0]   m_axi_awid,
  output logic [63:0]  m_axi_awaddr,
  output logic [7:0]   m_axi_awlen,
  output logic [2:0]   m_axi_awsize,
  output logic [1:0]   m_axi_awburst,
  output logic         m_axi_awvalid,
  input  logic         m_axi_awready,
  output logic [511:0] m_axi_wdata,
  output logic [63:0]  m_axi_wstrb,
  output logic         m_axi_wlast,
  output logic         m_axi_wvalid,
  input  logic         m_axi_wready,
  input  logic [3:0]   m_axi_bid,
  input  logic [1:0]   m_axi_bresp,
  input  logic         m_axi_bvalid,
  output logic         m_axi_bready,
  output logic [3:0]   m_axi_arid,
  output logic [63:0]  m_axi_araddr,
  output logic [7:0]   m_axi_arlen,
  output logic [2:0]   m_axi_arsize,
  output logic [1:0]   m_axi_arburst,
  output logic         m_axi_arvalid,
  input  logic         m_axi_arready,
  input  logic [3:0]   m_axi_rid,
  input  logic [511:0] m_axi_rdata,
  input  logic [1:0]   m_axi_rresp,
  input  logic         m_axi_rlast,
  input  logic         m_axi_rvalid,
  output logic         m_axi_rready,

  // Ethernet
  output logic [511:0] m_axis_tx_tdata,
  output logic [63:0]  m_axis_tx_tkeep,
  output logic         m_axis_tx_tlast,
  output logic         m_axis_tx_tvalid,
  input  logic         m_axis_tx_tready,
  input  logic [511:0] s_axis_rx_tdata,
  input  logic [63:0]  s_axis_rx_tkeep,
  input  logic         s_axis_rx_tlast,
  input  logic         s_axis_rx_tuser,
  input  logic         s_axis_rx_tvalid,
  output logic         s_axis_rx_tready,

  // Interrupts
  output logic [7:0]   m_axis_irq_tdata,
  output logic         m_axis_irq_tvalid,
  input  logic         m_axis_irq_tready
);

  localparam int READ_DEPTH = 16;
  localparam int READ_SGE   = 8;

  // ------------------------------------------------------------------ registers

  control_reg_t      control;
  port_reg_t         port;
  options_reg_t      options;
  timebase_reg_t     timebase;
  congestion_reg_t   congestion;
  cnp_reg_t          cnp;
  dcqcn_line_reg_t   dcqcn_line;
  dcqcn_cut_reg_t    dcqcn_cut;
  dcqcn_monitor_reg_t  dcqcn_monitor;
  dcqcn_alpha_reg_t    dcqcn_alpha;
  dcqcn_timer_reg_t    dcqcn_timer;
  dcqcn_bytes_reg_t    dcqcn_bytes;
  dcqcn_increase_reg_t dcqcn_increase;
  status_reg_t       status;
  logic [47:0]       mac;
  logic              soft_reset_en;
  logic              stopping;
  logic              core_rst;
  logic              tx_busy;
  logic              rx_skip;
  admin_config_reg_t admin_config;
  admin_status_reg_t admin_status;
  logic [63:0]       admin_sq_base;
  logic [63:0]       admin_cq_base;
  logic              admin_doorbell_en;
  logic [15:0]       admin_doorbell_index;
  logic              admin_cq_index_en;
  logic [15:0]       admin_cq_index;
  logic [3:0]        gid_index;
  logic [127:0]      gid;
  logic [127:0]      dest_gid;
  logic              dest_hit;
  logic [3:0]        dest_index;
  logic              keys_ready;
  logic              qp_ready;
  logic              cq_ready;
  logic              admin_ready;
  logic              eq_overflow;
  logic              host_unanswered;
  logic              host_unsent;
  logic              host_forget;
  logic              host_owes;

  localparam int EVENT_SOURCES = 4;  // what may happen in one cycle under one name
  logic [EVENT_SOURCES-1:0][STAT_COUNT-1:0] stat_events;
  logic [12:0]                              stat_tx_bytes;
  logic [12:0]                              stat_rx_bytes;
  logic [12:0]                              stat_rdma_bytes;

  assign status = {16'd0, 8'd0, 5'd0, host_owes, eq_overflow,
                   keys_ready && qp_ready && cq_ready && admin_ready && !stopping};

  rnic_csr #(
    .QP_COUNT      (QP_COUNT),
    .SRQ_COUNT     (SRQ_COUNT),
    .CQ_COUNT      (CQ_COUNT),
    .EQ_COUNT      (EQ_COUNT),
    .KEY_COUNT     (KEY_COUNT),
    .MAX_READS     (READ_DEPTH),
    .FEATURES      ({24'd0, FEATURE_ATOMICS | FEATURE_ECN | FEATURE_SRQ | FEATURE_FAST_REGISTER}),
    .EVENT_SOURCES (EVENT_SOURCES)
  ) u_csr (
    .clk,
    .rst,
    .s_axil_awaddr,
    .s_axil_awvalid,
    .s_axil_awready,
    .s_axil_wdata,
    .s_axil_wstrb,
    .s_axil_wvalid,
    .s_axil_wready,
    .s_axil_bresp,
    .s_axil_bvalid,
    .s_axil_bready,
    .s_axil_araddr,
    .s_axil_arvalid,
    .s_axil_arready,
    .s_axil_rdata,
    .s_axil_rresp,
    .s_axil_rvalid,
    .s_axil_rready,
    .gid_rd_index       (gid_index),
    .gid_rd_gid         (gid),
    .gid_rd_v4          (),
    .gid_rd_valid       (),
    .gid_match_addr     (dest_gid),
    .gid_match_hit      (dest_hit),
    .gid_match_index    (dest_index),
    .control,
    .port,
    .options,
    .timebase,
    .mac,
    .congestion,
    .cnp,
    .dcqcn_line,
    .dcqcn_cut,
    .dcqcn_monitor,
    .dcqcn_alpha,
    .dcqcn_timer,
    .dcqcn_bytes,
    .dcqcn_increase,
    .soft_reset_en,
    .admin_config,
    .admin_sq_base,
    .admin_cq_base,
    .admin_doorbell_en,
    .admin_doorbell_index,
    .admin_cq_index_en,
    .admin_cq_index,
    .admin_status,
    .status,
    .stat_events,
    .stat_tx_bytes,
    .stat_rx_bytes,
    .stat_tx_rdma_bytes (stat_tx_bytes),
    .stat_rx_rdma_bytes (stat_rdma_bytes)
  );

  rnic_csr_reset u_reset (
    .clk,
    .rst,
    .soft_reset_en,
    .unanswered  (host_unanswered),
    .pending     (m_axi_arvalid || m_axi_awvalid || m_axi_wvalid || host_unsent),
    .tick_cycles (timebase.ack_tick),
    .tx_busy,
    .rx_beat_en  (s_axis_rx_tvalid && s_axis_rx_tready),
    .rx_last     (s_axis_rx_tlast),
    .stopping,
    .forget_en   (host_forget),
    .core_rst,
    .skip        (rx_skip)
  );

  // Frames and interrupts on offer outlive a soft reset.

  logic [511:0] frame_data;
  logic [63:0]  frame_keep;
  logic         frame_last;
  logic         frame_valid;
  logic         frame_ready;

  rnic_tx_gate u_gate (
    .clk,
    .rst,
    .stop    (stopping),
    .cut     (core_rst),
    .busy    (tx_busy),
    .s_data  (frame_data),
    .s_keep  (frame_keep),
    .s_last  (frame_last),
    .s_valid (frame_valid),
    .s_ready (frame_ready),
    .m_data  (m_axis_tx_tdata),
    .m_keep  (m_axis_tx_tkeep),
    .m_last  (m_axis_tx_tlast),
    .m_valid (m_axis_tx_tvalid),
    .m_ready (m_axis_tx_tready)
  );

  logic [7:0] vector_data;
  logic       vector_valid;
  logic       vector_ready;

  stream_register #(
    .DATA_W (8)
  ) u_vector (
    .clk,
    .rst,
    .s_data  (vector_data),
    .s_valid (vector_valid),
    .s_ready (vector_ready),
    .m_data  (m_axis_irq_tdata),
    .m_valid (m_axis_irq_tvalid),
    .m_ready (m_axis_irq_tready)
  );

  // ------------------------------------------------------------------ host port

  localparam int RD_ADMIN   = 0;
  localparam int RD_WQE     = 1;
  localparam int RD_TX_LIST = 2;
  localparam int RD_PAYLOAD = 3;
  localparam int RD_RX_LIST = 4;
  localparam int RD_RECEIVE = 5;
  localparam int RD_ATOMIC  = 6;
  localparam int READERS    = 7;

  localparam int WR_PAYLOAD = 0;
  localparam int WR_CQ      = 1;
  localparam int WR_EVENT   = 2;
  localparam int WR_ADMIN   = 3;
  localparam int WR_ATOMIC  = 4;
  localparam int WRITERS    = 5;

  logic [READERS-1:0][DMA_READ_REQ_W-1:0]   rd_req_data;
  logic [READERS-1:0]                       rd_req_valid;
  logic [READERS-1:0]                       rd_req_ready;
  logic [DMA_READ_DATA_W-1:0]               rd_data;
  logic [READERS-1:0]                       rd_en;
  logic [WRITERS-1:0][DMA_WRITE_REQ_W-1:0]  wr_req_data;
  logic [WRITERS-1:0]                       wr_req_valid;
  logic [WRITERS-1:0]                       wr_req_ready;
  logic [WRITERS-1:0][DMA_WRITE_DATA_W-1:0] wr_data_data;
  logic [WRITERS-1:0]                       wr_data_valid;
  logic [WRITERS-1:0]                       wr_data_ready;
  logic [WRITERS-1:0]                       wr_done_en;
  logic                                     wr_done_error;

  // Answers from before a soft reset do not reach the core.

  logic r_keep;
  logic b_keep;

  rnic_host_owed #(
    .CLIENTS (READERS)
  ) u_host_owed (
    .clk,
    .rst,
    .ar_en      (m_axi_arvalid && m_axi_arready),
    .ar_id      (m_axi_arid),
    .r_en       (m_axi_rvalid && m_axi_rready),
    .r_id       (m_axi_rid),
    .r_last     (m_axi_rlast),
    .aw_en      (m_axi_awvalid && m_axi_awready),
    .w_last_en  (m_axi_wvalid && m_axi_wready && m_axi_wlast),
    .b_en       (m_axi_bvalid && m_axi_bready),
    .forget_en  (host_forget),
    .r_keep,
    .b_keep,
    .unanswered (host_unanswered),
    .unsent     (host_unsent),
    .owes       (host_owes)
  );

  rnic_host_read #(
    .CLIENTS (READERS)
  ) u_host_read (
    .clk,
    .rst         (core_rst),
    .s_req_data  (rd_req_data),
    .s_req_valid (rd_req_valid & {READERS{!stopping}}),
    .s_req_ready (rd_req_ready),
    .m_rsp_data  (rd_data),
    .m_rsp_en    (rd_en),
    .m_axi_arid,
    .m_axi_araddr,
    .m_axi_arlen,
    .m_axi_arsize,
    .m_axi_arburst,
    .m_axi_arvalid,
    .m_axi_arready,
    .m_axi_rid,
    .m_axi_rdata,
    .m_axi_rresp,
    .m_axi_rlast,
    .m_axi_rvalid (m_axi_rvalid && r_keep),
    .m_axi_rready
  );

  rnic_host_write #(
    .CLIENTS (WRITERS)
  ) u_host_write (
    .clk,
    .rst          (core_rst),
    .s_req_data   (wr_req_data),
    .s_req_valid  (wr_req_valid & {WRITERS{!stopping}}),
    .s_req_ready  (wr_req_ready),
    .s_data_data  (wr_data_data),
    .s_data_valid (wr_data_valid),
    .s_data_ready (wr_data_ready),
    .m_done_en    (wr_done_en),
    .m_done_error (wr_done_error),
    .m_axi_awid,
    .m_axi_awaddr,
    .m_axi_awlen,
    .m_axi_awsize,
    .m_axi_awburst,
    .m_axi_awvalid,
    .m_axi_awready,
    .m_axi_wdata,
    .m_axi_wstrb,
    .m_axi_wlast,
    .m_axi_wvalid,
    .m_axi_wready,
    .m_axi_bid,
    .m_axi_bresp,
    .m_axi_bvalid (m_axi_bvalid && b_keep),
    .m_axi_bready
  );

  // ------------------------------------------------------------------ queue pairs, keys

  localparam int QP_ADMIN    = 0;
  localparam int QP_QUEUE    = 1;
  localparam int QP_SEGMENT  = 2;
  localparam int QP_TX       = 3;
  localparam int QP_RX       = 4;
  localparam int QP_WALK     = 5;
  localparam int QP_REPLY    = 6;
  localparam int QP_FLUSH    = 7;
  localparam int QP_TIMER    = 8;
  localparam int QP_READERS  = 9;

  localparam int ERR_COMPLETER = 0;
  localparam int ERR_RESPONDER = 1;
  localparam int ERR_CQ        = 2;
  localparam int ERR_ADMIN     = 3;
  localparam int ERRORS        = 4;

  localparam int FLUSH_QUEUE     = 0;
  localparam int FLUSH_COMPLETER = 1;
  localparam int FLUSH_RESPONDER = 2;

  logic [QP_READERS-1:0][23:0]            qp_rd_qpn;
  logic [QP_READERS-1:0][QP_CONFIG_W-1:0] qp_rd_cfg;
  logic [15:0]                            rq_rd_id;
  logic [RQ_CONFIG_W-1:0]                 rq_rd_cfg;
  logic [ERRORS-1:0][QP_ERROR_W-1:0]      error_data;
  logic [ERRORS-1:0]                      error_valid;
  logic [ERRORS-1:0]                      error_ready;
  logic [QP_WRITE_W-1:0]                  qp_write_data;
  logic                                   qp_write_valid;
  logic                                   qp_write_ready;
  logic [RQ_WRITE_W-1:0]                  rq_write_data;
  logic                                   rq_write_valid;
  logic                                   rq_write_ready;
  logic [15:0]                            flush_data;
  logic [2:0]                             flush_valid;
  logic [2:0]                             flush_ready;
  logic [EVENT_REQ_W-1:0]                 qp_event_data;
  logic                                   qp_event_valid;
  logic                                   qp_event_ready;
  logic                                   ev_qp_error;

  rnic_qp_table #(
    .QP_COUNT   (QP_COUNT),
    .RQ_COUNT   (QP_COUNT + SRQ_COUNT),
    .READERS    (QP_READERS),
    .RQ_READERS (1),
    .ERRORS     (ERRORS)
  ) u_qp_table (
    .clk,
    .rst            (core_rst),
    .ready          (qp_ready),
    .s_write_data   (qp_write_data),
    .s_write_valid  (qp_write_valid),
    .s_write_ready  (qp_write_ready),
    .s_rq_data      (rq_write_data),
    .s_rq_valid     (rq_write_valid),
    .s_rq_ready     (rq_write_ready),
    .s_error_data   (error_data),
    .s_error_valid  (error_valid),
    .s_error_ready  (error_ready),
    .rd_qpn         (qp_rd_qpn),
    .rd_cfg         (qp_rd_cfg),
    .rq_rd_id       (rq_rd_id),
    .rq_rd_cfg      (rq_rd_cfg),
    .m_flush_data   (flush_data),
    .m_flush_valid  (flush_valid),
    .m_flush_ready  (flush_ready),
    .m_event_data   (qp_event_data),
    .m_event_valid  (qp_event_valid),
    .m_event_ready  (qp_event_ready),
    .ev_qp_error_en (ev_qp_error)
  );

  localparam int KEY_TX    = 0;
  localparam int KEY_RX    = 1;
  localparam int KEY_ADMIN = 2;

  logic [KEY_WRITE_W-1:0]      key_write_data;
  logic                        key_write_valid;
  logic                        key_write_ready;
  logic [1:0][KEY_WRITE_W-1:0] key_mod_data;
  logic [1:0]                  key_mod_valid;
  logic [1:0]                  key_mod_ready;
  logic [2:0]                  lookup_en;
  logic [2:0][23:0]            lookup_index;
  logic [2:0][KEY_ENTRY_W-1:0] lookup_entry;
  logic                        key_changed_en;
  logic                        key_grant_en;

  rnic_mem_keys #(
    .KEY_COUNT (KEY_COUNT)
  ) u_keys (
    .clk,
    .rst           (core_rst),
    .s_write_data  (key_write_data),
    .s_write_valid (key_write_valid),
    .s_write_ready (key_write_ready),
    .s_mod_data    (key_mod_data),
    .s_mod_valid   (key_mod_valid),
    .s_mod_ready   (key_mod_ready),
    .lookup_en,
    .lookup_index,
    .lookup_entry,
    .changed_en    (key_changed_en),
    .grant_en      (key_grant_en),
    .ready         (keys_ready)
  );

  // ------------------------------------------------------------------ context reset, drain

  localparam int INIT_QUEUE     = 0;
  localparam int INIT_SEGMENT   = 1;
  localparam int INIT_TX        = 2;
  localparam int INIT_COMPLETER = 3;
  localparam int INIT_RESPONDER = 4;
  localparam int INIT_DRAINED   = 5;
  localparam int INIT_RX        = 6;
  localparam int INIT_DCQCN     = 7;
  localparam int INITS          = 8;

  // In the order in which work moves on.
  localparam int DRAIN_QUEUE     = 0;
  localparam int DRAIN_SEGMENT   = 1;
  localparam int DRAIN_RX        = 2;
  localparam int DRAIN_RESPONDER = 3;
  localparam int DRAIN_CNP       = 4;
  localparam int DRAIN_TX        = 5;
  localparam int DRAIN_COMPLETER = 6;
  localparam int DRAINS          = 7;

  logic [QP_INIT_W-1:0] init_data;
  logic [INITS-1:0]     init_valid;
  logic [INITS-1:0]     init_ready;
  logic [DRAINS-1:0]    drain_req_en;
  logic [DRAINS-1:0]    drain_done_en;
  logic                 local_drain_req_en;

  // ------------------------------------------------------------------ way out

  logic [RING_UPDATE_W-1:0]        rq_update_data;
  logic                            rq_update_valid;
  logic                            rq_update_ready;
  logic [CQ_UPDATE_W-1:0]          cq_update_data;
  logic                            cq_update_valid;
  logic                            cq_update_ready;
  logic [RING_UPDATE_W-1:0]        eq_update_data;
  logic                            eq_update_valid;
  logic                            eq_update_ready;
  logic [WQE_BLOCK_W-1:0]          wqe_data;
  logic                            wqe_valid;
  logic                            wqe_ready;
  logic [SQ_PARK_W-1:0]            park_data;
  logic                            park_valid;
  logic                            park_ready;
  logic [15:0]                     kick_data;
  logic                            kick_valid;
  logic                            kick_ready;
  logic [15:0]                     admin_kick_data;
  logic                            admin_kick_valid;
  logic                            admin_kick_ready;
  logic [15:0]                     wake_data;
  logic                            wake_valid;
  logic                            wake_ready;
  logic [1:0][15:0]                progress_rd_qpn;
  logic [1:0][SQ_PROGRESS_W-1:0]   progress_rd_data;
  logic                            progress_en;
  logic [15:0]                     progress_qpn;
  logic [SQ_PROGRESS_W-1:0]        progress_data;
  logic [15:0]                     rewind_data;
  logic                            rewind_valid;
  logic                            rewind_ready;
  logic                            wqe_others;
  logic [1:0][15:0]                pace_rd_qpn;
  logic [1:0]                      pace_rd_hold;
  logic                            queue_enter_en;
  logic                            queue_leave_en;
  logic                            ev_doorbell;
  logic                            ev_push;
  logic                            ev_refused;
  logic                            ev_range;
  logic                            ev_bad;

  logic [15:0]                     pace_kick_data;
  logic                            pace_kick_valid;
  logic                            pace_kick_ready;

  // A send queue is woken by progress of its messages, when draining ends, and when its rate allows.
  stream_arbiter #(
    .N      (3),
    .DATA_W (16)
  ) u_wake (
    .clk,
    .rst      (core_rst),
    .s_data   ({pace_kick_data, admin_kick_data, kick_data}),
    .s_last   (3'b111),
    .s_valid  ({pace_kick_valid, admin_kick_valid, kick_valid}),
    .s_ready  ({pace_kick_ready, admin_kick_ready, kick_ready}),
    .m_data   (wake_data),
    .m_last   (),
    .m_source (),
    .m_valid  (wake_valid),
    .m_ready  (wake_ready)
  );

  rnic_queue #(
    .QP_COUNT  (QP_COUNT),
    .SRQ_COUNT (SRQ_COUNT),
    .CQ_COUNT  (CQ_COUNT),
    .EQ_COUNT  (EQ_COUNT)
  ) u_queue (
    .clk,
    .rst              (core_rst),
    .bus_rst          (rst),
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
    .m_wqe_data       (wqe_data),
    .m_wqe_valid      (wqe_valid),
    .m_wqe_ready      (wqe_ready),
    .m_wqe_others     (wqe_others),
    .s_park_data      (park_data),
    .s_park_valid     (park_valid),
    .s_park_ready     (park_ready),
    .s_kick_data      (wake_data),
    .s_kick_valid     (wake_valid),
    .s_kick_ready     (wake_ready),
    .s_flush_data     (flush_data),
    .s_flush_valid    (flush_valid[FLUSH_QUEUE]),
    .s_flush_ready    (flush_ready[FLUSH_QUEUE]),
    .qp_rd_qpn        (qp_rd_qpn[QP_QUEUE]),
    .qp_rd_cfg        (qp_rd_cfg[QP_QUEUE]),
    .progress_rd_qpn  (progress_rd_qpn[0]),
    .progress_rd_data (progress_rd_data[0]),
    .pace_rd_qpn      (pace_rd_qpn[0]),
    .pace_rd_hold     (pace_rd_hold[0]),
    .m_rq_data        (rq_update_data),
    .m_rq_valid       (rq_update_valid),
    .m_rq_ready       (rq_update_ready),
    .m_cq_data        (cq_update_data),
    .m_cq_valid       (cq_update_valid),
    .m_cq_ready       (cq_update_ready),
    .m_eq_data        (eq_update_data),
    .m_eq_valid       (eq_update_valid),
    .m_eq_ready       (eq_update_ready),
    .m_dma_data       (rd_req_data[RD_WQE]),
    .m_dma_valid      (rd_req_valid[RD_WQE]),
    .m_dma_ready      (rd_req_ready[RD_WQE]),
    .s_dma_data       (rd_data),
    .s_dma_en         (rd_en[RD_WQE]),
    .init_data,
    .init_valid       (init_valid[INIT_QUEUE]),
    .init_ready       (init_ready[INIT_QUEUE]),
    .enter_en         (queue_enter_en),
    .leave_en         (queue_leave_en),
    .tx_enable        (control.tx_enable && !stopping),
    .ev_doorbell_en   (ev_doorbell),
    .ev_push_en       (ev_push),
    .ev_refused_en    (ev_refused),
    .ev_range_en      (ev_range),
    .ev_bad_en        (ev_bad)
  );

  stream_drain u_queue_drain (
    .clk,
    .rst           (core_rst),
    .enter_en      (queue_enter_en),
    .leave_en      (queue_leave_en),
    .drain_req_en  (drain_req_en[DRAIN_QUEUE]),
    .drain_done_en (drain_done_en[DRAIN_QUEUE])
  );

  localparam int PKT_RESPONDER = 0;
  localparam int PKT_REQUESTER = 1;

  logic [1:0][TX_PACKET_W-1:0] pkt_data;
  logic [1:0]                  pkt_valid;
  logic [1:0]                  pkt_ready;
  logic [5:0]                  inline_slot;
  logic                        inline_slot_valid;
  logic                        inline_slot_ready;
  logic                        inline_write_en;
  logic [5:0]                  inline_write_slot;
  logic [1:0]                  inline_write_block;
  logic [511:0]                inline_write_data;
  logic                        msg_write_en;
  logic [15:0]                 msg_write_qpn;
  logic [15:0]                 msg_write_index;
  logic [MSG_RECORD_W-1:0]     msg_write_data;
  logic                        read_write_en;
  logic [15:0]                 read_write_qpn;
  logic [3:0]                  read_write_slot;
  logic [READ_RECORD_W-1:0]    read_write_data;
  logic                        sge_write_en;
  logic [15:0]                 sge_write_qpn;
  logic [3:0]                  sge_write_slot;
  logic [2:0]                  sge_write_number;
  logic [SGE_W-1:0]            sge_write_data;
  logic [15:0]                 record_data;
  logic                        record_valid;
  logic                        record_ready;
  logic [15:0]                 psn_rd_qpn;
  logic [23:0]                 psn_rd_data;
  logic                        msg_write_new;
  logic                        read_again_en;
  logic [15:0]                 read_again_qpn;
  logic                        sent_en;
  logic [15:0]                 sent_qpn;
  logic [12:0]                 sent_bytes;
  logic                        sent_oldest;
  logic                        sent_again;
  logic                        sent_replay;
  logic                        epoch_en;
  logic [15:0]                 epoch_qpn;
  logic [2:0]                  epoch;
  logic                        ev_wqe;

  rnic_tx_segment #(
    .QP_COUNT  (QP_COUNT),
    .MSG_DEPTH (MSG_DEPTH)
  ) u_segment (
    .clk,
    .rst              (core_rst),
    .s_wqe_data       (wqe_data),
    .s_wqe_valid      (wqe_valid),
    .s_wqe_ready      (wqe_ready),
    .m_park_data      (park_data),
    .m_park_valid     (park_valid),
    .m_park_ready     (park_ready),
    .s_wqe_others     (wqe_others),
    .s_rewind_data    (rewind_data),
    .s_rewind_valid   (rewind_valid),
    .s_rewind_ready   (rewind_ready),
    .qp_rd_qpn        (qp_rd_qpn[QP_SEGMENT]),
    .qp_rd_cfg        (qp_rd_cfg[QP_SEGMENT]),
    .progress_rd_qpn  (progress_rd_qpn[1]),
    .progress_rd_data (progress_rd_data[1]),
    .pace_rd_qpn      (pace_rd_qpn[1]),
    .pace_rd_hold     (pace_rd_hold[1]),
    .progress_en,
    .progress_qpn,
    .progress_data,
    .m_pkt_data       (pkt_data[PKT_REQUESTER]),
    .m_pkt_valid      (pkt_valid[PKT_REQUESTER]),
    .m_pkt_ready      (pkt_ready[PKT_REQUESTER]),
    .inline_slot,
    .inline_slot_valid,
    .inline_slot_ready,
    .inline_write_en,
    .inline_write_slot,
    .inline_write_block,
    .inline_write_data,
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
    .m_kick_data      (record_data),
    .m_kick_valid     (record_valid),
    .m_kick_ready     (record_ready),
    .read_again_en,
    .read_again_qpn,
    .psn_rd_qpn,
    .psn_rd_data,
    .epoch_en,
    .epoch_qpn,
    .epoch,
    .sent_en,
    .sent_qpn,
    .sent_bytes,
    .sent_oldest,
    .sent_again,
    .sent_replay,
    .init_data,
    .init_valid       (init_valid[INIT_SEGMENT]),
    .init_ready       (init_ready[INIT_SEGMENT]),
    .drain_req_en     (drain_req_en[DRAIN_SEGMENT]),
    .drain_done_en    (drain_done_en[DRAIN_SEGMENT]),
    .ev_wqe_en        (ev_wqe)
  );

  logic [TX_RESULT_W-1:0] result_data;
  logic                   result_valid;
  logic                   result_ready;
  tx_result_t             result;
  logic                   result_rsp_ready;
  logic                   result_req_ready;
  logic                   ev_tx_packet;
  logic                   ev_tx_bytes_en;
  logic [6:0]             ev_tx_bytes;
  logic                   ev_tx_aborted;
  logic [1:0]             ev_tx_stale;
  logic                   ev_tx_dma_error;
  logic                   ev_tx_ack;
  logic                   ev_tx_rnr_nak;
  logic                   ev_tx_nak;

  rnic_tx #(
    .QP_COUNT (QP_COUNT)
  ) u_tx (
    .clk,
    .rst             (core_rst),
    .s_pkt_data      (pkt_data),
    .s_pkt_valid     (pkt_valid),
    .s_pkt_ready     (pkt_ready),
    .inline_slot,
    .inline_slot_valid,
    .inline_slot_ready,
    .inline_write_en,
    .inline_write_slot,
    .inline_write_block,
    .inline_write_data,
    .qp_rd_qpn       (qp_rd_qpn[QP_TX]),
    .qp_rd_cfg       (qp_rd_cfg[QP_TX]),
    .gid_rd_index    (gid_index),
    .gid_rd_gid      (gid),
    .lookup_en       (lookup_en[KEY_TX]),
    .lookup_index    (lookup_index[KEY_TX]),
    .lookup_entry    (lookup_entry[KEY_TX]),
    .m_mod_data      (key_mod_data[KEY_TX]),
    .m_mod_valid     (key_mod_valid[KEY_TX]),
    .m_mod_ready     (key_mod_ready[KEY_TX]),
    .key_changed_en,
    .key_grant_en,
    .m_dma_data      ({rd_req_data[RD_PAYLOAD], rd_req_data[RD_TX_LIST]}),
    .m_dma_valid     ({rd_req_valid[RD_PAYLOAD], rd_req_valid[RD_TX_LIST]}),
    .m_dma_ready     ({rd_req_ready[RD_PAYLOAD], rd_req_ready[RD_TX_LIST]}),
    .s_dma_rsp_data  (rd_data),
    .s_dma_rsp_en    ({rd_en[RD_PAYLOAD], rd_en[RD_TX_LIST]}),
    .m_result_data   (result_data),
    .m_result_valid  (result_valid),
    .m_result_ready  (result_ready),
    .m_axis_tx_tdata  (frame_data),
    .m_axis_tx_tkeep  (frame_keep),
    .m_axis_tx_tlast  (frame_last),
    .m_axis_tx_tvalid (frame_valid),
    .m_axis_tx_tready (frame_ready),
    .epoch_en,
    .epoch_qpn,
    .epoch,
    .init_data,
    .init_valid      (init_valid[INIT_TX]),
    .init_ready      (init_ready[INIT_TX]),
    .drain_req_en    (drain_req_en[DRAIN_TX]),
    .drain_done_en   (drain_done_en[DRAIN_TX]),
    .mac,
    .mig_req         (options.migreq),
    .ecn             (congestion.ecn),
    .cnp_tclass      (cnp.traffic_class),
    .cnp_pcp         (cnp.pcp),
    .ev_tx_packet,
    .ev_tx_bytes_en,
    .ev_tx_bytes,
    .ev_aborted      (ev_tx_aborted),
    .ev_stale        (ev_tx_stale),
    .ev_dma_error    (ev_tx_dma_error),
    .ev_ack          (ev_tx_ack),
    .ev_rnr_nak      (ev_tx_rnr_nak),
    .ev_nak          (ev_tx_nak)
  );

  assign result       = result_data;
  assign result_ready = result.response ? result_rsp_ready : result_req_ready;

  // ------------------------------------------------------------------ way in

  logic [RX_HEADER_W-1:0] req_hdr;
  logic [QP_CONFIG_W-1:0] req_cfg;
  logic                   req_valid;
  logic                   req_ready;
  logic [RX_WORK_W-1:0]   req_work_data;
  logic                   req_work_valid;
  logic                   req_work_ready;
  logic [RX_DONE_W-1:0]   req_done_data;
  logic                   req_done_valid;
  logic                   req_done_ready;
  logic [RX_HEADER_W-1:0] rsp_hdr;
  logic [QP_CONFIG_W-1:0] rsp_cfg;
  logic                   rsp_valid;
  logic                   rsp_ready;
  logic [RX_WORK_W-1:0]   rsp_work_data;
  logic                   rsp_work_valid;
  logic                   rsp_work_ready;
  logic [RX_DONE_W-1:0]   rsp_done_data;
  logic                   rsp_done_valid;
  logic                   rsp_done_ready;
  logic                   ev_rx;
  logic [12:0]            ev_rx_bytes;
  logic                   ev_rdma;
  logic [12:0]            ev_rdma_bytes;
  logic                   ev_ce;
  logic                   mark_en;
  logic [15:0]            mark_qpn;
  logic                   cnp_en;
  logic [15:0]            cnp_qpn;
  logic                   drop_frame_en;
  logic [4:0]             drop_frame_reason;
  logic                   drop_qp_en;
  logic [4:0]             drop_qp_reason;

  rnic_rx #(
    .QP_COUNT (QP_COUNT)
  ) u_rx (
    .clk,
    .rst               (core_rst),
    .enable            (control.rx_enable && !stopping && !rx_skip),
    .s_axis_rx_tdata,
    .s_axis_rx_tkeep,
    .s_axis_rx_tlast,
    .s_axis_rx_tuser,
    .s_axis_rx_tvalid,
    .s_axis_rx_tready,
    .rx_dest_gid       (dest_gid),
    .rx_dest_hit       (dest_hit),
    .rx_dest_index     (dest_index),
    .qp_rd_qpn         (qp_rd_qpn[QP_RX]),
    .qp_rd_cfg         (qp_rd_cfg[QP_RX]),
    .m_req_hdr         (req_hdr),
    .m_req_cfg         (req_cfg),
    .m_req_valid       (req_valid),
    .m_req_ready       (req_ready),
    .s_req_work_data   (req_work_data),
    .s_req_work_valid  (req_work_valid),
    .s_req_work_ready  (req_work_ready),
    .m_req_done_data   (req_done_data),
    .m_req_done_valid  (req_done_valid),
    .m_req_done_ready  (req_done_ready),
    .m_rsp_hdr         (rsp_hdr),
    .m_rsp_cfg         (rsp_cfg),
    .m_rsp_valid       (rsp_valid),
    .m_rsp_ready       (rsp_ready),
    .s_rsp_work_data   (rsp_work_data),
    .s_rsp_work_valid  (rsp_work_valid),
    .s_rsp_work_ready  (rsp_work_ready),
    .m_rsp_done_data   (rsp_done_data),
    .m_rsp_done_valid  (rsp_done_valid),
    .m_rsp_done_ready  (rsp_done_ready),
    .lookup_en         (lookup_en[KEY_RX]),
    .lookup_index      (lookup_index[KEY_RX]),
    .lookup_entry      (lookup_entry[KEY_RX]),
    .m_mod_data        (key_mod_data[KEY_RX]),
    .m_mod_valid       (key_mod_valid[KEY_RX]),
    .m_mod_ready       (key_mod_ready[KEY_RX]),
    .key_changed_en,
    .key_grant_en,
    .m_dma_data        (rd_req_data[RD_RX_LIST]),
    .m_dma_valid       (rd_req_valid[RD_RX_LIST]),
    .m_dma_ready       (rd_req_ready[RD_RX_LIST]),
    .s_dma_data        (rd_data),
    .s_dma_en          (rd_en[RD_RX_LIST]),
    .m_wreq_data       (wr_req_data[WR_PAYLOAD]),
    .m_wreq_valid      (wr_req_valid[WR_PAYLOAD]),
    .m_wreq_ready      (wr_req_ready[WR_PAYLOAD]),
    .m_wdata_data      (wr_data_data[WR_PAYLOAD]),
    .m_wdata_valid     (wr_data_valid[WR_PAYLOAD]),
    .m_wdata_ready     (wr_data_ready[WR_PAYLOAD]),
    .s_wdone_en        (wr_done_en[WR_PAYLOAD]),
    .s_wdone_error     (wr_done_error),
    .m_atomic_dma_data    (rd_req_data[RD_ATOMIC]),
    .m_atomic_dma_valid   (rd_req_valid[RD_ATOMIC]),
    .m_atomic_dma_ready   (rd_req_ready[RD_ATOMIC]),
    .s_atomic_dma_en      (rd_en[RD_ATOMIC]),
    .m_atomic_wreq_data   (wr_req_data[WR_ATOMIC]),
    .m_atomic_wreq_valid  (wr_req_valid[WR_ATOMIC]),
    .m_atomic_wreq_ready  (wr_req_ready[WR_ATOMIC]),
    .m_atomic_wdata_data  (wr_data_data[WR_ATOMIC]),
    .m_atomic_wdata_valid (wr_data_valid[WR_ATOMIC]),
    .m_atomic_wdata_ready (wr_data_ready[WR_ATOMIC]),
    .s_atomic_wdone_en    (wr_done_en[WR_ATOMIC]),
    .init_data,
    .init_valid        (init_valid[INIT_RX]),
    .init_ready        (init_ready[INIT_RX]),
    .drain_req_en      (drain_req_en[DRAIN_RX] || local_drain_req_en),
    .drain_done_en     (drain_done_en[DRAIN_RX]),
    .mark_en,
    .mark_qpn,
    .cnp_en,
    .cnp_qpn,
    .rx_en             (ev_rx),
    .rx_bytes          (ev_rx_bytes),
    .rdma_en           (ev_rdma),
    .rdma_bytes        (ev_rdma_bytes),
    .rdma_ce_en        (ev_ce),
    .drop_frame_en,
    .drop_frame_reason,
    .drop_qp_en,
    .drop_qp_reason
  );

  // Responses, and CNPs for what came marked

  logic [TX_PACKET_W-1:0] reply_data;
  logic                   reply_valid;
  logic                   reply_ready;
  logic [TX_PACKET_W-1:0] cnp_data;
  logic                   cnp_valid;
  logic                   cnp_ready;
  logic                   ev_tx_cnp;
  tx_packet_t             reply;

  rnic_cnp #(
    .QP_COUNT  (QP_COUNT),
    .US_CYCLES (US_CYCLES)
  ) u_cnp (
    .clk,
    .rst           (core_rst),
    .mark_en,
    .mark_qpn,
    .m_pkt_data    (cnp_data),
    .m_pkt_valid   (cnp_valid),
    .m_pkt_ready   (cnp_ready),
    .drain_req_en  (drain_req_en[DRAIN_CNP]),
    .drain_done_en (drain_done_en[DRAIN_CNP]),
    .enable        (congestion.cnp),
    .interval      (cnp.interval),
    .ev_cnp_en     (ev_tx_cnp)
  );

  rnic_dcqcn #(
    .QP_COUNT  (QP_COUNT),
    .US_CYCLES (US_CYCLES)
  ) u_dcqcn (
    .clk,
    .rst          (core_rst),
    .cnp_en,
    .cnp_qpn,
    .sent_en,
    .sent_qpn,
    .sent_bytes,
    .pace_rd_qpn,
    .pace_rd_hold,
    .m_kick_data  (pace_kick_data),
    .m_kick_valid (pace_kick_valid),
    .m_kick_ready (pace_kick_ready),
    .init_data,
    .init_valid   (init_valid[INIT_DCQCN]),
    .init_ready   (init_ready[INIT_DCQCN]),
    .enable       (congestion.dcqcn),
    .line         (dcqcn_line),
    .cut          (dcqcn_cut),
    .monitor      (dcqcn_monitor),
    .alpha        (dcqcn_alpha),
    .timer        (dcqcn_timer),
    .bytes        (dcqcn_bytes),
    .increase     (dcqcn_increase)
  );

  assign reply = reply_data;

  stream_arbiter #(
    .N         (2),
    .DATA_W    (TX_PACKET_W),
    .HOLD_LAST (1)
  ) u_reply (
    .clk,
    .rst      (core_rst),
    .s_data   ({cnp_data, reply_data}),
    .s_last   ({1'b1, reply.last}),
    .s_valid  ({cnp_valid, reply_valid}),
    .s_ready  ({cnp_ready, reply_ready}),
    .m_data   (pkt_data[PKT_RESPONDER]),
    .m_last   (),
    .m_source (),
    .m_valid  (pkt_valid[PKT_RESPONDER]),
    .m_ready  (pkt_ready[PKT_RESPONDER])
  );

  localparam int CQE_RESPONDER = 0;
  localparam int CQE_COMPLETER = 1;

  logic [1:0][CQE_REQ_W-1:0] cqe_data;
  logic [1:0]                cqe_valid;
  logic [1:0]                cqe_ready;
  logic                      ev_duplicate;
  logic                      ev_sequence;
  logic                      ev_no_wqe;
  logic                      ev_resource;

  logic        claim_en;
  logic [15:0] claim_rq;
  logic [15:0]            cqes_begun;
  logic [15:0]            cqes_answered;
  logic                   cqes_beginning;
  logic [EVENT_REQ_W-1:0] rsp_event_data;
  logic                   rsp_event_valid;
  logic                   rsp_event_ready;

  rnic_responder #(
    .QP_COUNT  (QP_COUNT),
    .SRQ_COUNT (SRQ_COUNT)
  ) u_responder (
    .clk,
    .rst             (core_rst),
    .s_req_hdr       (req_hdr),
    .s_req_cfg       (req_cfg),
    .s_req_valid     (req_valid),
    .s_req_ready     (req_ready),
    .m_work_data     (req_work_data),
    .m_work_valid    (req_work_valid),
    .m_work_ready    (req_work_ready),
    .s_done_data     (req_done_data),
    .s_done_valid    (req_done_valid),
    .s_done_ready    (req_done_ready),
    .m_pkt_data      (reply_data),
    .m_pkt_valid     (reply_valid),
    .m_pkt_ready     (reply_ready),
    .s_result_data   (result_data),
    .s_result_valid  (result_valid && result.response),
    .s_result_ready  (result_rsp_ready),
    .m_cqe_data      (cqe_data[CQE_RESPONDER]),
    .m_cqe_valid     (cqe_valid[CQE_RESPONDER]),
    .m_cqe_ready     (cqe_ready[CQE_RESPONDER]),
    .m_error_data    (error_data[ERR_RESPONDER]),
    .m_error_valid   (error_valid[ERR_RESPONDER]),
    .m_error_ready   (error_ready[ERR_RESPONDER]),
    .cqes_begun,
    .cqes_answered,
    .cqes_beginning,
    .m_event_data    (rsp_event_data),
    .m_event_valid   (rsp_event_valid),
    .m_event_ready   (rsp_event_ready),
    .ack_every       (options.ack_every),
    .ack_delay       (options.ack_delay),
    .s_rq_data       (rq_update_data),
    .s_rq_valid      (rq_update_valid),
    .s_rq_ready      (rq_update_ready),
    .s_flush_data    (flush_data),
    .s_flush_valid   (flush_valid[FLUSH_RESPONDER]),
    .s_flush_ready   (flush_ready[FLUSH_RESPONDER]),
    .m_dma_data      (rd_req_data[RD_RECEIVE]),
    .m_dma_valid     (rd_req_valid[RD_RECEIVE]),
    .m_dma_ready     (rd_req_ready[RD_RECEIVE]),
    .s_dma_data      (rd_data),
    .s_dma_en        (rd_en[RD_RECEIVE]),
    .rq_rd_id,
    .rq_rd_cfg,
    .qp_rd_qpn       (qp_rd_qpn[QP_REPLY]),
    .qp_rd_cfg       (qp_rd_cfg[QP_REPLY]),
    .flush_rd_qpn    (qp_rd_qpn[QP_FLUSH]),
    .flush_rd_cfg    (qp_rd_cfg[QP_FLUSH]),
    .claim_en,
    .claim_rq,
    .init_data,
    .init_valid      (init_valid[INIT_RESPONDER]),
    .init_ready      (init_ready[INIT_RESPONDER]),
    .drain_req_en    (drain_req_en[DRAIN_RESPONDER]),
    .drain_done_en   (drain_done_en[DRAIN_RESPONDER]),
    .ev_duplicate_en (ev_duplicate),
    .ev_sequence_en  (ev_sequence),
    .ev_no_wqe_en    (ev_no_wqe),
    .ev_resource_en  (ev_resource),
    .ev_ack_en       (),
    .ev_nak_en       (),
    .ev_rnr_nak_en   ()
  );

  logic ev_ghost;
  logic ev_rsp_sequence;
  logic ev_syndrome;
  logic ev_timeout;
  logic ev_exhausted;

  rnic_completer #(
    .QP_COUNT   (QP_COUNT),
    .MSG_DEPTH  (MSG_DEPTH),
    .READ_DEPTH (READ_DEPTH),
    .READ_SGE   (READ_SGE)
  ) u_completer (
    .clk,
    .rst              (core_rst),
    .s_rsp_hdr        (rsp_hdr),
    .s_rsp_cfg        (rsp_cfg),
    .s_rsp_valid      (rsp_valid),
    .s_rsp_ready      (rsp_ready),
    .m_work_data      (rsp_work_data),
    .m_work_valid     (rsp_work_valid),
    .m_work_ready     (rsp_work_ready),
    .s_done_data      (rsp_done_data),
    .s_done_valid     (rsp_done_valid),
    .s_done_ready     (rsp_done_ready),
    .s_result_data    (result_data),
    .s_result_valid   (result_valid && !result.response),
    .s_result_ready   (result_req_ready),
    .s_kick_data      (record_data),
    .s_kick_valid     (record_valid),
    .s_kick_ready     (record_ready),
    .s_flush_data     (flush_data),
    .s_flush_valid    (flush_valid[FLUSH_COMPLETER]),
    .s_flush_ready    (flush_ready[FLUSH_COMPLETER]),
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
    .sent_en,
    .sent_qpn,
    .sent_oldest,
    .sent_again       (sent_replay),
    .read_again_en,
    .read_again_qpn,
    .ack_tick         (timebase.ack_tick),
    .rnr_tick         (timebase.rnr_tick),
    .qp_rd_qpn        (qp_rd_qpn[QP_WALK]),
    .qp_rd_cfg        (qp_rd_cfg[QP_WALK]),
    .timer_rd_qpn     (qp_rd_qpn[QP_TIMER]),
    .timer_rd_cfg     (qp_rd_cfg[QP_TIMER]),
    .psn_rd_qpn,
    .psn_rd_data,
    .progress_rd_qpn,
    .progress_rd_data,
    .progress_en,
    .progress_qpn,
    .progress_data,
    .m_rewind_data    (rewind_data),
    .m_rewind_valid   (rewind_valid),
    .m_rewind_ready   (rewind_ready),
    .m_cqe_data       (cqe_data[CQE_COMPLETER]),
    .m_cqe_valid      (cqe_valid[CQE_COMPLETER]),
    .m_cqe_ready      (cqe_ready[CQE_COMPLETER]),
    .m_kick_data      (kick_data),
    .m_kick_valid     (kick_valid),
    .m_kick_ready     (kick_ready),
    .m_error_data     (error_data[ERR_COMPLETER]),
    .m_error_valid    (error_valid[ERR_COMPLETER]),
    .m_error_ready    (error_ready[ERR_COMPLETER]),
    .init_data,
    .init_valid       (init_valid[INIT_COMPLETER]),
    .init_ready       (init_ready[INIT_COMPLETER]),
    .drain_req_en     (drain_req_en[DRAIN_COMPLETER]),
    .drain_done_en    (drain_done_en[DRAIN_COMPLETER]),
    .rx_drain_req_en  (local_drain_req_en),
    .rx_drain_done_en (drain_done_en[DRAIN_RX]),
    .ev_ghost_en      (ev_ghost),
    .ev_sequence_en   (ev_rsp_sequence),
    .ev_syndrome_en   (ev_syndrome),
    .ev_timeout_en    (ev_timeout),
    .ev_exhausted_en  (ev_exhausted)
  );

  // ------------------------------------------------------------------ drained, running low

  logic [QP_WATCH_W-1:0]   watch_data;
  logic                    watch_valid;
  logic                    watch_ready;
  logic                    qp_drained;
  logic [EVENT_REQ_W-1:0]  drained_event_data;
  logic                    drained_event_valid;
  logic                    drained_event_ready;
  logic [SRQ_CONFIG_W-1:0] srq_cfg_data;
  logic                    srq_cfg_valid;
  logic                    srq_cfg_ready;
  logic [SRQ_ANSWER_W-1:0] srq_answer;
  logic [EVENT_REQ_W-1:0]  srq_event_data;
  logic                    srq_event_valid;
  logic                    srq_event_ready;

  rnic_qp_drained #(
    .QP_COUNT (QP_COUNT)
  ) u_drained (
    .clk,
    .rst           (core_rst),
    .s_watch_data  (watch_data),
    .s_watch_valid (watch_valid),
    .s_watch_ready (watch_ready),
    .error_en      (flush_valid != '0),
    .error_qpn     (flush_data),
    .started_en    (msg_write_en && msg_write_new),
    .started_qpn   (msg_write_qpn),
    .started_index (msg_write_index),
    .progress_en,
    .progress_qpn,
    .progress_data,
    .init_data,
    .init_valid    (init_valid[INIT_DRAINED]),
    .init_ready    (init_ready[INIT_DRAINED]),
    .rd_qpn        (qp_rd_qpn[QP_ADMIN][15:0]),
    .rd_drained    (qp_drained),
    .m_event_data  (drained_event_data),
    .m_event_valid (drained_event_valid),
    .m_event_ready (drained_event_ready)
  );

  rnic_qp_srq #(
    .QP_COUNT  (QP_COUNT),
    .SRQ_COUNT (SRQ_COUNT)
  ) u_srq (
    .clk,
    .rst           (core_rst),
    .claim_en,
    .claim_rq,
    .update_en     (rq_update_valid && rq_update_ready),
    .update_data   (rq_update_data),
    .s_cfg_data    (srq_cfg_data),
    .s_cfg_valid   (srq_cfg_valid),
    .s_cfg_ready   (srq_cfg_ready),
    .cfg_answer    (srq_answer),
    .m_event_data  (srq_event_data),
    .m_event_valid (srq_event_valid),
    .m_event_ready (srq_event_ready)
  );

  // ------------------------------------------------------------------ completions, events

  logic [CQ_CONFIG_W-1:0] cq_cfg_data;
  logic                   cq_cfg_valid;
  logic                   cq_cfg_ready;
  logic [CQ_ANSWER_W-1:0] cq_answer;
  logic [EVENT_REQ_W-1:0] cq_event_data;
  logic                   cq_event_valid;
  logic                   cq_event_ready;
  logic                   ev_cqe;
  logic                   ev_cq_doorbell_bad;

  rnic_cq #(
    .CQ_COUNT (CQ_COUNT),
    .SOURCES  (2)
  ) u_cq (
    .clk,
    .rst                (core_rst),
    .ready              (cq_ready),
    .s_cqe_data         (cqe_data),
    .s_cqe_valid        (cqe_valid),
    .s_cqe_ready        (cqe_ready),
    .s_update_data      (cq_update_data),
    .s_update_valid     (cq_update_valid),
    .s_update_ready     (cq_update_ready),
    .s_cfg_data         (cq_cfg_data),
    .s_cfg_valid        (cq_cfg_valid),
    .s_cfg_ready        (cq_cfg_ready),
    .cfg_answer         (cq_answer),
    .m_wreq_data        (wr_req_data[WR_CQ]),
    .m_wreq_valid       (wr_req_valid[WR_CQ]),
    .m_wreq_ready       (wr_req_ready[WR_CQ]),
    .m_wdata_data       (wr_data_data[WR_CQ]),
    .m_wdata_valid      (wr_data_valid[WR_CQ]),
    .m_wdata_ready      (wr_data_ready[WR_CQ]),
    .s_wdone_en         (wr_done_en[WR_CQ]),
    .s_wdone_error      (wr_done_error),
    .m_event_data       (cq_event_data),
    .m_event_valid      (cq_event_valid),
    .m_event_ready      (cq_event_ready),
    .m_error_data       (error_data[ERR_CQ]),
    .m_error_valid      (error_valid[ERR_CQ]),
    .m_error_ready      (error_ready[ERR_CQ]),
    .begun              (cqes_begun),
    .answered           (cqes_answered),
    .beginning          (cqes_beginning),
    .ev_cqe_en          (ev_cqe),
    .ev_doorbell_bad_en (ev_cq_doorbell_bad)
  );

  logic [EQ_CONFIG_W-1:0] eq_cfg_data;
  logic                   eq_cfg_valid;
  logic                   eq_cfg_ready;
  logic [7:0]             eq_irq_data;
  logic                   eq_irq_valid;
  logic                   eq_irq_ready;
  logic [7:0]             admin_irq_data;
  logic                   admin_irq_valid;
  logic                   admin_irq_ready;
  logic                   ev_eqe;
  logic                   ev_irq;

  rnic_event #(
    .EQ_COUNT  (EQ_COUNT),
    .SOURCES   (5),
    .US_CYCLES (US_CYCLES)
  ) u_event (
    .clk,
    .rst               (core_rst),
    .s_event_data      ({rsp_event_data, cq_event_data, qp_event_data, drained_event_data,
                          srq_event_data}),
    .s_event_valid     ({rsp_event_valid, cq_event_valid, qp_event_valid, drained_event_valid,
                          srq_event_valid}),
    .s_event_ready     ({rsp_event_ready, cq_event_ready, qp_event_ready, drained_event_ready,
                          srq_event_ready}),
    .s_update_data     (eq_update_data),
    .s_update_valid    (eq_update_valid),
    .s_update_ready    (eq_update_ready),
    .s_cfg_data        (eq_cfg_data),
    .s_cfg_valid       (eq_cfg_valid),
    .s_cfg_ready       (eq_cfg_ready),
    .cfg_existed       (),
    .m_wreq_data       (wr_req_data[WR_EVENT]),
    .m_wreq_valid      (wr_req_valid[WR_EVENT]),
    .m_wreq_ready      (wr_req_ready[WR_EVENT]),
    .m_wdata_data      (wr_data_data[WR_EVENT]),
    .m_wdata_valid     (wr_data_valid[WR_EVENT]),
    .m_wdata_ready     (wr_data_ready[WR_EVENT]),
    .s_wdone_en        (wr_done_en[WR_EVENT]),
    .s_wdone_error     (wr_done_error),
    .m_axis_irq_tdata  (eq_irq_data),
    .m_axis_irq_tvalid (eq_irq_valid),
    .m_axis_irq_tready (eq_irq_ready),
    .overflow          (eq_overflow),
    .ev_eqe_en         (ev_eqe),
    .ev_irq_en         (ev_irq)
  );

  stream_arbiter #(
    .N      (2),
    .DATA_W (8)
  ) u_irq (
    .clk,
    .rst      (core_rst),
    .s_data   ({eq_irq_data, admin_irq_data}),
    .s_last   (2'b11),
    .s_valid  ({eq_irq_valid, admin_irq_valid}),
    .s_ready  ({eq_irq_ready, admin_irq_ready}),
    .m_data   (vector_data),
    .m_last   (),
    .m_source (),
    .m_valid  (vector_valid),
    .m_ready  (vector_ready)
  );

  // ------------------------------------------------------------------ admin

  logic ev_command;

  rnic_admin #(
    .QP_COUNT  (QP_COUNT),
    .CQ_COUNT  (CQ_COUNT),
    .EQ_COUNT  (EQ_COUNT),
    .SRQ_COUNT (SRQ_COUNT),
    .KEY_COUNT (KEY_COUNT),
    .MAX_READS (READ_DEPTH),
    .INITS     (INITS),
    .DRAINS    (DRAINS)
  ) u_admin (
    .clk,
    .rst            (core_rst),
    .ready          (admin_ready),
    .admin_config,
    .sq_base        (admin_sq_base),
    .cq_base        (admin_cq_base),
    .doorbell_en    (admin_doorbell_en),
    .doorbell_index (admin_doorbell_index),
    .cq_index_en    (admin_cq_index_en),
    .cq_index       (admin_cq_index),
    .admin_status,
    .port_mtu       (port.mtu),
    .m_dma_data     (rd_req_data[RD_ADMIN]),
    .m_dma_valid    (rd_req_valid[RD_ADMIN]),
    .m_dma_ready    (rd_req_ready[RD_ADMIN]),
    .s_dma_data     (rd_data),
    .s_dma_en       (rd_en[RD_ADMIN]),
    .m_wreq_data    (wr_req_data[WR_ADMIN]),
    .m_wreq_valid   (wr_req_valid[WR_ADMIN]),
    .m_wreq_ready   (wr_req_ready[WR_ADMIN]),
    .m_wdata_data   (wr_data_data[WR_ADMIN]),
    .m_wdata_valid  (wr_data_valid[WR_ADMIN]),
    .m_wdata_ready  (wr_data_ready[WR_ADMIN]),
    .s_wdone_en     (wr_done_en[WR_ADMIN]),
    .m_irq_data     (admin_irq_data),
    .m_irq_valid    (admin_irq_valid),
    .m_irq_ready    (admin_irq_ready),
    .qp_rd_qpn      (qp_rd_qpn[QP_ADMIN]),
    .qp_rd_cfg      (qp_rd_cfg[QP_ADMIN]),
    .qp_rd_drained  (qp_drained),
    .m_qp_data      (qp_write_data),
    .m_qp_valid     (qp_write_valid),
    .m_qp_ready     (qp_write_ready),
    .m_rq_data      (rq_write_data),
    .m_rq_valid     (rq_write_valid),
    .m_rq_ready     (rq_write_ready),
    .m_error_data   (error_data[ERR_ADMIN]),
    .m_error_valid  (error_valid[ERR_ADMIN]),
    .m_error_ready  (error_ready[ERR_ADMIN]),
    .m_kick_data    (admin_kick_data),
    .m_kick_valid   (admin_kick_valid),
    .m_kick_ready   (admin_kick_ready),
    .m_watch_data   (watch_data),
    .m_watch_valid  (watch_valid),
    .m_watch_ready  (watch_ready),
    .init_data,
    .init_valid,
    .init_ready,
    .drain_req_en,
    .drain_done_en,
    .lookup_en      (lookup_en[KEY_ADMIN]),
    .lookup_index   (lookup_index[KEY_ADMIN]),
    .lookup_entry   (lookup_entry[KEY_ADMIN]),
    .m_key_data     (key_write_data),
    .m_key_valid    (key_write_valid),
    .m_key_ready    (key_write_ready),
    .m_cq_data      (cq_cfg_data),
    .m_cq_valid     (cq_cfg_valid),
    .m_cq_ready     (cq_cfg_ready),
    .cq_answer,
    .m_eq_data      (eq_cfg_data),
    .m_eq_valid     (eq_cfg_valid),
    .m_eq_ready     (eq_cfg_ready),
    .m_srq_data     (srq_cfg_data),
    .m_srq_valid    (srq_cfg_valid),
    .m_srq_ready    (srq_cfg_ready),
    .srq_answer,
    .ev_command_en  (ev_command)
  );

  // ------------------------------------------------------------------ statistics

  logic rx_ack;
  logic rx_nak;
  logic rx_rnr;
  rx_done_t   rsp_done;
  rx_retire_t rsp_retire;
  logic [7:0] rsp_syndrome;
  logic       rsp_acknowledge;
  assign rsp_done        = rsp_done_data;
  assign rsp_retire      = rsp_done.retire;
  assign rsp_syndrome    = rsp_retire.syndrome;
  assign rsp_acknowledge = rsp_done_valid && rsp_done_ready && rsp_retire.kind == RETIRE_KIND_RESP_ACK;
  assign rx_ack          = rsp_acknowledge && rsp_syndrome[6:5] == AETH_TYPE_ACK;
  assign rx_nak          = rsp_acknowledge && rsp_syndrome[6:5] == AETH_TYPE_NAK;
  assign rx_rnr          = rsp_acknowledge && rsp_syndrome[6:5] == AETH_TYPE_RNR;

  always_comb begin
    stat_events = '0;
    stat_events[0][STAT_TX_PACKETS]       = ev_tx_packet;
    stat_events[0][STAT_TX_RDMA_PACKETS]  = ev_tx_packet;
    stat_events[0][STAT_RX_PACKETS]       = ev_rx;
    stat_events[0][STAT_RX_RDMA_PACKETS]  = ev_rdma;
    stat_events[0][STAT_ECN_MARKED]       = ev_ce;
    stat_events[0][STAT_TX_CNPS]          = ev_tx_cnp;
    stat_events[0][STAT_RX_CNPS]          = cnp_en;
    stat_events[0][STAT_TX_ACKS]          = ev_tx_ack;
    stat_events[0][STAT_TX_NAKS]          = ev_tx_nak;
    stat_events[0][STAT_TX_RNR_NAKS]      = ev_tx_rnr_nak;
    stat_events[0][STAT_RX_ACKS]          = rx_ack;
    stat_events[0][STAT_RX_NAKS]          = rx_nak;
    stat_events[0][STAT_RX_RNR_NAKS]      = rx_rnr;
    stat_events[0][STAT_RETRANSMISSIONS]  = sent_en && sent_again;
    stat_events[0][STAT_TIMEOUTS]         = ev_timeout;
    stat_events[0][STAT_RETRIES_EXHAUSTED] = ev_exhausted;
    stat_events[0][STAT_DOORBELLS]        = ev_doorbell;
    stat_events[0][STAT_PUSHED_WQES]      = ev_push;
    stat_events[0][STAT_WQES]             = ev_wqe;
    stat_events[0][STAT_CQES]             = ev_cqe;
    stat_events[0][STAT_EQES]             = ev_eqe;
    stat_events[0][STAT_INTERRUPTS]       = ev_irq;
    stat_events[1][STAT_INTERRUPTS]       = admin_irq_valid && admin_irq_ready;
    stat_events[0][STAT_DMA_READ_ERRORS]  = m_axi_rvalid && m_axi_rready && m_axi_rresp[1];
    stat_events[0][STAT_DMA_WRITE_ERRORS] = m_axi_bvalid && m_axi_bready && m_axi_bresp[1];
    stat_events[0][STAT_TX_ABORTED]       = ev_tx_aborted;
    stat_events[0][STAT_TX_STALE]         = ev_tx_stale[0];
    stat_events[1][STAT_TX_STALE]         = ev_tx_stale[1];
    stat_events[0][STAT_BAD_DOORBELLS]    = ev_refused;
    stat_events[1][STAT_BAD_DOORBELLS]    = ev_range;
    stat_events[2][STAT_BAD_DOORBELLS]    = ev_bad;
    stat_events[3][STAT_BAD_DOORBELLS]    = ev_cq_doorbell_bad;
    stat_events[0][STAT_ADMIN_COMMANDS]   = ev_command;
    stat_events[0][STAT_QP_ERRORS]        = ev_qp_error;
    if (drop_frame_en) stat_events[0][STAT_DROP + {1'b0, drop_frame_reason}] = 1'b1;
    if (drop_qp_en)    stat_events[1][STAT_DROP + {1'b0, drop_qp_reason}]    = 1'b1;
    stat_events[2][STAT_DROP + {1'b0, DROP_REASON_DUPLICATE}]         = ev_duplicate;
    stat_events[2][STAT_DROP + {1'b0, DROP_REASON_OUT_OF_SEQUENCE}]   = ev_sequence;
    stat_events[2][STAT_DROP + {1'b0, DROP_REASON_NO_RECEIVE_WQE}]    = ev_no_wqe;
    stat_events[2][STAT_DROP + {1'b0, DROP_REASON_RESOURCE}]          = ev_resource;
    stat_events[2][STAT_DROP + {1'b0, DROP_REASON_GHOST_RESPONSE}]    = ev_ghost;
    stat_events[2][STAT_DROP + {1'b0, DROP_REASON_RESPONSE_SEQUENCE}] = ev_rsp_sequence;
    stat_events[2][STAT_DROP + {1'b0, DROP_REASON_BAD_SYNDROME}]      = ev_syndrome;
  end

  assign stat_tx_bytes   = ev_tx_bytes_en ? {6'd0, ev_tx_bytes} : '0;
  assign stat_rx_bytes   = ev_rx ? ev_rx_bytes : '0;
  assign stat_rdma_bytes = ev_rdma ? ev_rdma_bytes : '0;

  // Settings for what is not built yet, and AXI fields that change nothing here.
  logic unused;
  assign unused = &{1'b0, port, s_axil_awprot, s_axil_arprot, s_axi_db_araddr, s_axi_db_arsize,
                    s_axi_db_arburst, ev_tx_dma_error};

endmodule
