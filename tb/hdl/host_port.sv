// host_port: both host engines on one AXI4 port, as the memory model wants it.
`include "streams.svh"

module host_port #(
  parameter int CLIENTS = 4
) (
  input  logic                                     clk,
  input  logic                                     rst,

  // Reads
  input  logic [CLIENTS-1:0][DMA_READ_REQ_W-1:0]   rd_req_data,
  input  logic [CLIENTS-1:0]                       rd_req_valid,
  output logic [CLIENTS-1:0]                       rd_req_ready,
  output logic [DMA_READ_DATA_W-1:0]               rd_rsp_data,
  output logic [CLIENTS-1:0]                       rd_rsp_en,

  // Writes
  input  logic [CLIENTS-1:0][DMA_WRITE_REQ_W-1:0]  wr_req_data,
  input  logic [CLIENTS-1:0]                       wr_req_valid,
  output logic [CLIENTS-1:0]                       wr_req_ready,
  input  logic [CLIENTS-1:0][DMA_WRITE_DATA_W-1:0] wr_data_data,
  input  logic [CLIENTS-1:0]                       wr_data_valid,
  output logic [CLIENTS-1:0]                       wr_data_ready,
  output logic [CLIENTS-1:0]                       wr_done_en,
  output logic                                     wr_done_error,

  // AXI
  output logic [3:0]                               m_axi_awid,
  output logic [63:0]                              m_axi_awaddr,
  output logic [7:0]                               m_axi_awlen,
  output logic [2:0]                               m_axi_awsize,
  output logic [1:0]                               m_axi_awburst,
  output logic                                     m_axi_awvalid,
  input  logic                                     m_axi_awready,
  output logic [511:0]                             m_axi_wdata,
  output logic [63:0]                              m_axi_wstrb,
  output logic                                     m_axi_wlast,
  output logic                                     m_axi_wvalid,
  input  logic                                     m_axi_wready,
  input  logic [3:0]                               m_axi_bid,
  input  logic [1:0]                               m_axi_bresp,
  input  logic                                     m_axi_bvalid,
  output logic                                     m_axi_bready,
  output logic [3:0]                               m_axi_arid,
  output logic [63:0]                              m_axi_araddr,
  output logic [7:0]                               m_axi_arlen,
  output logic [2:0]                               m_axi_arsize,
  output logic [1:0]                               m_axi_arburst,
  output logic                                     m_axi_arvalid,
  input  logic                                     m_axi_arready,
  input  logic [3:0]                               m_axi_rid,
  input  logic [511:0]                             m_axi_rdata,
  input  logic [1:0]                               m_axi_rresp,
  input  logic                                     m_axi_rlast,
  input  logic                                     m_axi_rvalid,
  output logic                                     m_axi_rready
);

  rnic_host_read #(
    .CLIENTS (CLIENTS)
  ) u_read (
    .clk,
    .rst,
    .s_req_data  (rd_req_data),
    .s_req_valid (rd_req_valid),
    .s_req_ready (rd_req_ready),
    .m_rsp_data  (rd_rsp_data),
    .m_rsp_en    (rd_rsp_en),
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

  rnic_host_write #(
    .CLIENTS (CLIENTS)
  ) u_write (
    .clk,
    .rst,
    .s_req_data   (wr_req_data),
    .s_req_valid  (wr_req_valid),
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
    .m_axi_bvalid,
    .m_axi_bready
  );

endmodule
