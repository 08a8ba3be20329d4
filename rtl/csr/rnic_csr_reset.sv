// rnic_csr_reset: soft reset without breaking a bus transaction.
//
// A request first stops new work (`stopping`), waits until the host port has been quiet for a
// while, and then resets everything behind the register block for some cycles.
module rnic_csr_reset #(
  parameter int QUIET_CYCLES = 256
) (
  input  logic clk,
  input  logic rst,

  // Request, and what moves on the host port
  input  logic soft_reset_en,
  input  logic read_start_en,
  input  logic read_end_en,
  input  logic write_start_en,
  input  logic write_end_en,
  input  logic pending,

  // Stop, then reset
  output logic stopping,
  output logic core_rst
);

  localparam int QUIET_W = $clog2(QUIET_CYCLES);

  logic [15:0]        reads_q;
  logic [15:0]        writes_q;
  logic [QUIET_W-1:0] quiet_q;
  logic               busy_q;
  logic [3:0]         hold_q;
  logic               quiet;

  assign quiet    = reads_q == '0 && writes_q == '0 && !pending;
  assign stopping = busy_q || hold_q != '0;
  assign core_rst = rst || hold_q != '0;

  always_ff @(posedge clk) begin
    reads_q  <= reads_q + 16'(read_start_en) - 16'(read_end_en);
    writes_q <= writes_q + 16'(write_start_en) - 16'(write_end_en);
    quiet_q  <= quiet && busy_q ? quiet_q + 1'b1 : '0;
    if (soft_reset_en) busy_q <= 1'b1;
    if (hold_q != '0) hold_q <= hold_q - 4'd1;
    if (busy_q && quiet_q == '1) begin
      busy_q <= 1'b0;
      hold_q <= 4'd15;
    end
    if (rst) begin
      reads_q  <= '0;
      writes_q <= '0;
      quiet_q  <= '0;
      busy_q   <= 1'b0;
      hold_q   <= '0;
    end
  end

endmodule
