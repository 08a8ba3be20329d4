// rnic_mem_tags: knows which lines of page lists are in the cache, and fetches those that are not.
//
// Says for each page of a request in which slot its line will be when the request arrives at the
// cache's data (rnic_mem_lines), behind a FIFO: lines arrive there in the order asked for here, so
// what these tags say now is true there then. Nobody waits for a line here; up to LINES_OUT are on
// their way.
//
// One request per cycle when its lines are here; one more for a second page and one more to fetch a
// line ahead. `grant_en` forgets all: whoever comes later fetches anew, whoever was before uses
// what is on its way. That suffices: the host rewrites a list only while no valid key uses it, and
// what becomes valid afterwards is told here; the part of a line that belongs to other lists stays
// as it is. A line that came with an error is forgotten by `s_drop`.
`include "layouts.svh"
`include "streams.svh"
`include "mem_steps.svh"

module rnic_mem_tags #(
  parameter int LINES     = 256,
  parameter int LINES_OUT = 64,
  parameter int SLOT_W    = $clog2(LINES)
) (
  input  logic              clk,
  input  logic              rst,

  // Checked requests
  input  mem_walk_t         s_walk_data,
  input  logic              s_walk_valid,
  output logic              s_walk_ready,

  // Lines that are not here
  output dma_read_req_t     m_dma_data,
  output logic              m_dma_valid,
  input  logic              m_dma_ready,

  // Requests page by page, and the slot of the page's line
  output mem_step_t         m_step_data,
  output logic [SLOT_W-1:0] m_step_slot,
  output logic              m_step_valid,
  input  logic              m_step_ready,

  // What happened to lines: a key became valid, one arrived, that one was bad
  input  logic              grant_en,
  input  logic              s_arrived_en,
  input  logic              s_drop_en,
  input  logic [SLOT_W-1:0] s_drop_slot
);

  localparam int LINE_W = 58;
  localparam int TAG_W  = LINE_W - SLOT_W;
  localparam int OUT_W  = $clog2(LINES_OUT + 1);

  typedef enum logic [1:0] {FIRST, SECOND, AHEAD} page_e;

  // The low bits of a line's number, stirred: lists often begin at the same place of a page. With the
  // bits above them, which are the tag, a slot still tells the whole number.
  function automatic logic [SLOT_W-1:0] slot_of(input logic [LINE_W-1:0] line);
    slot_of = line[SLOT_W-1:0] ^ line[2*SLOT_W-1:SLOT_W] ^ line[3*SLOT_W-1:2*SLOT_W];
  endfunction

  logic [TAG_W-1:0] tag [LINES];
  logic [LINES-1:0] valid_q;

  page_e             page_q, page_d;
  logic [LINE_W-1:0] here, next, line;
  logic [SLOT_W-1:0] here_slot, next_slot, slot;
  logic              here_hit, next_hit;
  logic              ahead, miss, final_step;
  logic [LINE_W-1:0] fetch_line;
  logic              fetch_ready, may_fetch;
  logic              fire, fire_miss;
  logic [OUT_W-1:0]  out_q;

  assign next = s_walk_data.next_line;
  assign here = page_q == SECOND && s_walk_data.entry[2:0] == 3'd7 ? next
                                                                   : s_walk_data.entry[60:3];

  assign here_slot = slot_of(here);
  assign next_slot = slot_of(next);
  assign here_hit  = valid_q[here_slot] && tag[here_slot] == here[LINE_W-1:SLOT_W];
  assign next_hit  = valid_q[next_slot] && tag[next_slot] == next[LINE_W-1:SLOT_W];

  assign ahead = page_q == AHEAD;
  assign line  = ahead ? next : here;
  assign slot  = ahead ? next_slot : here_slot;
  assign miss  = s_walk_data.list && (ahead || !here_hit);

  always_comb begin
    page_d     = FIRST;
    final_step = 1'b1;
    if (s_walk_data.list && page_q == FIRST && s_walk_data.two) begin
      page_d     = SECOND;
      final_step = 1'b0;
    end else if (s_walk_data.list && !ahead && s_walk_data.ahead && !next_hit) begin
      page_d     = AHEAD;
      final_step = 1'b0;
    end
  end

  assign may_fetch    = fetch_ready && out_q != OUT_W'(LINES_OUT);
  assign m_step_valid = s_walk_valid && (!miss || may_fetch);
  assign m_step_slot  = slot;
  assign fire         = m_step_valid && m_step_ready;
  assign fire_miss    = fire && miss;
  assign s_walk_ready = final_step && m_step_ready && (!miss || may_fetch);

  always_comb begin
    m_step_data.ok     = s_walk_data.ok;
    m_step_data.list   = s_walk_data.list;
    m_step_data.miss   = miss;
    m_step_data.ahead  = ahead;
    m_step_data.more   = s_walk_data.list && s_walk_data.two && page_q == FIRST;
    m_step_data.second = page_q == SECOND;
    m_step_data.entry  = s_walk_data.entry[2:0] + 3'(page_q == SECOND);
    m_step_data.addr0  = s_walk_data.addr0;
    m_step_data.len0   = s_walk_data.len0;
    m_step_data.addr1  = s_walk_data.addr1;
    m_step_data.len1   = s_walk_data.len1;
  end

  stream_register #(
    .DATA_W (LINE_W)
  ) u_fetch (
    .clk,
    .rst,
    .s_data  (line),
    .s_valid (fire_miss),
    .s_ready (fetch_ready),
    .m_data  (fetch_line),
    .m_valid (m_dma_valid),
    .m_ready (m_dma_ready)
  );

  assign m_dma_data.addr   = {fetch_line, 6'd0};
  assign m_dma_data.length = 13'd64;

  always_ff @(posedge clk) begin
    if (fire_miss) tag[slot] <= line[LINE_W-1:SLOT_W];
  end

  always_ff @(posedge clk) begin
    if (fire) page_q <= page_d;
    if (fire_miss && !s_arrived_en) out_q <= out_q + 1'b1;
    if (!fire_miss && s_arrived_en) out_q <= out_q - 1'b1;
    // In this order: a slot may be taken for a new line when its old one proves bad, and whatever is
    // asked for while a key becomes valid is asked for again.
    if (s_drop_en) valid_q[s_drop_slot] <= 1'b0;
    if (fire_miss) valid_q[slot] <= 1'b1;
    if (grant_en) valid_q <= '0;
    if (rst) begin
      page_q  <= FIRST;
      out_q   <= '0;
      valid_q <= '0;
    end
  end

endmodule
