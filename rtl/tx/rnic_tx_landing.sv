// rnic_tx_landing: the lines of host reads, in order, until the align stage uses them.
//
// Whoever asks the host for lines reserves room for them first, so lines are never held up.
`include "streams.svh"
`include "assert.svh"

module rnic_tx_landing #(
  parameter int LINES = 512,
  parameter int PTR_W = $clog2(LINES)
) (
  input  logic                       clk,
  input  logic                       rst,

  // Room, and requests that take it
  output logic [PTR_W:0]             room,
  input  logic                       reserve_en,
  input  logic [6:0]                 reserve_lines,

  // Lines from the host
  input  logic [DMA_READ_DATA_W-1:0] s_dma_data,
  input  logic                       s_dma_en,

  // The oldest line: there in the cycle after it is popped
  output logic                       line_valid,
  input  logic                       line_pop_en,
  output logic [511:0]               line_data,
  output logic                       line_error
);

  dma_read_data_t   arriving;
  logic [PTR_W-1:0] wr_q;
  logic [PTR_W-1:0] rd_q;
  logic [PTR_W:0]   here_q;

  assign arriving   = s_dma_data;
  assign line_valid = here_q != '0;

  ram_1w1r #(.DATA_W(513), .DEPTH(LINES)) u_ram (
    .clk,
    .wr_en   (s_dma_en),
    .wr_addr (wr_q),
    .wr_data ({arriving.error, arriving.data}),
    .rd_en   (line_pop_en),
    .rd_addr (rd_q),
    .rd_data ({line_error, line_data})
  );

  always_ff @(posedge clk) begin
    if (s_dma_en)    wr_q <= wr_q + 1'b1;
    if (line_pop_en) rd_q <= rd_q + 1'b1;
    if (s_dma_en && !line_pop_en) here_q <= here_q + 1'b1;
    if (!s_dma_en && line_pop_en) here_q <= here_q - 1'b1;
    room <= room + (PTR_W + 1)'(line_pop_en)
                 - (reserve_en ? (PTR_W + 1)'(reserve_lines) : '0);
    if (rst) begin
      wr_q   <= '0;
      rd_q   <= '0;
      here_q <= '0;
      room   <= (PTR_W + 1)'(LINES);
    end
  end

  `RNIC_ASSERT(lines_have_room, !s_dma_en || here_q + room < (PTR_W + 1)'(LINES))
  `RNIC_ASSERT(pops_what_is_there, !line_pop_en || line_valid)
  `RNIC_ASSERT(room_is_not_overdrawn, !reserve_en || (PTR_W + 1)'(reserve_lines) <= room)

endmodule
