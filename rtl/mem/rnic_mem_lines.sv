// rnic_mem_lines: the data of the page-list cache; turns offsets in pages into bus addresses.
//
// Steps wait here, in order, for their line. A step that missed takes the next line that came from
// the host and puts it into its slot; one that hit reads its slot. As both happen in the order in
// which rnic_mem_tags decided, the slot holds the right line whatever was replaced meanwhile.
//
//   steps ─► FIFO ─┬─► x: take the line, or read the slot ─► y: entry ─► address ─► answer
//   host ─► landing┘
//
// A line fetched ahead holds nobody up: its step notes the slot and goes; the line is put there when
// it comes, and only a step that wants that slot, or a later line, waits for it. One at a time.
//
// One answer per cycle, three cycles behind the FIFO. The host's lines have room here, LINES_OUT
// of them, so there is no ready. A page whose line has an error gives `bus_error` and no pieces.
`include "assert.svh"
`include "streams.svh"
`include "mem_steps.svh"

module rnic_mem_lines #(
  parameter int LINES     = 256,
  parameter int LINES_OUT = 64,
  parameter int STEPS     = 64,
  parameter int SLOT_W    = $clog2(LINES)
) (
  input  logic              clk,
  input  logic              rst,

  // Steps
  input  mem_step_t         s_step_data,
  input  logic [SLOT_W-1:0] s_step_slot,
  input  logic              s_step_valid,
  output logic              s_step_ready,

  // Lines from the host
  input  dma_read_data_t    s_dma_data,
  input  logic              s_dma_en,

  // Answers
  output mem_rsp_t          m_rsp_data,
  output logic              m_rsp_valid,
  input  logic              m_rsp_ready,

  // A line left the landing; it was bad
  output logic              m_arrived_en,
  output logic              m_drop_en,
  output logic [SLOT_W-1:0] m_drop_slot
);

  function automatic logic [63:0] entry_of(input logic [511:0] line, input logic [2:0] place);
    entry_of = line[64*place +: 64];
  endfunction

  mem_step_t         step;
  logic [SLOT_W-1:0] slot;
  logic              step_valid, step_taken;
  logic [511:0]      land_line;
  logic              land_error, land_valid, land_ready;
  logic              landing_room;

  stream_fifo #(
    .DATA_W (MEM_STEP_W + SLOT_W),
    .DEPTH  (STEPS)
  ) u_steps (
    .clk,
    .rst,
    .s_data  ({s_step_data, s_step_slot}),
    .s_valid (s_step_valid),
    .s_ready (s_step_ready),
    .m_data  ({step, slot}),
    .m_valid (step_valid),
    .m_ready (step_taken),
    .count   ()
  );

  stream_fifo #(
    .DATA_W     (513),
    .DEPTH      (LINES_OUT),
    .REGISTERED (1)
  ) u_landing (
    .clk,
    .rst,
    .s_data  ({s_dma_data.error, s_dma_data.data}),
    .s_valid (s_dma_en),
    .s_ready (landing_room),
    .m_data  ({land_error, land_line}),
    .m_valid (land_valid),
    .m_ready (land_ready),
    .count   ()
  );

  // x: the step's line

  logic              late_q;       // a line fetched ahead has not come
  logic [SLOT_W-1:0] late_slot_q;  // and belongs here
  logic              y_free;
  logic              wants_land, wants_slot;
  logic              put, get;
  logic [SLOT_W-1:0] put_slot;

  assign wants_land = step.list && step.miss && !step.ahead;
  assign wants_slot = step.list && !step.miss;

  always_comb begin
    step_taken = step_valid && y_free;
    if (step.ahead)                                        step_taken = step_valid && !late_q;
    if (wants_land && (late_q || !land_valid))             step_taken = 1'b0;
    if (wants_slot && late_q && slot == late_slot_q)       step_taken = 1'b0;
  end

  assign get        = step_taken && wants_slot;
  assign land_ready = late_q || (step_taken && wants_land);
  assign put        = land_valid && land_ready;
  assign put_slot   = late_q ? late_slot_q : slot;

  assign m_arrived_en = put;
  assign m_drop_en    = put && land_error;
  assign m_drop_slot  = put_slot;

  always_ff @(posedge clk) begin
    if (step_taken && step.ahead) late_slot_q <= slot;
    if (step_taken && step.ahead) late_q <= 1'b1;
    else if (put)                 late_q <= 1'b0;
    if (rst) late_q <= 1'b0;
  end

  // y: the step's entry

  mem_step_t    y_q;
  logic         y_valid_q, y_taken;
  logic [63:0]  y_entry_q;  // of a line that was taken from the landing
  logic         y_error_q;
  logic [511:0] slot_line;
  logic         slot_error;

  ram_1w1r #(
    .DATA_W (513),
    .DEPTH  (LINES)
  ) u_lines (
    .clk,
    .wr_en   (put),
    .wr_addr (put_slot),
    .wr_data ({land_error, land_line}),
    .rd_en   (get),
    .rd_addr (slot),
    .rd_data ({slot_error, slot_line})
  );

  always_ff @(posedge clk) begin
    if (y_free) begin
      y_valid_q <= step_taken && !step.ahead;
      y_q       <= step;
      y_entry_q <= entry_of(land_line, step.entry);
      y_error_q <= land_error;
    end
    if (rst) y_valid_q <= 1'b0;
  end

  // Answer

  mem_rsp_t    rsp;
  logic [63:0] first_q;  // address in the first of two pages
  logic        first_error_q;
  logic [51:0] base;
  logic        base_error;
  logic        error, moves;
  logic        rsp_ready;
  logic [63:0] entry;

  assign entry      = y_q.miss ? y_entry_q : entry_of(slot_line, y_q.entry);
  assign base       = y_q.list ? entry[63:12] : '0;
  assign base_error = y_q.list && (y_q.miss ? y_error_q : slot_error);
  assign error      = base_error || (y_q.second && first_error_q);
  assign moves      = y_q.ok && !error;

  always_comb begin
    rsp.ok        = y_q.ok;
    rsp.bus_error = y_q.ok && error;
    rsp.addr0     = y_q.second ? first_q : y_q.addr0 | {base, 12'd0};
    rsp.len0      = moves ? y_q.len0 : '0;
    rsp.addr1     = y_q.addr1 | {base, 12'd0};
    rsp.len1      = moves ? y_q.len1 : '0;
  end

  assign y_taken = y_q.more || rsp_ready;
  assign y_free  = !y_valid_q || y_taken;

  always_ff @(posedge clk) begin
    if (y_valid_q && y_q.more) begin
      first_q       <= y_q.addr0 | {base, 12'd0};
      first_error_q <= base_error;
    end
  end

  stream_register #(
    .DATA_W (MEM_RSP_W)
  ) u_answer (
    .clk,
    .rst,
    .s_data  (rsp),
    .s_valid (y_valid_q && !y_q.more),
    .s_ready (rsp_ready),
    .m_data  (m_rsp_data),
    .m_valid (m_rsp_valid),
    .m_ready (m_rsp_ready)
  );

  `RNIC_ASSERT(a_line_finds_room, !s_dma_en || landing_room)
  `RNIC_ASSERT(a_line_is_one_beat, !s_dma_en || s_dma_data.last)

endmodule
