// rnic_host_write: the adapter's writes to host memory, many clients on one AXI4 write port.
//
// Clients take turns by whole bursts. All share one AXI ID, so the host sees bursts in the order in
// which they were granted: that is how a completion stays behind the data it tells of.
//
//   s_req ─► arbiter ─┬─► AW
//                     ├─► turn: whose data comes next ──► s_data of that client ─► W
//                     └─► wait: whose answer comes next ◄── B ─► m_done
//
// Addresses run up to 16 bursts ahead of the data and 256 bursts ahead of the answers. With data at
// hand W has no gap, neither in a burst nor between bursts. A client offers the data of a burst
// without waiting for anything of another client: W waits for it, and all others behind it do.
// `m_done_en` comes once per burst, in the client's order, with `m_done_error` for SLVERR or DECERR.
// Reset expects the host side to be reset as well.
`include "assert.svh"
`include "streams.svh"

module rnic_host_write #(
  parameter int CLIENTS = 4
) (
  input  logic                                     clk,
  input  logic                                     rst,

  // Bursts (DmaWriteReq) and their lines (DmaWriteData), one lane per client
  input  logic [CLIENTS-1:0][DMA_WRITE_REQ_W-1:0]  s_req_data,
  input  logic [CLIENTS-1:0]                       s_req_valid,
  output logic [CLIENTS-1:0]                       s_req_ready,
  input  logic [CLIENTS-1:0][DMA_WRITE_DATA_W-1:0] s_data_data,
  input  logic [CLIENTS-1:0]                       s_data_valid,
  output logic [CLIENTS-1:0]                       s_data_ready,

  // Answers
  output logic [CLIENTS-1:0]                       m_done_en,
  output logic                                     m_done_error,

  // AXI4 write channels
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
  output logic                                     m_axi_bready
);

  localparam int CLIENT_W   = CLIENTS > 1 ? $clog2(CLIENTS) : 1;
  localparam int AHEAD      = 16;
  localparam int UNANSWERED = 256;

  // Grant: the address register, the turn and the wait take it together or not at all.

  logic [DMA_WRITE_REQ_W-1:0] pick_data;
  logic [CLIENT_W-1:0]        pick_client;
  logic                       pick_valid;
  logic                       unused_last;
  dma_write_req_t             pick;
  logic [6:0]                 pick_len;
  logic                       address_ready, turn_room, wait_room;
  logic                       grant;

  stream_arbiter #(
    .N      (CLIENTS),
    .DATA_W (DMA_WRITE_REQ_W)
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
    .m_ready  (address_ready && turn_room && wait_room)
  );

  assign pick     = pick_data;
  assign pick_len = pick.beats - 7'd1;
  assign grant    = pick_valid && address_ready && turn_room && wait_room;

  stream_register #(
    .DATA_W (64 + 8)
  ) u_address (
    .clk,
    .rst,
    .s_data  ({pick.addr[63:6], 6'b0, 1'b0, pick_len}),
    .s_valid (grant),
    .s_ready (address_ready),
    .m_data  ({m_axi_awaddr, m_axi_awlen}),
    .m_valid (m_axi_awvalid),
    .m_ready (m_axi_awready)
  );

  assign m_axi_awid    = 4'd0;
  assign m_axi_awsize  = 3'd6;
  assign m_axi_awburst = 2'b01;

  // Data of the client whose turn it is

  logic [CLIENT_W-1:0] turn_client;
  logic [6:0]          turn_len;
  logic                turn_valid;
  logic                turn_over;
  logic [6:0]          beat_q;
  dma_write_data_t     line;
  logic                line_valid, line_ready, line_taken;

  stream_fifo #(
    .DATA_W (CLIENT_W + 7),
    .DEPTH  (AHEAD)
  ) u_turn (
    .clk,
    .rst,
    .s_data  ({pick_client, pick_len}),
    .s_valid (grant),
    .s_ready (turn_room),
    .m_data  ({turn_client, turn_len}),
    .m_valid (turn_valid),
    .m_ready (turn_over),
    .count   ()
  );

  assign line       = s_data_data[turn_client];
  assign line_valid = turn_valid && s_data_valid[turn_client];
  assign line_taken = line_valid && line_ready;
  assign turn_over  = line_taken && line.last;

  for (genvar i = 0; i < CLIENTS; i++) begin : g_ready
    assign s_data_ready[i] = turn_valid && line_ready && turn_client == CLIENT_W'(i);
  end

  stream_register #(
    .DATA_W (DMA_WRITE_DATA_W)
  ) u_data (
    .clk,
    .rst,
    .s_data  (line),
    .s_valid (line_valid),
    .s_ready (line_ready),
    .m_data  ({m_axi_wlast, m_axi_wstrb, m_axi_wdata}),
    .m_valid (m_axi_wvalid),
    .m_ready (m_axi_wready)
  );

  always_ff @(posedge clk) begin
    if (line_taken) beat_q <= line.last ? 7'd0 : beat_q + 7'd1;
    if (rst) beat_q <= '0;
  end

  // Answers, in the order of the grants

  logic [CLIENT_W-1:0] wait_client;
  logic                wait_valid;

  stream_fifo #(
    .DATA_W (CLIENT_W),
    .DEPTH  (UNANSWERED)
  ) u_wait (
    .clk,
    .rst,
    .s_data  (pick_client),
    .s_valid (grant),
    .s_ready (wait_room),
    .m_data  (wait_client),
    .m_valid (wait_valid),
    .m_ready (m_axi_bvalid),
    .count   ()
  );

  assign m_axi_bready = 1'b1;

  always_ff @(posedge clk) begin
    m_done_error <= m_axi_bresp[1];
    for (int i = 0; i < CLIENTS; i++)
      m_done_en[i] <= m_axi_bvalid && wait_valid && wait_client == CLIENT_W'(i);
    if (rst) m_done_en <= '0;
  end

  `RNIC_ASSERT(a_burst_has_1_to_64_lines, !grant || (pick.beats != 7'd0 && pick.beats <= 7'd64))
  `RNIC_ASSERT(a_burst_stays_inside_4_kib, !grant || 7'(pick.addr[11:6]) + pick.beats <= 7'd64)
  `RNIC_ASSERT(last_closes_its_burst, !line_taken || line.last == (beat_q == turn_len))
  `RNIC_ASSERT(every_answer_is_awaited, !m_axi_bvalid || (wait_valid && m_axi_bid == 4'd0))

endmodule
