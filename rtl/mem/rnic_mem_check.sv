// rnic_mem_check: checks a piece of memory against its token and finds its bus addresses.
//
//   s_req ─► rights ─► tags ─► lines ─► m_rsp          page lists are read in 64-byte lines
//            │  ▲        │       ▲                     through a cache of LINES
//         key table      └─ host ┘
//
// Answers come in the order of the requests, one per cycle when the lines are at hand; a request
// across two pages of a list takes two. Up to 64 lines are fetched at once, and the line that comes
// next is fetched early. The answer's pieces never cross 4 KiB of bus addresses.
//
// Pass unchecked, with nothing to move: kinds NONE and INLINE, and requests with neither length nor
// span. One with a span alone is checked and moves nothing. A failed check and an
// unreadable page list (`ok` with `bus_error`) give no pieces either. INVALIDATE and REGISTER take
// effect in their place in the order: later requests see it.
`include "assert.svh"
`include "layouts.svh"
`include "streams.svh"
`include "mem_steps.svh"

module rnic_mem_check #(
  parameter int USER_W = 8,
  parameter int LINES  = 256
) (
  input  logic               clk,
  input  logic               rst,

  // Requests; `reg` belongs to REGISTER
  input  mem_req_t           s_req_data,
  input  logic [USER_W-1:0]  s_req_user,
  input  logic [63:0]        s_req_reg_pages,
  input  logic [63:0]        s_req_reg_length,
  input  logic [4:0]         s_req_reg_shift,
  input  logic               s_req_reg_direct,
  input  logic               s_req_valid,
  output logic               s_req_ready,

  // Key table
  output logic               lookup_en,
  output logic [23:0]        lookup_index,
  input  key_entry_t         lookup_entry,
  output key_write_t         m_mod_data,
  output logic               m_mod_valid,
  input  logic               m_mod_ready,
  input  logic               changed_en,
  input  logic               grant_en,

  // Page lists in host memory
  output dma_read_req_t      m_dma_data,
  output logic               m_dma_valid,
  input  logic               m_dma_ready,
  input  dma_read_data_t     s_dma_data,
  input  logic               s_dma_en,

  // Answers
  output mem_rsp_t           m_rsp_data,
  output logic [USER_W-1:0]  m_rsp_user,
  output logic               m_rsp_valid,
  input  logic               m_rsp_ready
);

  localparam int SLOT_W = $clog2(LINES);
  localparam int INSIDE = 128;  // more than fit into the stages: rights 8, steps 64, answers 2

  mem_walk_t         walk_data;
  logic              walk_valid, walk_ready;
  mem_step_t         step_data;
  logic [SLOT_W-1:0] step_slot;
  logic              step_valid, step_ready;
  logic              arrived_en, drop_en;
  logic [SLOT_W-1:0] drop_slot;
  logic              user_room, user_valid;

  rnic_mem_rights u_rights (
    .clk,
    .rst,
    .s_req_data,
    .s_req_reg_pages,
    .s_req_reg_length,
    .s_req_reg_shift,
    .s_req_reg_direct,
    .s_req_valid,
    .s_req_ready,
    .lookup_en,
    .lookup_index,
    .lookup_entry,
    .m_mod_data,
    .m_mod_valid,
    .m_mod_ready,
    .changed_en,
    .m_walk_data  (walk_data),
    .m_walk_valid (walk_valid),
    .m_walk_ready (walk_ready)
  );

  rnic_mem_tags #(
    .LINES (LINES)
  ) u_tags (
    .clk,
    .rst,
    .s_walk_data  (walk_data),
    .s_walk_valid (walk_valid),
    .s_walk_ready (walk_ready),
    .m_dma_data,
    .m_dma_valid,
    .m_dma_ready,
    .m_step_data  (step_data),
    .m_step_slot  (step_slot),
    .m_step_valid (step_valid),
    .m_step_ready (step_ready),
    .grant_en,
    .s_arrived_en (arrived_en),
    .s_drop_en    (drop_en),
    .s_drop_slot  (drop_slot)
  );

  rnic_mem_lines #(
    .LINES (LINES)
  ) u_lines (
    .clk,
    .rst,
    .s_step_data  (step_data),
    .s_step_slot  (step_slot),
    .s_step_valid (step_valid),
    .s_step_ready (step_ready),
    .s_dma_data,
    .s_dma_en,
    .m_rsp_data,
    .m_rsp_valid,
    .m_rsp_ready,
    .m_arrived_en (arrived_en),
    .m_drop_en    (drop_en),
    .m_drop_slot  (drop_slot)
  );

  // What rides along waits aside: the stages need none of it.
  stream_fifo #(
    .DATA_W     (USER_W),
    .DEPTH      (INSIDE),
    .REGISTERED (1)
  ) u_user (
    .clk,
    .rst,
    .s_data  (s_req_user),
    .s_valid (s_req_valid && s_req_ready),
    .s_ready (user_room),
    .m_data  (m_rsp_user),
    .m_valid (user_valid),
    .m_ready (m_rsp_valid && m_rsp_ready),
    .count   ()
  );

  `RNIC_ASSERT(what_rides_along_finds_room, !(s_req_valid && s_req_ready) || user_room)
  `RNIC_ASSERT(what_rides_along_is_there, !m_rsp_valid || user_valid)

endmodule
