// rnic_host_read: the adapter's reads of host memory, many clients on one AXI4 read port.
//
// A request becomes one burst of whole lines: the address is aligned down and every line that it
// touches is read, so lines reach the client as they lie in memory. Clients take turns, one address
// per cycle. The AXI ID is the client's number: a client's requests are answered in order, and those
// of different clients may overtake and interleave, for nothing but the ID tells lines apart.
// Clients have room for what they ask for, so the data channel never waits.
// A request must not cross 4 KiB and not be empty. Reset expects the host side to be reset as well.
`include "assert.svh"
`include "streams.svh"

module rnic_host_read #(
  parameter int CLIENTS = 4
) (
  input  logic                                    clk,
  input  logic                                    rst,

  // Requests (DmaReadReq), one lane per client
  input  logic [CLIENTS-1:0][DMA_READ_REQ_W-1:0]  s_req_data,
  input  logic [CLIENTS-1:0]                      s_req_valid,
  output logic [CLIENTS-1:0]                      s_req_ready,

  // Lines, for the client whose enable is up
  output dma_read_data_t                          m_rsp_data,
  output logic [CLIENTS-1:0]                      m_rsp_en,

  // AXI4 read channels
  output logic [3:0]                              m_axi_arid,
  output logic [63:0]                             m_axi_araddr,
  output logic [7:0]                              m_axi_arlen,
  output logic [2:0]                              m_axi_arsize,
  output logic [1:0]                              m_axi_arburst,
  output logic                                    m_axi_arvalid,
  input  logic                                    m_axi_arready,
  input  logic [3:0]                              m_axi_rid,
  input  logic [511:0]                            m_axi_rdata,
  input  logic [1:0]                              m_axi_rresp,
  input  logic                                    m_axi_rlast,
  input  logic                                    m_axi_rvalid,
  output logic                                    m_axi_rready
);

  localparam int CLIENT_W = CLIENTS > 1 ? $clog2(CLIENTS) : 1;

  if (CLIENTS > 16) begin : g_check
    CLIENTS_must_fit_four_bits_of_id u_stop ();
  end

  logic [DMA_READ_REQ_W-1:0] pick_data;
  logic [CLIENT_W-1:0]       pick_client;
  logic                      pick_valid;
  logic                      pick_ready;
  logic                      unused_last;
  dma_read_req_t             pick;
  logic [12:0]               last_byte;  // from the start of the first line

  stream_arbiter #(
    .N      (CLIENTS),
    .DATA_W (DMA_READ_REQ_W)
  ) u_arbiter (
    .clk,
    .rst,
    .s_data   (s_req_data),
    .s_last   ({CLIENTS{1'b1}}),
    .s_valid  (s_req_valid),
    .s_ready  (s_req_ready),
    .m_data   (pick_data),
    .m_last   (unused_last),
    .m_source (pick_client),
    .m_valid  (pick_valid),
    .m_ready  (pick_ready)
  );

  assign pick      = pick_data;
  assign last_byte = 13'(pick.addr[5:0]) + pick.length - 13'd1;

  stream_register #(
    .DATA_W (4 + 64 + 8)
  ) u_address (
    .clk,
    .rst,
    .s_data  ({4'(pick_client), pick.addr[63:6], 6'b0, 1'b0, last_byte[12:6]}),
    .s_valid (pick_valid),
    .s_ready (pick_ready),
    .m_data  ({m_axi_arid, m_axi_araddr, m_axi_arlen}),
    .m_valid (m_axi_arvalid),
    .m_ready (m_axi_arready)
  );

  assign m_axi_arsize  = 3'd6;
  assign m_axi_arburst = 2'b01;
  assign m_axi_rready  = 1'b1;

  always_ff @(posedge clk) begin
    m_rsp_data.data  <= m_axi_rdata;
    m_rsp_data.last  <= m_axi_rlast;
    m_rsp_data.error <= m_axi_rresp[1];
    for (int i = 0; i < CLIENTS; i++) m_rsp_en[i] <= m_axi_rvalid && m_axi_rid == 4'(i);
    if (rst) m_rsp_en <= '0;
  end

  `RNIC_ASSERT(a_read_is_not_empty, !pick_valid || pick.length != 13'd0)
  `RNIC_ASSERT(a_read_stays_inside_4_kib,
               !pick_valid || 14'(pick.addr[11:0]) + 14'(pick.length) <= 14'd4096)

endmodule
