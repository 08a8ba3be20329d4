// link_wires: the Ethernet streams of two devices that a test plays itself.
module link_wires #(
  parameter int DATA_W = 512
) (
  input  logic                        clk,
  input  logic                        rst,

  // Device a: what the test sends as the device, and what the device would see
  input  logic [DATA_W-1:0]           a_in_tdata,
  input  logic [DATA_W/8-1:0]         a_in_tkeep,
  input  logic                        a_in_tlast,
  input  logic                        a_in_tvalid,
  output logic                        a_in_tready,
  output logic [DATA_W-1:0]           a_m_axis_tx_tdata,
  output logic [DATA_W/8-1:0]         a_m_axis_tx_tkeep,
  output logic                        a_m_axis_tx_tlast,
  output logic                        a_m_axis_tx_tvalid,
  input  logic                        a_m_axis_tx_tready,
  input  logic [DATA_W-1:0]           a_s_axis_rx_tdata,
  input  logic [DATA_W/8-1:0]         a_s_axis_rx_tkeep,
  input  logic                        a_s_axis_rx_tlast,
  input  logic                        a_s_axis_rx_tvalid,
  input  logic                        a_s_axis_rx_tuser,
  output logic [DATA_W-1:0]           a_out_tdata,
  output logic [DATA_W/8-1:0]         a_out_tkeep,
  output logic                        a_out_tlast,
  output logic                        a_out_tvalid,
  output logic                        a_out_tuser,
  input  logic                        a_out_tready,
  output logic                        a_s_axis_rx_tready,
  // Device b: what the test sends as the device, and what the device would see
  input  logic [DATA_W-1:0]           b_in_tdata,
  input  logic [DATA_W/8-1:0]         b_in_tkeep,
  input  logic                        b_in_tlast,
  input  logic                        b_in_tvalid,
  output logic                        b_in_tready,
  output logic [DATA_W-1:0]           b_m_axis_tx_tdata,
  output logic [DATA_W/8-1:0]         b_m_axis_tx_tkeep,
  output logic                        b_m_axis_tx_tlast,
  output logic                        b_m_axis_tx_tvalid,
  input  logic                        b_m_axis_tx_tready,
  input  logic [DATA_W-1:0]           b_s_axis_rx_tdata,
  input  logic [DATA_W/8-1:0]         b_s_axis_rx_tkeep,
  input  logic                        b_s_axis_rx_tlast,
  input  logic                        b_s_axis_rx_tvalid,
  input  logic                        b_s_axis_rx_tuser,
  output logic [DATA_W-1:0]           b_out_tdata,
  output logic [DATA_W/8-1:0]         b_out_tkeep,
  output logic                        b_out_tlast,
  output logic                        b_out_tvalid,
  output logic                        b_out_tuser,
  input  logic                        b_out_tready,
  output logic                        b_s_axis_rx_tready
);

  assign a_m_axis_tx_tdata = a_in_tdata;
  assign a_m_axis_tx_tkeep = a_in_tkeep;
  assign a_m_axis_tx_tlast = a_in_tlast;
  assign a_m_axis_tx_tvalid = a_in_tvalid;
  assign a_in_tready = a_m_axis_tx_tready;
  assign a_out_tdata = a_s_axis_rx_tdata;
  assign a_out_tkeep = a_s_axis_rx_tkeep;
  assign a_out_tlast = a_s_axis_rx_tlast;
  assign a_out_tvalid = a_s_axis_rx_tvalid;
  assign a_out_tuser = a_s_axis_rx_tuser;
  assign a_s_axis_rx_tready = a_out_tready;
  assign b_m_axis_tx_tdata = b_in_tdata;
  assign b_m_axis_tx_tkeep = b_in_tkeep;
  assign b_m_axis_tx_tlast = b_in_tlast;
  assign b_m_axis_tx_tvalid = b_in_tvalid;
  assign b_in_tready = b_m_axis_tx_tready;
  assign b_out_tdata = b_s_axis_rx_tdata;
  assign b_out_tkeep = b_s_axis_rx_tkeep;
  assign b_out_tlast = b_s_axis_rx_tlast;
  assign b_out_tvalid = b_s_axis_rx_tvalid;
  assign b_out_tuser = b_s_axis_rx_tuser;
  assign b_s_axis_rx_tready = b_out_tready;

endmodule
