// rnic_queue_fetch: reads send queue blocks and hands them out in the order of the grants.
//
// A grant becomes one burst; its blocks land in a buffer of WINDOW blocks that the grant has
// reserved, so read data never waits. A pushed block waits for its turn in a buffer of its own.
// One block per cycle leaves; 4 requests may wait for the host.
//
//   grant ─┬► request ─► m_dma        s_dma ─► landing ─┐
//          └► order ──────────────────────────────────► join ─► m_wqe
//   push ──┴► pushed blocks ────────────────────────────┘
`include "layouts.svh"
`include "streams.svh"
`include "assert.svh"

module rnic_queue_fetch #(
  parameter int WINDOW = 128,
  parameter int TURN   = 16,
  parameter int PUSHES = 16
) (
  input  logic                       clk,
  input  logic                       rst,

  // From the scheduler
  input  logic                       s_grant_en,
  input  logic                       s_push_en,
  input  logic [15:0]                s_qpn,
  input  logic [15:0]                s_index,
  input  logic [4:0]                 s_count,
  input  logic [63:0]                s_base,
  input  logic [14:0]                s_place,
  input  logic [511:0]               s_block,
  output logic                       grant_room,
  output logic                       push_room,

  // Host memory
  output logic [DMA_READ_REQ_W-1:0]  m_dma_data,
  output logic                       m_dma_valid,
  input  logic                       m_dma_ready,
  input  logic [DMA_READ_DATA_W-1:0] s_dma_data,
  input  logic                       s_dma_en,

  // Blocks, in order
  output logic [WQE_BLOCK_W-1:0]     m_wqe_data,
  output logic                       m_wqe_valid,
  input  logic                       m_wqe_ready,

  // Bursts and pushes that came in, and that have left whole
  output logic                       enter_en,
  output logic                       leave_en
);

  localparam int ROOM_W  = $clog2(WINDOW) + 1;
  localparam int PUSH_W  = $clog2(PUSHES);
  localparam int LAND_W  = $clog2(WINDOW);
  localparam int ORDER_W = 16 + 16 + 5 + 1;

  // Two pushes may be on their way here when room is promised.
  localparam int ON_THE_WAY = 2;

  // Requests

  dma_read_req_t request;
  logic          ask_q;
  logic [63:0]   ask_base_q;
  logic [14:0]   ask_place_q;
  logic [4:0]    ask_count_q;
  logic          ask_ready;
  logic [2:0]    asked;

  always_ff @(posedge clk) begin
    ask_q       <= s_grant_en && !rst;
    ask_base_q  <= s_base;
    ask_place_q <= s_place;
    ask_count_q <= s_count;
  end

  always_comb begin
    request.addr   = ask_base_q + {43'd0, ask_place_q, 6'd0};
    request.length = {2'd0, ask_count_q, 6'd0};
  end

  stream_fifo #(
    .DATA_W (DMA_READ_REQ_W),
    .DEPTH  (4)
  ) u_requests (
    .clk,
    .rst,
    .s_data  (request),
    .s_valid (ask_q),
    .s_ready (ask_ready),
    .m_data  (m_dma_data),
    .m_valid (m_dma_valid),
    .m_ready (m_dma_ready),
    .count   (asked)
  );

  `RNIC_ASSERT(request_has_room, !ask_q || ask_ready)

  // Order of bursts and pushes

  logic        head_push;
  logic [15:0] head_qpn;
  logic [15:0] head_index;
  logic [4:0]  head_count;
  logic        head_valid;
  logic        head_pop;
  logic        order_ready;

  stream_fifo #(
    .DATA_W (ORDER_W),
    .DEPTH  (WINDOW)
  ) u_order (
    .clk,
    .rst,
    .s_data  ({s_push_en, s_count, s_index, s_qpn}),
    .s_valid (s_grant_en || s_push_en),
    .s_ready (order_ready),
    .m_data  ({head_push, head_count, head_index, head_qpn}),
    .m_valid (head_valid),
    .m_ready (head_pop),
    .count   ()
  );

  `RNIC_ASSERT(order_has_room, order_ready || !(s_grant_en || s_push_en))

  // Take blocks as the order says

  logic [4:0]        sent_q;    // blocks of the head burst that have left
  logic [ROOM_W-1:0] landed_q;  // blocks in the landing buffer
  logic              take;
  logic              take_last;
  logic              out_last_q;

  assign take      = head_valid && (head_push || landed_q != '0) && (!m_wqe_valid || m_wqe_ready);
  assign take_last = sent_q + 1'b1 == head_count;
  assign head_pop  = take && take_last;

  dma_read_data_t line;
  logic [512:0]   land_data;
  logic [511:0]   push_data;
  logic [LAND_W-1:0] land_wr_q;
  logic [LAND_W-1:0] land_rd_q;
  logic [PUSH_W-1:0] push_wr_q;
  logic [PUSH_W-1:0] push_rd_q;

  assign line = s_dma_data;

  ram_1w1r #(
    .DATA_W (513),
    .DEPTH  (WINDOW)
  ) u_landing (
    .clk,
    .wr_en   (s_dma_en),
    .wr_addr (land_wr_q),
    .wr_data ({line.error, line.data}),
    .rd_en   (take && !head_push),
    .rd_addr (land_rd_q),
    .rd_data (land_data)
  );

  ram_1w1r #(
    .DATA_W (512),
    .DEPTH  (PUSHES)
  ) u_pushed (
    .clk,
    .wr_en   (s_push_en),
    .wr_addr (push_wr_q),
    .wr_data (s_block),
    .rd_en   (take && head_push),
    .rd_addr (push_rd_q),
    .rd_data (push_data)
  );

  logic [15:0] out_qpn_q;
  logic [15:0] out_index_q;
  logic        out_push_q;
  wqe_block_t  out;

  always_comb begin
    out.qpn   = out_qpn_q;
    out.index = out_index_q;
    out.error = !out_push_q && land_data[512];
    out.data  = out_push_q ? push_data : land_data[511:0];
  end

  assign m_wqe_data = out;

  always_ff @(posedge clk) begin
    if (s_dma_en)          land_wr_q <= land_wr_q + 1'b1;
    if (s_push_en)         push_wr_q <= push_wr_q + 1'b1;
    if (take) begin
      if (head_push) push_rd_q <= push_rd_q + 1'b1;
      else           land_rd_q <= land_rd_q + 1'b1;
      sent_q      <= take_last ? '0 : sent_q + 1'b1;
      out_qpn_q   <= head_qpn;
      out_index_q <= head_index + 16'(sent_q);
      out_push_q  <= head_push;
      out_last_q  <= take_last;
    end
    m_wqe_valid <= take || (m_wqe_valid && !m_wqe_ready);
    if (rst) begin
      land_wr_q   <= '0;
      land_rd_q   <= '0;
      push_wr_q   <= '0;
      push_rd_q   <= '0;
      sent_q      <= '0;
      m_wqe_valid <= 1'b0;
    end
  end

  assign enter_en = s_grant_en || s_push_en;
  assign leave_en = m_wqe_valid && m_wqe_ready && out_last_q;

  // Room

  logic [ROOM_W-1:0] free_q;       // blocks of the window that nobody has
  logic [PUSH_W:0]   push_free_q;
  logic [4:0]        reserve;

  assign reserve    = s_grant_en || s_push_en ? s_count : '0;
  assign grant_room = free_q >= ROOM_W'(TURN + ON_THE_WAY) && asked + 3'(ask_q) < 3'd4;
  assign push_room  = free_q > ROOM_W'(ON_THE_WAY) && push_free_q > (PUSH_W + 1)'(ON_THE_WAY);

  always_ff @(posedge clk) begin
    free_q      <= free_q - ROOM_W'(reserve) + ROOM_W'(take);
    push_free_q <= push_free_q - (PUSH_W + 1)'(s_push_en) + (PUSH_W + 1)'(take && head_push);
    landed_q    <= landed_q + ROOM_W'(s_dma_en) - ROOM_W'(take && !head_push);
    if (rst) begin
      free_q      <= ROOM_W'(WINDOW);
      push_free_q <= (PUSH_W + 1)'(PUSHES);
      landed_q    <= '0;
    end
  end

  `RNIC_ASSERT(window_is_not_overdrawn, free_q <= ROOM_W'(WINDOW))
  `RNIC_ASSERT(landing_has_room, landed_q <= ROOM_W'(WINDOW))

endmodule
