// rnic_tx_inline: payload that came inside a WQE, kept until its packet is built.
//
// SLOTS slots of four 64-byte blocks. A free slot is offered to the requester, filled by it, and
// comes back when the packet that names it leaves the align stage, sent or not.
module rnic_tx_inline #(
  parameter int SLOTS  = 64,
  parameter int SLOT_W = $clog2(SLOTS)
) (
  input  logic              clk,
  input  logic              rst,

  // Slots for the requester
  output logic [SLOT_W-1:0] inline_slot,
  output logic              inline_slot_valid,
  input  logic              inline_slot_ready,

  // Filled by the requester
  input  logic              inline_write_en,
  input  logic [SLOT_W-1:0] inline_write_slot,
  input  logic [1:0]        inline_write_block,
  input  logic [511:0]      inline_write_data,

  // Read: the block is there in the next cycle
  input  logic              rd_en,
  input  logic [SLOT_W-1:0] rd_slot,
  input  logic [1:0]        rd_block,
  output logic [511:0]      rd_data,

  // Given back
  input  logic              free_en,
  input  logic [SLOT_W-1:0] free_slot
);

  logic [SLOT_W:0] free_count_unused;

  ram_free_list #(.DEPTH(SLOTS)) u_free (
    .clk, .rst,
    .s_slot    (free_slot),
    .s_slot_en (free_en),
    .m_slot    (inline_slot),
    .m_valid   (inline_slot_valid),
    .m_ready   (inline_slot_ready),
    .count     (free_count_unused)
  );

  ram_1w1r #(.DATA_W(512), .DEPTH(4 * SLOTS)) u_ram (
    .clk,
    .wr_en   (inline_write_en),
    .wr_addr ({inline_write_slot, inline_write_block}),
    .wr_data (inline_write_data),
    .rd_en,
    .rd_addr ({rd_slot, rd_block}),
    .rd_data
  );

endmodule
