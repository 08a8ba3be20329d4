// ram_1w1r: a memory with one write and one read port.
//
// Read data comes one cycle after `rd_en` and stays until the next read. When both ports meet
// at one address, BYPASS = 1 gives the new data and BYPASS = 0 the old: the choice of a block
// that knows it never happens, or wants what was there. Contents are unknown after power-up.
module ram_1w1r #(
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

  // Read
  input  logic              rd_en,
  input  logic [ADDR_W-1:0] rd_addr,
  output logic [DATA_W-1:0] rd_data
);

  logic [DATA_W-1:0] mem [DEPTH];
  logic [DATA_W-1:0] read_q;

  always_ff @(posedge clk) begin
    if (wr_en) mem[wr_addr] <= wr_data;
    if (rd_en) read_q <= mem[rd_addr];
  end

  if (BYPASS) begin : g_bypass
    logic              hit_q;
    logic [DATA_W-1:0] new_q;

    // Decided with the read, so that later writes leave the answer alone.
    always_ff @(posedge clk) begin
      if (rd_en) begin
        hit_q <= wr_en && wr_addr == rd_addr;
        new_q <= wr_data;
      end
    end

    assign rd_data = hit_q ? new_q : read_q;
  end else begin : g_plain
    assign rd_data = read_q;
  end

endmodule
