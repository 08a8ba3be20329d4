// rnic_rsp_fetch: brings claimed receive entries from host memory, in the order claimed.
//
// Up to IN_FLIGHT of them are on their way or waiting to be used; room for each is reserved
// before its read is sent. One fetch starts every 3 cycles.
`include "streams.svh"

module rnic_rsp_fetch #(
  parameter int IN_FLIGHT = 128
) (
  input  logic                       clk,
  input  logic                       rst,

  // Entries to fetch
  input  logic [15:0]                s_claim_rq,
  input  logic [15:0]                s_claim_index,
  input  logic                       s_claim_valid,
  output logic                       s_claim_ready,

  // Configuration of a receive ring, two cycles after its number
  output logic [15:0]                rq_rd_id,
  input  logic [RQ_CONFIG_W-1:0]     rq_rd_cfg,

  // Host reads
  output logic [DMA_READ_REQ_W-1:0]  m_dma_data,
  output logic                       m_dma_valid,
  input  logic                       m_dma_ready,
  input  logic [DMA_READ_DATA_W-1:0] s_dma_data,
  input  logic                       s_dma_en,

  // Entries, in order: the WQE, its protection domain, and whether it could not be read
  output logic [RQ_WQE_W-1:0]        m_wqe_data,
  output logic [15:0]                m_wqe_pd,
  output logic                       m_wqe_error,
  output logic                       m_wqe_valid,
  input  logic                       m_wqe_ready
);

  typedef enum logic [1:0] {LOOK, WAIT, SEND} state_e;

  state_e         state_q;
  state_e         state_d;
  logic [15:0]    claim_rq;
  logic [15:0]    claim_index;
  logic           claim_valid;
  rq_config_t     rq;
  dma_read_req_t  request;
  logic [15:0]    place;
  logic           sent;
  logic           room;

  stream_fifo #(.DATA_W(32), .DEPTH(16)) u_claims (
    .clk,
    .rst,
    .s_data  ({s_claim_rq, s_claim_index}),
    .s_valid (s_claim_valid),
    .s_ready (s_claim_ready),
    .m_data  ({claim_rq, claim_index}),
    .m_valid (claim_valid),
    .m_ready (sent),
    .count   ()
  );

  // A ring that is gone gives an unreadable entry without a host read.
  assign rq       = rq_rd_cfg;
  assign rq_rd_id = claim_rq;
  assign place    = claim_index & 16'((17'd1 << rq.log_size) - 17'd1);
  assign sent     = state_q == SEND && room && (m_dma_ready || !rq.exists);

  always_comb begin
    request        = '0;
    request.addr   = rq.base + {42'd0, place, 6'd0};
    request.length = 13'd64;
  end

  assign m_dma_data  = request;
  assign m_dma_valid = state_q == SEND && room && rq.exists;

  always_comb begin
    state_d = state_q;
    case (state_q)
      LOOK:    if (claim_valid) state_d = WAIT;
      WAIT:    state_d = SEND;
      SEND:    if (sent) state_d = LOOK;
      default: state_d = LOOK;
    endcase
  end

  always_ff @(posedge clk) begin
    state_q <= state_d;
    if (rst) state_q <= LOOK;
  end

  // ------------------------------------------------------------------ landing

  logic           line_valid;
  dma_read_data_t line_in;
  logic [RQ_WQE_W-1:0] line_data;
  logic           line_error;
  logic           gone;
  logic           side_valid;
  logic           taken;

  assign line_in = s_dma_data;
  assign taken   = m_wqe_valid && m_wqe_ready;

  stream_fifo #(.DATA_W(17), .DEPTH(IN_FLIGHT)) u_side (
    .clk,
    .rst,
    .s_data  ({rq.pd, !rq.exists}),
    .s_valid (sent),
    .s_ready (room),
    .m_data  ({m_wqe_pd, gone}),
    .m_valid (side_valid),
    .m_ready (taken),
    .count   ()
  );

  // The side entry reserved this place, so ready need not be asked.
  stream_fifo #(.DATA_W(RQ_WQE_W + 1), .DEPTH(IN_FLIGHT), .REGISTERED(1)) u_lines (
    .clk,
    .rst,
    .s_data  ({line_in.error, line_in.data}),
    .s_valid (s_dma_en),
    .s_ready (),
    .m_data  ({line_error, line_data}),
    .m_valid (line_valid),
    .m_ready (taken && !gone),
    .count   ()
  );

  assign m_wqe_valid = side_valid && (gone || line_valid);
  assign m_wqe_error = gone || line_error;
  assign m_wqe_data  = m_wqe_error ? '0 : line_data;

endmodule
