// ram_1w2r: a memory with one write port and two read ports, made of two copies.
//
// Each read port behaves as that of ram_1w1r.
module ram_1w2r #(
  parameter int DATA_W = 64,
  parameter int DEPTH  = 256,
  parameter bit BYPASS = 0,
  parameter int ADDR_W = DEPTH > 1 ? $clog2(DEPTH) : 1
) (
  input  logic              clk,

  // Write
  input  logic              wr_en,
  input  logic [ADDR_W-1:0] wr_addr,
  input  logic [DATA_W-1:0] wr_data,

  // Read, port a
  input  logic              rd_a_en,
  input  logic [ADDR_W-1:0] rd_a_addr,
  output logic [DATA_W-1:0] rd_a_data,

  // Read, port b
  input  logic              rd_b_en,
  input  logic [ADDR_W-1:0] rd_b_addr,
  output logic [DATA_W-1:0] rd_b_data
);

  ram_1w1r #(
    .DATA_W (DATA_W),
    .DEPTH  (DEPTH),
    .BYPASS (BYPASS),
    .ADDR_W (ADDR_W)
  ) u_a (
    .clk,
    .wr_en,
    .wr_addr,
    .wr_data,
    .rd_en   (rd_a_en),
    .rd_addr (rd_a_addr),
    .rd_data (rd_a_data)
  );

  ram_1w1r #(
    .DATA_W (DATA_W),
    .DEPTH  (DEPTH),
    .BYPASS (BYPASS),
    .ADDR_W (ADDR_W)
  ) u_b (
    .clk,
    .wr_en,
    .wr_addr,
    .wr_data,
    .rd_en   (rd_b_en),
    .rd_addr (rd_b_addr),
    .rd_data (rd_b_data)
  );

endmodule
