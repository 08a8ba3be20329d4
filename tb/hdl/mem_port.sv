// mem_port: key table and the two checks of a device, their page lists read through one AXI4 port.
`include "layouts.svh"
`include "streams.svh"

module mem_port #(
  parameter int KEY_COUNT = 64,
  parameter int USER_W    = 24,
  parameter int LINES     = 256
) (
  input  logic                     clk,
  input  logic                     rst,

  // Check 0
  input  logic [MEM_REQ_W-1:0]     s0_data,
  input  logic [USER_W-1:0]        s0_user,
  input  logic [63:0]              s0_reg_pages,
  input  logic [63:0]              s0_reg_length,
  input  logic [4:0]               s0_reg_shift,
  input  logic                     s0_reg_direct,
  input  logic                     s0_valid,
  output logic                     s0_ready,
  output logic [MEM_RSP_W-1:0]     m0_data,
  output logic [USER_W-1:0]        m0_user,
  output logic                     m0_valid,
  input  logic                     m0_ready,

  // Check 1
  input  logic [MEM_REQ_W-1:0]     s1_data,
  input  logic [USER_W-1:0]        s1_user,
  input  logic [63:0]              s1_reg_pages,
  input  logic [63:0]              s1_reg_length,
  input  logic [4:0]               s1_reg_shift,
  input  logic                     s1_reg_direct,
  input  logic                     s1_valid,
  output logic                     s1_ready,
  output logic [MEM_RSP_W-1:0]     m1_data,
  output logic [USER_W-1:0]        m1_user,
  output logic                     m1_valid,
  input  logic                     m1_ready,

  // Key table
  input  logic [KEY_WRITE_W-1:0]   s_write_data,
  input  logic                     s_write_valid,
  output logic                     s_write_ready,
  input  logic                     look_en,
  input  logic [23:0]              look_index,
  output logic [KEY_ENTRY_W-1:0]   look_entry,
  output logic [1:0]               mod_taken,
  output logic [1:0]               fetch_taken,
  output logic                     ready,

  // AXI; nothing is written
  output logic [3:0]               m_axi_awid,
  output logic [63:0]              m_axi_awaddr,
  output logic [7:0]               m_axi_awlen,
  output logic [2:0]               m_axi_awsize,
  output logic [1:0]               m_axi_awburst,
  output logic                     m_axi_awvalid,
  input  logic                     m_axi_awready,
  output logic [511:0]             m_axi_wdata,
  output logic [63:0]              m_axi_wstrb,
  output logic                     m_axi_wlast,
  output logic                     m_axi_wvalid,
  input  logic                     m_axi_wready,
  input  logic [3:0]               m_axi_bid,
  input  logic [1:0]               m_axi_bresp,
  input  logic                     m_axi_bvalid,
  output logic                     m_axi_bready,
  output logic [3:0]               m_axi_arid,
  output logic [63:0]              m_axi_araddr,
  output logic [7:0]               m_axi_arlen,
  output logic [2:0]               m_axi_arsize,
  output logic [1:0]               m_axi_arburst,
  output logic                     m_axi_arvalid,
  input  logic                     m_axi_arready,
  input  logic [3:0]               m_axi_rid,
  input  logic [511:0]             m_axi_rdata,
  input  logic [1:0]               m_axi_rresp,
  input  logic                     m_axi_rlast,
  input  logic                     m_axi_rvalid,
  output logic                     m_axi_rready
);

  logic [1:0][KEY_WRITE_W-1:0]    mod_data;
  logic [1:0]                     mod_valid, mod_ready;
  logic [2:0]                     lookup_en;
  logic [2:0][23:0]               lookup_index;
  logic [2:0][KEY_ENTRY_W-1:0]    lookup_entry;
  logic [1:0][DMA_READ_REQ_W-1:0] dma_data;
  logic [1:0]                     dma_valid, dma_ready;
  dma_read_data_t                 rsp_data;
  logic [1:0]                     rsp_en;
  logic                           changed_en;
  logic                           grant_en;

  assign lookup_en[2]    = look_en;
  assign lookup_index[2] = look_index;
  assign look_entry      = lookup_entry[2];
  assign mod_taken       = mod_valid & mod_ready;
  assign fetch_taken     = dma_valid & dma_ready;

  rnic_mem_keys #(
    .KEY_COUNT (KEY_COUNT)
  ) u_keys (
    .clk,
    .rst,
    .s_write_data,
    .s_write_valid,
    .s_write_ready,
    .s_mod_data  (mod_data),
    .s_mod_valid (mod_valid),
    .s_mod_ready (mod_ready),
    .lookup_en,
    .lookup_index,
    .lookup_entry,
    .changed_en,
    .grant_en,
    .ready
  );

  rnic_mem_check #(
    .USER_W (USER_W),
    .LINES  (LINES)
  ) u_check0 (
    .clk,
    .rst,
    .s_req_data       (s0_data),
    .s_req_user       (s0_user),
    .s_req_reg_pages  (s0_reg_pages),
    .s_req_reg_length (s0_reg_length),
    .s_req_reg_shift  (s0_reg_shift),
    .s_req_reg_direct (s0_reg_direct),
    .s_req_valid      (s0_valid),
    .s_req_ready      (s0_ready),
    .lookup_en        (lookup_en[0]),
    .lookup_index     (lookup_index[0]),
    .lookup_entry     (lookup_entry[0]),
    .m_mod_data       (mod_data[0]),
    .m_mod_valid      (mod_valid[0]),
    .m_mod_ready      (mod_ready[0]),
    .changed_en,
    .grant_en,
    .m_dma_data       (dma_data[0]),
    .m_dma_valid      (dma_valid[0]),
    .m_dma_ready      (dma_ready[0]),
    .s_dma_data       (rsp_data),
    .s_dma_en         (rsp_en[0]),
    .m_rsp_data       (m0_data),
    .m_rsp_user       (m0_user),
    .m_rsp_valid      (m0_valid),
    .m_rsp_ready      (m0_ready)
  );

  rnic_mem_check #(
    .USER_W (USER_W),
    .LINES  (LINES)
  ) u_check1 (
    .clk,
    .rst,
    .s_req_data       (s1_data),
    .s_req_user       (s1_user),
    .s_req_reg_pages  (s1_reg_pages),
    .s_req_reg_length (s1_reg_length),
    .s_req_reg_shift  (s1_reg_shift),
    .s_req_reg_direct (s1_reg_direct),
    .s_req_valid      (s1_valid),
    .s_req_ready      (s1_ready),
    .lookup_en        (lookup_en[1]),
    .lookup_index     (lookup_index[1]),
    .lookup_entry     (lookup_entry[1]),
    .m_mod_data       (mod_data[1]),
    .m_mod_valid      (mod_valid[1]),
    .m_mod_ready      (mod_ready[1]),
    .changed_en,
    .grant_en,
    .m_dma_data       (dma_data[1]),
    .m_dma_valid      (dma_valid[1]),
    .m_dma_ready      (dma_ready[1]),
    .s_dma_data       (rsp_data),
    .s_dma_en         (rsp_en[1]),
    .m_rsp_data       (m1_data),
    .m_rsp_user       (m1_user),
    .m_rsp_valid      (m1_valid),
    .m_rsp_ready      (m1_ready)
  );

  rnic_host_read #(
    .CLIENTS (2)
  ) u_read (
    .clk,
    .rst,
    .s_req_data  (dma_data),
    .s_req_valid (dma_valid),
    .s_req_ready (dma_ready),
    .m_rsp_data  (rsp_data),
    .m_rsp_en    (rsp_en),
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
    .m_axi_rvalid,
    .m_axi_rready
  );

  assign m_axi_awid    = '0;
  assign m_axi_awaddr  = '0;
  assign m_axi_awlen   = '0;
  assign m_axi_awsize  = '0;
  assign m_axi_awburst = '0;
  assign m_axi_awvalid = 1'b0;
  assign m_axi_wdata   = '0;
  assign m_axi_wstrb   = '0;
  assign m_axi_wlast   = 1'b0;
  assign m_axi_wvalid  = 1'b0;
  assign m_axi_bready  = 1'b1;

endmodule
