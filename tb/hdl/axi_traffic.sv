// axi_traffic: an AXI master that streams bursts of BEATS beats, to measure and exercise a memory model.
//
// Writes and reads run side by side, each one beat per cycle when the memory allows, over a window of
// 2^WINDOW_W bytes. The read side checks nothing: the test looks at the counters and at the memory.
module axi_traffic #(
  parameter int DATA_W   = 512,
  parameter int ADDR_W   = 64,
  parameter int BEATS    = 16,
  parameter int WINDOW_W = 16,
  parameter int OUTSTANDING = 64
) (
  input  logic                clk,
  input  logic                rst,

  // What to do
  input  logic                do_write,
  input  logic                do_read,
  input  logic [ADDR_W-1:0]   base,

  // AXI
  output logic [3:0]          m_axi_awid,
  output logic [ADDR_W-1:0]   m_axi_awaddr,
  output logic [7:0]          m_axi_awlen,
  output logic [2:0]          m_axi_awsize,
  output logic [1:0]          m_axi_awburst,
  output logic                m_axi_awvalid,
  input  logic                m_axi_awready,
  output logic [DATA_W-1:0]   m_axi_wdata,
  output logic [DATA_W/8-1:0] m_axi_wstrb,
  output logic                m_axi_wlast,
  output logic                m_axi_wvalid,
  input  logic                m_axi_wready,
  input  logic [3:0]          m_axi_bid,
  input  logic [1:0]          m_axi_bresp,
  input  logic                m_axi_bvalid,
  output logic                m_axi_bready,
  output logic [3:0]          m_axi_arid,
  output logic [ADDR_W-1:0]   m_axi_araddr,
  output logic [7:0]          m_axi_arlen,
  output logic [2:0]          m_axi_arsize,
  output logic [1:0]          m_axi_arburst,
  output logic                m_axi_arvalid,
  input  logic                m_axi_arready,
  input  logic [3:0]          m_axi_rid,
  input  logic [DATA_W-1:0]   m_axi_rdata,
  input  logic [1:0]          m_axi_rresp,
  input  logic                m_axi_rlast,
  input  logic                m_axi_rvalid,
  output logic                m_axi_rready,

  // What was done
  output logic [31:0]         write_beats,
  output logic [31:0]         read_beats,
  output logic [31:0]         errors
);

  localparam int SIZE  = $clog2(DATA_W / 8);
  localparam int STEP  = BEATS * DATA_W / 8;

  logic [WINDOW_W-1:0] aw_offset_q, ar_offset_q;
  logic [31:0]         aw_count_q, w_bursts_q, ar_count_q, b_count_q, r_bursts_q;
  logic [7:0]          w_beat_q;
  logic                aw_valid_q, ar_valid_q;

  assign m_axi_awid    = aw_count_q[3:0];
  assign m_axi_awaddr  = base + ADDR_W'(aw_offset_q);
  assign m_axi_awlen   = 8'(BEATS - 1);
  assign m_axi_awsize  = 3'(SIZE);
  assign m_axi_awburst = 2'b01;
  assign m_axi_awvalid = aw_valid_q;
  assign m_axi_arid    = ar_count_q[3:0];
  assign m_axi_araddr  = base + ADDR_W'(ar_offset_q);
  assign m_axi_arlen   = 8'(BEATS - 1);
  assign m_axi_arsize  = 3'(SIZE);
  assign m_axi_arburst = 2'b01;
  assign m_axi_arvalid = ar_valid_q;
  assign m_axi_wdata   = {(DATA_W / 32){write_beats}};
  assign m_axi_wstrb   = '1;
  assign m_axi_wlast   = w_beat_q == 8'(BEATS - 1);
  assign m_axi_wvalid  = w_bursts_q != aw_count_q;
  assign m_axi_bready  = 1'b1;
  assign m_axi_rready  = 1'b1;

  always_ff @(posedge clk) begin
    // An address waits until it is taken; a new one follows while the window is open.
    if (m_axi_awready || !aw_valid_q)
      aw_valid_q <= do_write && (aw_count_q - b_count_q) < OUTSTANDING - 1;
    if (m_axi_arready || !ar_valid_q)
      ar_valid_q <= do_read && (ar_count_q - r_bursts_q) < OUTSTANDING - 1;
    if (aw_valid_q && m_axi_awready) begin
      aw_count_q  <= aw_count_q + 1;
      aw_offset_q <= aw_offset_q + WINDOW_W'(STEP);
    end
    if (ar_valid_q && m_axi_arready) begin
      ar_count_q  <= ar_count_q + 1;
      ar_offset_q <= ar_offset_q + WINDOW_W'(STEP);
    end
    if (m_axi_wvalid && m_axi_wready) begin
      write_beats <= write_beats + 1;
      w_beat_q    <= m_axi_wlast ? 8'd0 : w_beat_q + 8'd1;
      if (m_axi_wlast) w_bursts_q <= w_bursts_q + 1;
    end
    if (m_axi_bvalid) b_count_q <= b_count_q + 1;
    if (m_axi_rvalid) read_beats <= read_beats + 1;
    if (m_axi_rvalid && m_axi_rlast) r_bursts_q <= r_bursts_q + 1;
    errors <= errors + 32'(m_axi_bvalid && m_axi_bresp != 0) + 32'(m_axi_rvalid && m_axi_rresp != 0);
    if (rst) begin
      aw_valid_q  <= 1'b0;
      ar_valid_q  <= 1'b0;
      aw_offset_q <= '0;
      ar_offset_q <= '0;
      aw_count_q  <= '0;
      ar_count_q  <= '0;
      w_bursts_q  <= '0;
      r_bursts_q  <= '0;
      b_count_q   <= '0;
      w_beat_q    <= '0;
      write_beats <= '0;
      read_beats  <= '0;
      errors      <= '0;
    end
  end

endmodule
