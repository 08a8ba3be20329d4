// rnic_qp_srq: how full the shared receive queues are, and the event when one runs low.
//
// Counts what rnic_responder takes against the producer index of the doorbells. An armed limit
// fires once: when the count falls below it at the taking of an entry, or at once when rnic_admin
// arms it and fewer are left already. A limit that comes with a new, empty queue waits for the
// fall, however often the queue is emptied before it has held as many. Takings and doorbells
// never wait here.
//
//   claim_en ─► fifo ─┐
//   s_cfg ────────────┴─► one at a time, 2 cycles each ─► m_event (asynchronous, EQ 0)
`include "streams.svh"
`include "codes.svh"
`include "assert.svh"

module rnic_qp_srq #(
  parameter int QP_COUNT  = 256,
  parameter int SRQ_COUNT = 64
) (
  input  logic                     clk,
  input  logic                     rst,

  // Entries taken, at most one in 3 cycles, and doorbells; numbers are those of receive rings
  input  logic                     claim_en,
  input  logic [15:0]              claim_rq,
  input  logic                     update_en,
  input  logic [RING_UPDATE_W-1:0] update_data,

  // Changes and questions of rnic_admin; the answer comes with the ready
  input  logic [SRQ_CONFIG_W-1:0]  s_cfg_data,
  input  logic                     s_cfg_valid,
  output logic                     s_cfg_ready,
  output logic [SRQ_ANSWER_W-1:0]  cfg_answer,

  // The event
  output logic [EVENT_REQ_W-1:0]   m_event_data,
  output logic                     m_event_valid,
  input  logic                     m_event_ready
);

  localparam int SRQ_W = $clog2(SRQ_COUNT);

  typedef struct packed {
    logic [15:0] consumer;
    logic [15:0] limit;      // 0 when not armed
  } context_t;
  localparam int CONTEXT_W = 32;

  // ------------------------------------------------------------------ takings, in order

  logic             claim_here;
  logic [SRQ_W-1:0] claim_srqn;
  logic [SRQ_W-1:0] next_srqn;
  logic             next_valid;
  logic             next_ready;
  logic             claim_room;

  assign claim_here = claim_en && claim_rq >= 16'(QP_COUNT);
  assign claim_srqn = SRQ_W'(claim_rq - 16'(QP_COUNT));

  stream_fifo #(
    .DATA_W (SRQ_W),
    .DEPTH  (4)
  ) u_claims (
    .clk,
    .rst,
    .s_data  (claim_srqn),
    .s_valid (claim_here),
    .s_ready (claim_room),
    .m_data  (next_srqn),
    .m_valid (next_valid),
    .m_ready (next_ready),
    .count   ()
  );

  `RNIC_ASSERT(takings_have_room, !claim_here || claim_room)

  // ------------------------------------------------------------------ one at a time

  srq_config_t      cfg;
  ring_update_t     update;
  logic             busy_q;        // deciding
  logic             is_cfg_q;
  logic             take_claim;
  logic             take_cfg;
  logic             decided;
  logic             update_here;
  logic [SRQ_W-1:0] number;
  logic [SRQ_W-1:0] number_q;

  // A new queue's producer index is written behind the doorbells of others. A limit is armed when
  // earlier events have left, so that there is never more than one event per queue.
  assign cfg         = s_cfg_data;
  assign update      = update_data;
  assign update_here = update_en && update.number >= 16'(QP_COUNT);
  assign take_claim  = !busy_q && next_valid;
  assign take_cfg    = !busy_q && !next_valid && s_cfg_valid && !m_event_valid;
  assign next_ready  = take_claim;
  assign number      = next_valid ? next_srqn : cfg.srqn[SRQ_W-1:0];
  assign decided     = busy_q && !(is_cfg_q && cfg.create && update_here);
  assign s_cfg_ready = decided && is_cfg_q;

  always_ff @(posedge clk) begin
    if (!busy_q) begin
      busy_q   <= take_claim || take_cfg;
      is_cfg_q <= take_cfg;
      number_q <= number;
    end else if (decided) begin
      busy_q <= 1'b0;
    end
    if (rst) busy_q <= 1'b0;
  end

  logic [CONTEXT_W-1:0] ctx_bits;
  context_t             ctx;
  logic [15:0]          consumer;
  logic [15:0]          limit;
  logic [15:0]          producer;
  logic [15:0]          left;
  logic                 falls;    // by this taking, from the limit
  logic                 low;
  logic                 fire;
  logic                 read;

  assign read = take_claim || take_cfg;

  ram_1w1r #(
    .DATA_W (CONTEXT_W),
    .DEPTH  (SRQ_COUNT)
  ) u_context (
    .clk,
    .wr_en   (decided),
    .wr_addr (number_q),
    .wr_data ({consumer, fire ? 16'd0 : limit}),
    .rd_en   (read),
    .rd_addr (number),
    .rd_data (ctx_bits)
  );

  logic             creates;
  logic [SRQ_W-1:0] producer_addr;
  assign producer_addr = update_here ? SRQ_W'(update.number - 16'(QP_COUNT)) : number_q;
  assign creates = decided && is_cfg_q && cfg.create;

  ram_1w1r #(
    .DATA_W (16),
    .DEPTH  (SRQ_COUNT),
    .BYPASS (1)
  ) u_producer (
    .clk,
    .wr_en   (update_here || creates),
    .wr_addr (producer_addr),
    .wr_data (update_here ? update.index : 16'd0),
    .rd_en   (read),
    .rd_addr (number),
    .rd_data (producer)
  );

  assign ctx      = ctx_bits;
  assign consumer = !is_cfg_q ? ctx.consumer + 16'd1 : cfg.create ? 16'd0 : ctx.consumer;
  assign limit    = is_cfg_q && cfg.arm ? cfg.limit : ctx.limit;
  assign left     = producer - consumer;
  assign falls    = limit != '0 && left + 16'd1 == limit;
  assign low      = is_cfg_q ? cfg.arm && !cfg.create && left < limit : falls;
  assign fire     = decided && low;

  srq_answer_t answer;
  always_comb begin
    answer          = '0;
    answer.producer = producer;
    answer.consumer = ctx.consumer;
    answer.limit    = ctx.limit;
  end
  assign cfg_answer = answer;

  // ------------------------------------------------------------------ the event

  logic [SRQ_W-1:0] low_srqn;
  logic             low_room;

  stream_fifo #(
    .DATA_W (SRQ_W),
    .DEPTH  (1 << SRQ_W)
  ) u_low (
    .clk,
    .rst,
    .s_data  (number_q),
    .s_valid (fire),
    .s_ready (low_room),
    .m_data  (low_srqn),
    .m_valid (m_event_valid),
    .m_ready (m_event_ready),
    .count   ()
  );

  `RNIC_ASSERT(one_event_per_queue, !fire || low_room)

  event_req_t event_req;
  always_comb begin
    event_req            = '0;
    event_req.event_type = EVENT_TYPE_SRQ_LIMIT;
    event_req.number     = 24'(low_srqn);
  end
  assign m_event_data = event_req;

endmodule
