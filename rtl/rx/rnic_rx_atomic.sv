// rnic_rx_atomic: reads eight bytes of host memory, changes them and writes them back, in one piece.
//
//   s_atomic ─► place ─► wait ─► m_dma ─► s_dma ─► change ─┬─► m_wreq, m_wdata ─► s_wdone ─┬─► m_result
//                                                          └─► (nothing to write) ─────────┘
//
// Up to PLACES at once, results in order. Each waits until all bursts of the pipeline that were asked
// for before it are answered, and until all atomics before it in the same 64-byte line have ended; so
// atomics of one line follow each other, a read and a write of memory apart, and those of different
// lines overlap: PLACES of them in the time of two or three accesses to memory. `look_clash` tells who
// writes payload whether a line it is about to write, shown in the cycle before, has an atomic under
// way; an atomic brings with it what was found for its line in that cycle.
//
// The number in memory is little-endian. A swap that finds another number writes nothing.
`include "codes.svh"
`include "rx.svh"
`include "streams.svh"
`include "assert.svh"

module rnic_rx_atomic #(
  parameter int PLACES = 16
) (
  input  logic            clk,
  input  logic            rst,

  // Atomics; the lines shown in the cycle before are theirs, unless all is idle
  input  rx_atomic_t      s_atomic_data,
  input  logic            s_atomic_valid,
  output logic            s_atomic_ready,

  // Lines somebody wants to touch; in the next cycle whether he must wait
  input  rx_lines_t       look_lines,
  output logic            look_clash,
  output logic            idle,

  // Bursts of the pipeline: asked for, answered
  input  logic            burst_en,
  input  logic            burst_done_en,

  // Host reads
  output dma_read_req_t   m_dma_data,
  output logic            m_dma_valid,
  input  logic            m_dma_ready,
  input  dma_read_data_t  s_dma_data,
  input  logic            s_dma_en,

  // Host writes
  output dma_write_req_t  m_wreq_data,
  output logic            m_wreq_valid,
  input  logic            m_wreq_ready,
  output dma_write_data_t m_wdata_data,
  output logic            m_wdata_valid,
  input  logic            m_wdata_ready,
  input  logic            s_wdone_en,
  input  logic            s_wdone_error,

  // Results: the number that was there
  output logic [63:0]     m_result_data,
  output logic            m_result_error,
  output logic            m_result_valid,
  input  logic            m_result_ready
);

  localparam int PLACE_W  = $clog2(PLACES);
  localparam int TICKET_W = 12;  // more than twice the bursts that retire lets in

  // Places, taken and given back in turn

  logic [PLACE_W:0]   in_q, read_q, land_q, out_q;  // next to come, to be read, to land, to leave
  logic [PLACE_W-1:0] in, read, land, out;
  logic               enter;
  logic               leave;

  assign in             = in_q[PLACE_W-1:0];
  assign read           = read_q[PLACE_W-1:0];
  assign land           = land_q[PLACE_W-1:0];
  assign out            = out_q[PLACE_W-1:0];
  assign s_atomic_ready = in_q - out_q != (PLACE_W + 1)'(PLACES);
  assign enter          = s_atomic_valid && s_atomic_ready;

  logic [RX_ATOMIC_W-1:0] asked [PLACES];
  rx_atomic_t             read_job, land_job;

  assign read_job = asked[read];
  assign land_job = asked[land];

  always_ff @(posedge clk) begin
    if (enter) asked[in] <= s_atomic_data;
  end

  always_ff @(posedge clk) begin
    if (enter)                      in_q   <= in_q + 1'b1;
    if (m_dma_valid && m_dma_ready) read_q <= read_q + 1'b1;
    if (s_dma_en)                   land_q <= land_q + 1'b1;
    if (leave)                      out_q  <= out_q + 1'b1;
    if (rst) begin
      in_q   <= '0;
      read_q <= '0;
      land_q <= '0;
      out_q  <= '0;
    end
  end

  // Who is under way in which line, and behind whom

  logic [PLACES-1:0]             busy_q;
  logic [PLACES-1:0]             hit_q;
  logic [PLACES-1:0]             ends;
  logic [PLACES-1:0][PLACES-1:0] behind_q;

  for (genvar i = 0; i < PLACES; i++) begin : g_place
    logic [57:0] line_q;
    logic        enters;

    assign enters = enter && in == PLACE_W'(i);

    always_ff @(posedge clk) begin
      hit_q[i] <= line_q[57:6] == look_lines.page && line_q[5:0] >= look_lines.first
               && line_q[5:0] <= look_lines.last;
      if (enters) line_q <= s_atomic_data.addr[63:6];
      if (enters) behind_q[i] <= hit_q & busy_q & ~ends;
      else        behind_q[i] <= behind_q[i] & ~ends;
      if (enters)       busy_q[i] <= 1'b1;
      else if (ends[i]) busy_q[i] <= 1'b0;
      if (rst) busy_q[i] <= 1'b0;
    end
  end

  assign look_clash = (hit_q & busy_q) != '0;
  assign idle       = busy_q == '0;

  // Read: when the bursts before it are answered

  logic [TICKET_W-1:0] ticket [PLACES];
  logic [TICKET_W-1:0] asked_q, answered_q;
  logic [TICKET_W-1:0] beyond;

  assign beyond = answered_q - ticket[read];

  always_ff @(posedge clk) begin
    if (enter) ticket[in] <= asked_q;
  end

  always_ff @(posedge clk) begin
    if (burst_en)      asked_q    <= asked_q + 1'b1;
    if (burst_done_en) answered_q <= answered_q + 1'b1;
    if (rst) begin
      asked_q    <= '0;
      answered_q <= '0;
    end
  end

  assign m_dma_valid       = read_q != in_q && behind_q[read] == '0 && !beyond[TICKET_W-1];
  assign m_dma_data.addr   = read_job.addr;
  assign m_dma_data.length = 13'd8;

  // Land and change

  logic [511:0]       line;
  logic [63:0]        land_addr;
  logic               landed_q;
  logic               bad_q;
  logic [63:0]        number_q;
  logic [PLACE_W-1:0] place_q;
  rx_atomic_t         job_q;
  logic [63:0]        changed;
  logic               write;
  logic [60:0]        target;

  assign line      = s_dma_data.data;
  assign land_addr = land_job.addr;

  always_ff @(posedge clk) begin
    landed_q <= s_dma_en;
    bad_q    <= s_dma_data.error;
    number_q <= line[64*land_addr[5:3] +: 64];
    place_q  <= land;
    job_q    <= land_job;
    if (rst) landed_q <= 1'b0;
  end

  assign changed = job_q.op == ATOMIC_OP_ADD ? number_q + job_q.swap : job_q.swap;
  assign write   = landed_q && !bad_q && (job_q.op == ATOMIC_OP_ADD || number_q == job_q.compare);
  assign target  = job_q.addr[63:3];

  // Write; there is room for as many as there are places

  logic [60:0]        wreq_target;
  logic [2:0]         wdata_lane;
  logic [63:0]        wdata_number;
  logic [PLACE_W-1:0] written;
  logic               wreq_room, wdata_room, written_room, written_valid;

  stream_fifo #(.DATA_W(61), .DEPTH(PLACES)) u_wreqs (
    .clk,
    .rst,
    .s_data  (target),
    .s_valid (write),
    .s_ready (wreq_room),
    .m_data  (wreq_target),
    .m_valid (m_wreq_valid),
    .m_ready (m_wreq_ready),
    .count   ()
  );

  stream_fifo #(.DATA_W(3 + 64), .DEPTH(PLACES)) u_wdata (
    .clk,
    .rst,
    .s_data  ({target[2:0], changed}),
    .s_valid (write),
    .s_ready (wdata_room),
    .m_data  ({wdata_lane, wdata_number}),
    .m_valid (m_wdata_valid),
    .m_ready (m_wdata_ready),
    .count   ()
  );

  stream_fifo #(.DATA_W(PLACE_W), .DEPTH(PLACES)) u_written (
    .clk,
    .rst,
    .s_data  (place_q),
    .s_valid (write),
    .s_ready (written_room),
    .m_data  (written),
    .m_valid (written_valid),
    .m_ready (s_wdone_en),
    .count   ()
  );

  assign m_wreq_data.addr  = {wreq_target, 3'b000};
  assign m_wreq_data.beats = 7'd1;
  assign m_wdata_data.data = {8{wdata_number}};
  assign m_wdata_data.strb = 64'hFF << {wdata_lane, 3'b000};
  assign m_wdata_data.last = 1'b1;

  // End

  logic [63:0]       original [PLACES];
  logic [PLACES-1:0] error_q;

  always_comb begin
    ends = '0;
    if (landed_q && !write) ends[place_q] = 1'b1;
    if (s_wdone_en)         ends[written] = 1'b1;
  end

  always_ff @(posedge clk) begin
    if (landed_q) original[place_q] <= number_q;
  end

  always_ff @(posedge clk) begin
    if (landed_q)   error_q[place_q] <= bad_q;
    if (s_wdone_en) error_q[written] <= s_wdone_error;
  end

  assign m_result_data  = original[out];
  assign m_result_error = error_q[out];
  assign m_result_valid = out_q != in_q && !busy_q[out];
  assign leave          = m_result_valid && m_result_ready;

  `RNIC_ASSERT(an_atomic_lies_in_one_line, !s_atomic_valid || s_atomic_data.addr[2:0] == 3'd0)
  `RNIC_ASSERT(a_write_finds_room, !write || (wreq_room && wdata_room && written_room))
  `RNIC_ASSERT(an_answer_is_expected, !s_wdone_en || written_valid)
  `RNIC_ASSERT(a_line_is_expected, !s_dma_en || land_q != read_q)

endmodule
