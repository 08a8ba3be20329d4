// rnic_csr_gids: the GID table, written by words, read by index and searched by address.
//
// All 128-bit addresses have the first byte of the wire in bits 7:0. `lookup_*` answers one cycle
// after the index, `match_*` two cycles after the address; both take one question per cycle. Two
// valid entries with one address answer the lower index. The address of an invalid entry reads zero.
//
// The search needs all addresses at once, in registers; a copy in RAM spares the wide multiplexers.
`include "registers.svh"

module rnic_csr_gids (
  input  logic         clk,
  input  logic         rst,

  // Register bus, offsets in the table
  input  logic         wr_en,
  input  logic [8:0]   wr_addr,
  input  logic [31:0]  wr_data,
  input  logic [3:0]   wr_strb,
  input  logic [8:0]   rd_addr,
  output logic [31:0]  rd_data,

  // Entry by index
  input  logic [3:0]   lookup_index,
  output logic [127:0] lookup_gid,
  output logic         lookup_v4,
  output logic         lookup_valid,

  // Entry by address
  input  logic [127:0] match_addr,
  output logic         match_hit,
  output logic [3:0]   match_index
);

  localparam logic [2:0] FLAG_WORD = 3'd4;

  logic [GID_COUNT-1:0]     valid_q;
  logic [GID_COUNT-1:0]     v4_q;
  logic [GID_COUNT*4-1:0]   part_q;
  logic [GID_COUNT-1:0]     equal;
  logic [3:0]               first;

  for (genvar g = 0; g < GID_COUNT; g++) begin : g_entry
    logic [127:0] gid_q;
    logic         here;
    assign here = wr_en && wr_addr[8:5] == 4'(g);

    // One enable per byte; a computed position would be a shifter per entry.
    for (genvar b = 0; b < 16; b++) begin : g_byte
      always_ff @(posedge clk) begin
        if (here && wr_addr[4:2] == 3'(b / 4) && wr_strb[b % 4])
          gid_q[8*b +: 8] <= wr_data[8*(b % 4) +: 8];
      end
    end

    always_ff @(posedge clk) begin
      if (here && wr_addr[4:2] == FLAG_WORD && wr_strb[0]) begin
        valid_q[g] <= wr_data[0];
        v4_q[g]    <= wr_data[1];
      end
      if (rst) begin
        valid_q[g] <= 1'b0;
        v4_q[g]    <= 1'b0;
      end
    end

    // First stage of the search: four comparisons of 32 bits each.
    always_ff @(posedge clk) begin
      for (int w = 0; w < 4; w++)
        part_q[g*4 + w] <= match_addr[32*w +: 32] == gid_q[32*w +: 32] && valid_q[g];
    end
    assign equal[g] = &part_q[g*4 +: 4];
  end

  always_comb begin
    first = '0;
    for (int i = GID_COUNT - 1; i >= 0; i--)
      if (equal[i]) first = 4'(i);
  end

  always_ff @(posedge clk) begin
    match_hit   <= |equal;
    match_index <= first;
  end

  logic [127:0] rd_gid;

  for (genvar b = 0; b < 16; b++) begin : g_copy
    logic [7:0] bytes_q [GID_COUNT];
    always_ff @(posedge clk) begin
      if (wr_en && wr_addr[4:2] == 3'(b / 4) && wr_strb[b % 4])
        bytes_q[wr_addr[8:5]] <= wr_data[8*(b % 4) +: 8];
      lookup_gid[8*b +: 8] <= bytes_q[lookup_index];
    end
    assign rd_gid[8*b +: 8] = bytes_q[rd_addr[8:5]];
  end

  always_ff @(posedge clk) begin
    lookup_v4    <= v4_q[lookup_index];
    lookup_valid <= valid_q[lookup_index];
  end

  logic        rd_valid;
  logic [31:0] rd_word;
  logic [31:0] rd_flags;
  assign rd_valid = valid_q[rd_addr[8:5]];
  assign rd_word  = rd_gid[{rd_addr[3:2], 5'd0} +: 32];
  assign rd_flags = {30'd0, v4_q[rd_addr[8:5]], rd_valid};

  assign rd_data  = rd_addr[4:2] == FLAG_WORD ? rd_flags :
                    !rd_addr[4] && rd_valid   ? rd_word  : '0;

endmodule
