// rnic_csr: everything that software reaches through the AXI4-Lite port.
//
//   s_axil ─► rnic_csr_axil ─┬─► rnic_csr_regs   plain registers
//                            ├─► rnic_csr_gids   GID table
//                            └─► rnic_stats      counters
//
// Addresses that nobody claims answer SLVERR. MAC and GIDs have the first byte of the wire lowest.
`include "codes.svh"
`include "layouts.svh"
`include "registers.svh"

module rnic_csr #(
  parameter int          QP_COUNT      = 256,
  parameter int          SRQ_COUNT     = 0,
  parameter int          CQ_COUNT      = 256,
  parameter int          EQ_COUNT      = 8,
  parameter int          KEY_COUNT     = 1024,
  parameter int          MAX_READS     = 16,
  parameter logic [31:0] FEATURES      = 32'd0,
  parameter int          EVENT_SOURCES = 1
) (
  input  logic                 clk,
  input  logic                 rst,

  // AXI4-Lite
  input  logic [15:0]          s_axil_awaddr,
  input  logic                 s_axil_awvalid,
  output logic                 s_axil_awready,
  input  logic [31:0]          s_axil_wdata,
  input  logic [3:0]           s_axil_wstrb,
  input  logic                 s_axil_wvalid,
  output logic                 s_axil_wready,
  output logic [1:0]           s_axil_bresp,
  output logic                 s_axil_bvalid,
  input  logic                 s_axil_bready,
  input  logic [15:0]          s_axil_araddr,
  input  logic                 s_axil_arvalid,
  output logic                 s_axil_arready,
  output logic [31:0]          s_axil_rdata,
  output logic [1:0]           s_axil_rresp,
  output logic                 s_axil_rvalid,
  input  logic                 s_axil_rready,

  // Own GID by index, one cycle later
  input  logic [3:0]           gid_rd_index,
  output logic [127:0]         gid_rd_gid,
  output logic                 gid_rd_v4,
  output logic                 gid_rd_valid,

  // Is this address ours, two cycles later
  input  logic [127:0]         gid_match_addr,
  output logic                 gid_match_hit,
  output logic [3:0]           gid_match_index,

  // Settings
  output control_reg_t         control,
  output port_reg_t            port,
  output options_reg_t         options,
  output timebase_reg_t        timebase,
  output logic [47:0]          mac,
  output congestion_reg_t      congestion,
  output cnp_reg_t             cnp,
  output dcqcn_line_reg_t      dcqcn_line,
  output dcqcn_cut_reg_t       dcqcn_cut,
  output dcqcn_monitor_reg_t   dcqcn_monitor,
  output dcqcn_alpha_reg_t     dcqcn_alpha,
  output dcqcn_timer_reg_t     dcqcn_timer,
  output dcqcn_bytes_reg_t     dcqcn_bytes,
  output dcqcn_increase_reg_t  dcqcn_increase,
  output logic                 soft_reset_en,

  // Admin queue
  output admin_config_reg_t    admin_config,
  output logic [63:0]          admin_sq_base,
  output logic [63:0]          admin_cq_base,
  output logic                 admin_doorbell_en,
  output logic [15:0]          admin_doorbell_index,
  output logic                 admin_cq_index_en,
  output logic [15:0]          admin_cq_index,
  input  admin_status_reg_t    admin_status,

  // Health
  input  status_reg_t          status,

  // Counters: pulses by Stat index from each source, and bytes to add now
  input  logic [EVENT_SOURCES-1:0][STAT_COUNT-1:0] stat_events,
  input  logic [12:0]          stat_tx_bytes,
  input  logic [12:0]          stat_rx_bytes,
  input  logic [12:0]          stat_tx_rdma_bytes,
  input  logic [12:0]          stat_rx_rdma_bytes
);

  logic        wr_en;
  logic [15:0] wr_addr;
  logic [31:0] wr_data;
  logic [3:0]  wr_strb;
  logic        wr_hit;
  logic        rd_en;
  logic [15:0] rd_addr;
  logic        rd_done;
  logic [31:0] rd_data;
  logic        rd_hit;

  rnic_csr_axil u_axil (.*);

  // The tables are 512 bytes each, aligned to their size.
  logic        wr_gid;
  logic        rd_gid;
  logic        rd_stat;
  assign wr_gid  = wr_addr[15:9] == 7'(GID_BASE >> 9);
  assign rd_gid  = rd_addr[15:9] == 7'(GID_BASE >> 9);
  assign rd_stat = rd_addr[15:9] == 7'(STAT_BASE >> 9);

  logic        reg_wr_hit;
  logic        reg_rd_hit;
  logic [31:0] reg_rd_data;
  logic [31:0] gid_rd_data;
  logic        stat_rd_done;
  logic [31:0] stat_rd_data;

  assign wr_hit = reg_wr_hit || wr_gid;

  always_comb begin
    rd_done = rd_en;
    rd_hit  = reg_rd_hit;
    rd_data = reg_rd_data;
    if (rd_gid) begin
      rd_hit  = 1'b1;
      rd_data = gid_rd_data;
    end
    if (rd_stat) begin
      rd_done = stat_rd_done;
      rd_hit  = 1'b1;
      rd_data = stat_rd_data;
    end
  end

  // What this adapter was built with.
  id_reg_t          id;
  version_reg_t     version;
  qp_limits_reg_t   qp_limits;
  cq_limits_reg_t   cq_limits;
  key_limits_reg_t  key_limits;
  wr_limits_reg_t   wr_limits;
  read_limits_reg_t read_limits;
  features_reg_t    features;

  assign id          = 32'(CSR_MAGIC);
  assign version     = {16'(INTERFACE_VERSION), 16'd0};
  assign qp_limits   = {8'(SRQ_COUNT), 24'(QP_COUNT)};
  assign cq_limits   = {8'(EQ_COUNT), 24'(CQ_COUNT)};
  assign key_limits  = {8'd0, 24'(KEY_COUNT)};
  assign wr_limits   = {16'(MAX_INLINE), 8'(MAX_RECV_SGE), 8'(MAX_SGE)};
  assign read_limits = {5'd0, MTU_BYTES_4096, 8'(MAX_READ_SGE), 8'(MAX_READS), 8'(MAX_READS)};
  assign features    = FEATURES;

  scratch_reg_t        unused_scratch;
  mac_lo_reg_t         mac_lo;
  mac_hi_reg_t         mac_hi;
  admin_sq_lo_reg_t    admin_sq_lo;
  admin_sq_hi_reg_t    admin_sq_hi;
  admin_cq_lo_reg_t    admin_cq_lo;
  admin_cq_hi_reg_t    admin_cq_hi;
  command_reg_t        command;
  logic                command_en;
  admin_doorbell_reg_t admin_doorbell;
  admin_cq_index_reg_t admin_cq_index_reg;

  assign mac                  = {mac_hi.value, mac_lo.value};
  assign soft_reset_en        = command_en && command.soft_reset;
  assign admin_sq_base        = {admin_sq_hi.base, admin_sq_lo.base};
  assign admin_cq_base        = {admin_cq_hi.base, admin_cq_lo.base};
  assign admin_doorbell_index = admin_doorbell.index;
  assign admin_cq_index       = admin_cq_index_reg.index;

  rnic_csr_regs u_regs (
    .scratch       (unused_scratch),
    .admin_cq_index(admin_cq_index_reg),
    .rd_data       (reg_rd_data),
    .rd_hit        (reg_rd_hit),
    .wr_hit        (reg_wr_hit),
    .*
  );

  rnic_csr_gids u_gids (
    .clk, .rst,
    .wr_en       (wr_en && wr_gid),
    .wr_addr     (wr_addr[8:0]),
    .wr_data, .wr_strb,
    .rd_addr     (rd_addr[8:0]),
    .rd_data     (gid_rd_data),
    .lookup_index(gid_rd_index),
    .lookup_gid  (gid_rd_gid),
    .lookup_v4   (gid_rd_v4),
    .lookup_valid(gid_rd_valid),
    .match_addr  (gid_match_addr),
    .match_hit   (gid_match_hit),
    .match_index (gid_match_index)
  );

  rnic_stats #(.SOURCES(EVENT_SOURCES)) u_stats (
    .clk, .rst,
    .events       (stat_events),
    .tx_bytes     (stat_tx_bytes),
    .rx_bytes     (stat_rx_bytes),
    .tx_rdma_bytes(stat_tx_rdma_bytes),
    .rx_rdma_bytes(stat_rx_rdma_bytes),
    .rd_en        (rd_en && rd_stat),
    .rd_index     (rd_addr[8:3]),
    .rd_high      (rd_addr[2]),
    .rd_done      (stat_rd_done),
    .rd_data      (stat_rd_data)
  );

endmodule
