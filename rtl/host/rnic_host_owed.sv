// rnic_host_owed: what the host has still to answer, also from before a soft reset.
//
// Counts transactions and answers. When the core forgets everything while answers are outstanding,
// these are owed: they are told apart by order alone (AXI answers one ID in order), so the first
// ones that come are dropped, as many as there were, and what the core has begun since is answered
// by those behind them. Lives as long as the host port, so a soft reset does not touch it.
module rnic_host_owed #(
  parameter int CLIENTS = 4
) (
  input  logic       clk,
  input  logic       rst,

  // Reads: addresses and lines, as they are taken
  input  logic       ar_en,
  input  logic [3:0] ar_id,
  input  logic       r_en,
  input  logic [3:0] r_id,
  input  logic       r_last,

  // Writes, all with one ID: addresses, last lines, answers
  input  logic       aw_en,
  input  logic       w_last_en,
  input  logic       b_en,

  // The core forgets what it has begun
  input  logic       forget_en,

  // Is the line, or the answer, that comes now for the core?
  output logic       r_keep,
  output logic       b_keep,

  // Not answered; lines of a burst not sent; answers that nobody waits for
  output logic       unanswered,
  output logic       unsent,
  output logic       owes
);

  localparam int COUNT_W = 16;

  logic [CLIENTS-1:0][COUNT_W-1:0] reads_q;
  logic [CLIENTS-1:0][COUNT_W-1:0] reads_owed_q;
  logic [CLIENTS-1:0][COUNT_W-1:0] reads_now;
  logic [CLIENTS-1:0]              read_ends;
  logic [COUNT_W-1:0]              writes_q;
  logic [COUNT_W-1:0]              writes_owed_q;
  logic [COUNT_W-1:0]              writes_now;
  logic [COUNT_W-1:0]              bursts_q;      // addresses less last lines; either may lead
  logic [15:0]                     read_owed;     // by ID
  logic                            write_owed;

  for (genvar i = 0; i < CLIENTS; i++) begin : g_client
    assign read_ends[i] = r_en && r_last && r_id == 4'(i);
    assign reads_now[i] = reads_q[i] + COUNT_W'(ar_en && ar_id == 4'(i)) - COUNT_W'(read_ends[i]);
  end
  for (genvar i = 0; i < 16; i++) begin : g_id
    if (i < CLIENTS) begin : g_used
      assign read_owed[i] = reads_owed_q[i] != '0;
    end else begin : g_unused
      assign read_owed[i] = 1'b0;
    end
  end

  assign writes_now = writes_q + COUNT_W'(aw_en) - COUNT_W'(b_en);
  assign write_owed = writes_owed_q != '0;
  assign r_keep     = !read_owed[r_id];
  assign b_keep     = !write_owed;
  assign unanswered = reads_q != '0 || writes_q != '0;
  assign unsent     = bursts_q != '0;
  assign owes       = read_owed != '0 || write_owed;

  always_ff @(posedge clk) begin
    reads_q  <= reads_now;
    writes_q <= writes_now;
    bursts_q <= bursts_q + COUNT_W'(aw_en) - COUNT_W'(w_last_en);
    for (int i = 0; i < CLIENTS; i++)
      if (forget_en)                         reads_owed_q[i] <= reads_now[i];
      else if (read_ends[i] && read_owed[i]) reads_owed_q[i] <= reads_owed_q[i] - 1'b1;
    if (forget_en)               writes_owed_q <= writes_now;
    else if (b_en && write_owed) writes_owed_q <= writes_owed_q - 1'b1;

    if (rst) begin
      reads_q       <= '0;
      reads_owed_q  <= '0;
      writes_q      <= '0;
      writes_owed_q <= '0;
      bursts_q      <= '0;
    end
  end

endmodule
