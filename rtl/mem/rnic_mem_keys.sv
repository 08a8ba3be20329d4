// rnic_mem_keys: the key table, one KeyEntry per index.
//
// Three lookups and one write per cycle. A lookup answers two cycles later; it sees a write that
// landed in an earlier cycle, and an index beyond the table reads as an entry that grants nothing.
// Writers: rnic_admin first, then the two pipelines in turn. `changed_en` is up in the cycle in which
// an entry changes, `grant_en` as well when the new entry is valid. A pipeline decided on what it
// looked up, so it takes its offer back when another write lands before its own: between a lookup and
// the write that rests on it nothing changes.
// After reset the table makes all entries invalid, one per cycle; `ready` tells the end. Until then
// lookups find nothing and writes wait.
`include "layouts.svh"
`include "streams.svh"

module rnic_mem_keys #(
  parameter int KEY_COUNT = 1024
) (
  input  logic                            clk,
  input  logic                            rst,

  // Writes of admin
  input  key_write_t                      s_write_data,
  input  logic                            s_write_valid,
  output logic                            s_write_ready,

  // Writes of the pipelines (KeyWrite); valid may be taken back when changed_en is up
  input  logic [1:0][KEY_WRITE_W-1:0]     s_mod_data,
  input  logic [1:0]                      s_mod_valid,
  output logic [1:0]                      s_mod_ready,

  // Lookups (KeyEntry)
  input  logic [2:0]                      lookup_en,
  input  logic [2:0][23:0]                lookup_index,
  output logic [2:0][KEY_ENTRY_W-1:0]     lookup_entry,

  // An entry changes in this cycle; it is valid then
  output logic                            changed_en,
  output logic                            grant_en,

  // The table can be used
  output logic                            ready
);

  localparam int INDEX_W = KEY_COUNT > 1 ? $clog2(KEY_COUNT) : 1;

  // Who writes

  logic       turn_q;  // the pipeline that is asked first
  logic       mod;
  key_write_t pick;
  key_entry_t pick_entry;
  logic       pick_valid;

  assign mod            = s_mod_valid[turn_q] ? turn_q : !turn_q;
  assign s_write_ready  = ready;
  assign s_mod_ready[0] = ready && !s_write_valid && !mod;
  assign s_mod_ready[1] = ready && !s_write_valid && mod;
  assign pick_valid     = ready && (s_write_valid || s_mod_valid[mod]);

  always_comb begin
    pick = s_mod_data[mod];
    if (s_write_valid) pick = s_write_data;
  end

  assign pick_entry = pick.entry;
  assign changed_en = pick_valid;
  assign grant_en   = pick_valid && pick_entry.valid;

  // The table, a copy per lookup

  logic [INDEX_W-1:0]     sweep_q;
  logic                   wr_en;
  logic [INDEX_W-1:0]     wr_index;
  logic [KEY_ENTRY_W-1:0] wr_entry;

  assign wr_en    = !ready || (pick_valid && pick.index < 24'(KEY_COUNT));
  assign wr_index = ready ? pick.index[INDEX_W-1:0] : sweep_q;
  assign wr_entry = ready ? pick.entry : '0;

  for (genvar i = 0; i < 3; i++) begin : g_lookup
    logic [23:0]            index;
    logic                   known_q;
    logic [KEY_ENTRY_W-1:0] found;
    logic [KEY_ENTRY_W-1:0] entry_q;

    assign index = lookup_index[i];

    ram_1w1r #(
      .DATA_W (KEY_ENTRY_W),
      .DEPTH  (KEY_COUNT)
    ) u_table (
      .clk,
      .wr_en,
      .wr_addr (wr_index),
      .wr_data (wr_entry),
      .rd_en   (lookup_en[i]),
      .rd_addr (index[INDEX_W-1:0]),
      .rd_data (found)
    );

    always_ff @(posedge clk) begin
      if (lookup_en[i]) known_q <= ready && index < 24'(KEY_COUNT);
      entry_q <= known_q ? found : '0;
    end

    assign lookup_entry[i] = entry_q;
  end

  always_ff @(posedge clk) begin
    if (!ready) sweep_q <= sweep_q + 1'b1;
    if (!ready && sweep_q == INDEX_W'(KEY_COUNT - 1)) ready <= 1'b1;
    if (|(s_mod_valid & s_mod_ready)) turn_q <= !mod;
    if (rst) begin
      sweep_q <= '0;
      ready   <= 1'b0;
      turn_q  <= 1'b0;
    end
  end

endmodule
