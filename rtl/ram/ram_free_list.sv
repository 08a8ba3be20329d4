// ram_free_list: the pool of free slot numbers 0 .. DEPTH - 1.
//
// One slot taken (m_) and one given back (s_) in every cycle. After reset the pool holds all
// slots and hands them out in order; then, first given back, first handed out again. Giving
// back has no back-pressure: there is room for every slot. `count` is how many are free.
// A slot must not be given back twice; simulation stops when the pool would overflow.
`include "assert.svh"

module ram_free_list #(
  parameter int DEPTH  = 64,
  parameter int SLOT_W = DEPTH > 1 ? $clog2(DEPTH) : 1
) (
  input  logic              clk,
  input  logic              rst,

  // Given back
  input  logic [SLOT_W-1:0] s_slot,
  input  logic              s_slot_en,

  // Taken
  output logic [SLOT_W-1:0] m_slot,
  output logic              m_valid,
  input  logic              m_ready,

  // Free slots
  output logic [SLOT_W:0]   count
);

  logic [SLOT_W-1:0] mem [DEPTH];

  logic [SLOT_W-1:0] wr_q;
  logic [SLOT_W-1:0] rd_q;
  logic              fresh_q;  // slots that were never handed out are not in the memory
  logic              pop;

  assign pop     = m_valid && m_ready;
  assign m_valid = count != '0;
  assign m_slot  = fresh_q ? rd_q : mem[rd_q];

  always_ff @(posedge clk) begin
    if (s_slot_en) mem[wr_q] <= s_slot;
  end

  // In the first round the slot at place i is i itself, so reset needs no loop.
  always_ff @(posedge clk) begin
    if (s_slot_en) wr_q <= wr_q == SLOT_W'(DEPTH - 1) ? '0 : wr_q + 1'b1;
    if (pop)       rd_q <= rd_q == SLOT_W'(DEPTH - 1) ? '0 : rd_q + 1'b1;
    if (pop && rd_q == SLOT_W'(DEPTH - 1)) fresh_q <= 1'b0;
    if (s_slot_en && !pop) count <= count + 1'b1;
    if (!s_slot_en && pop) count <= count - 1'b1;
    if (rst) begin
      wr_q    <= '0;
      rd_q    <= '0;
      fresh_q <= 1'b1;
      count   <= (SLOT_W + 1)'(DEPTH);
    end
  end

  `RNIC_ASSERT(no_slot_comes_back_twice, !(s_slot_en && count == (SLOT_W + 1)'(DEPTH)))

endmodule
