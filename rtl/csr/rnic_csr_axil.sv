// rnic_csr_axil: AXI4-Lite slave in front of a register bus without back-pressure.
//
// One write and one read are worked on at a time, independent of each other. A write is one cycle
// of wr_en, with wr_hit answered in that cycle; a read is one cycle of rd_en, answered by one
// cycle of rd_done at any later time or in the same cycle. No hit becomes SLVERR, with zero data.
module rnic_csr_axil (
  input  logic        clk,
  input  logic        rst,

  // AXI4-Lite
  input  logic [15:0] s_axil_awaddr,
  input  logic        s_axil_awvalid,
  output logic        s_axil_awready,
  input  logic [31:0] s_axil_wdata,
  input  logic [3:0]  s_axil_wstrb,
  input  logic        s_axil_wvalid,
  output logic        s_axil_wready,
  output logic [1:0]  s_axil_bresp,
  output logic        s_axil_bvalid,
  input  logic        s_axil_bready,
  input  logic [15:0] s_axil_araddr,
  input  logic        s_axil_arvalid,
  output logic        s_axil_arready,
  output logic [31:0] s_axil_rdata,
  output logic [1:0]  s_axil_rresp,
  output logic        s_axil_rvalid,
  input  logic        s_axil_rready,

  // Register bus; addresses are multiples of four
  output logic        wr_en,
  output logic [15:0] wr_addr,
  output logic [31:0] wr_data,
  output logic [3:0]  wr_strb,
  input  logic        wr_hit,
  output logic        rd_en,
  output logic [15:0] rd_addr,
  input  logic        rd_done,
  input  logic [31:0] rd_data,
  input  logic        rd_hit
);

  localparam logic [1:0] OKAY   = 2'b00;
  localparam logic [1:0] SLVERR = 2'b10;

  logic aw_full_q;
  logic w_full_q;
  logic rd_wait_q;

  assign s_axil_awready = !aw_full_q;
  assign s_axil_wready  = !w_full_q;
  assign wr_en          = aw_full_q && w_full_q && (!s_axil_bvalid || s_axil_bready);

  always_ff @(posedge clk) begin
    if (s_axil_awready) wr_addr <= {s_axil_awaddr[15:2], 2'b00};
    if (s_axil_wready) begin
      wr_data <= s_axil_wdata;
      wr_strb <= s_axil_wstrb;
    end
    if (wr_en) begin
      if (wr_hit) s_axil_bresp <= OKAY;
      else        s_axil_bresp <= SLVERR;
    end

    aw_full_q     <= (aw_full_q || s_axil_awvalid) && !wr_en;
    w_full_q      <= (w_full_q || s_axil_wvalid) && !wr_en;
    s_axil_bvalid <= wr_en || (s_axil_bvalid && !s_axil_bready);
    if (rst) begin
      aw_full_q     <= 1'b0;
      w_full_q      <= 1'b0;
      s_axil_bvalid <= 1'b0;
    end
  end

  assign s_axil_arready = !rd_en && !rd_wait_q && !s_axil_rvalid;

  always_ff @(posedge clk) begin
    if (s_axil_arready) rd_addr <= {s_axil_araddr[15:2], 2'b00};
    if (rd_done) begin
      s_axil_rdata <= rd_hit ? rd_data : '0;
      if (rd_hit) s_axil_rresp <= OKAY;
      else        s_axil_rresp <= SLVERR;
    end

    rd_en         <= s_axil_arready && s_axil_arvalid;
    rd_wait_q     <= (rd_en || rd_wait_q) && !rd_done;
    s_axil_rvalid <= rd_done || (s_axil_rvalid && !s_axil_rready);
    if (rst) begin
      rd_en         <= 1'b0;
      rd_wait_q     <= 1'b0;
      s_axil_rvalid <= 1'b0;
    end
  end

endmodule
