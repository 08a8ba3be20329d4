// rnic_tx_buffer: holds frames until they are whole, then sends each without a gap.
//
// Room for a frame is taken when its first beat is about to be made, so beats are never held up.
// A frame that is dropped gives its room back. Beats come ICRC_LATENCY cycles behind the word that
// the frame is good: as at most one beat comes per cycle, a frame of n beats may start n - 1 cycles
// before its last beat is here.
//
// When it is about to begin, a request whose queue pair has been sent back meanwhile is passed over,
// in one cycle.
`include "streams.svh"
`include "tx.svh"
`include "assert.svh"

module rnic_tx_buffer #(
  parameter int DEPTH = 512,
  parameter int PTR_W = $clog2(DEPTH)
) (
  input  logic                 clk,
  input  logic                 rst,

  // Room, and frames that take it
  output logic [PTR_W:0]       room,
  input  logic                 take_en,
  input  logic [6:0]           take_beats,

  // The last beat of a frame enters the ICRC stage; beats: as taken
  input  logic                 end_en,
  input  logic                 end_drop,
  input  logic [6:0]           end_beats,
  input  logic [TX_TICKET_W-1:0] end_ticket,

  // Beats, four cycles later
  input  logic [TX_BEAT_W-1:0] s_beat,
  input  logic                 s_beat_en,

  // The epoch that the next frame's queue pair is in
  output logic [15:0]          epoch_qpn,
  input  logic [2:0]           epoch,

  // To the MAC
  output logic [511:0]         m_axis_tx_tdata,
  output logic [63:0]          m_axis_tx_tkeep,
  output logic                 m_axis_tx_tlast,
  output logic                 m_axis_tx_tvalid,
  input  logic                 m_axis_tx_tready,

  // Statistics: a frame, a beat of so many bytes, a frame passed over
  output logic                 ev_packet,
  output logic                 ev_bytes_en,
  output logic [6:0]           ev_bytes,
  output logic                 ev_stale
);

  localparam int ENTRY_W      = 512 + 6 + 1;
  localparam int ICRC_LATENCY = 4;

  // Write
  tx_beat_t         beat;
  logic [PTR_W-1:0] wr_q;
  logic [PTR_W-1:0] start_q;

  assign beat = s_beat;

  always_ff @(posedge clk) begin
    if (s_beat_en) begin
      wr_q <= wr_q + 1'b1;
      if (beat.last && beat.drop) wr_q <= start_q;
      if (beat.last && !beat.drop) start_q <= wr_q + 1'b1;
    end
    if (rst) begin
      wr_q    <= '0;
      start_q <= '0;
    end
  end

  // A good frame counts when its first beat can be read with all others behind it in time.
  typedef struct packed {
    logic        request;
    logic [2:0]  epoch;
    logic [15:0] qpn;
    logic [6:0]  beats;
  } frame_t;
  localparam int FRAME_W = 27;

  tx_ticket_t                   ticket;
  frame_t                       whole;
  logic [ICRC_LATENCY-1:0]      wait_q;
  logic [ICRC_LATENCY-1:0][FRAME_W-1:0] frame_q;
  logic                         good;
  logic                         long_frame;
  logic                         add_en;
  logic [FRAME_W-1:0]           add_frame;

  assign ticket     = end_ticket;
  assign whole      = {!ticket.response, ticket.epoch, ticket.qpn, end_beats};
  assign good       = end_en && !end_drop;
  assign long_frame = end_beats > 7'(ICRC_LATENCY);
  assign add_en     = wait_q[0] || (good && long_frame);
  assign add_frame  = wait_q[0] ? frame_q[0] : whole;

  always_ff @(posedge clk) begin
    for (int i = 0; i < ICRC_LATENCY; i++) begin
      if (i + 1 < ICRC_LATENCY) begin
        wait_q[i]  <= wait_q[i+1];
        frame_q[i] <= frame_q[i+1];
      end else begin
        wait_q[i] <= 1'b0;
      end
      // n beats: ICRC_LATENCY + 1 - n cycles of waiting
      if (good && end_beats == 7'(ICRC_LATENCY - i)) begin
        wait_q[i]  <= 1'b1;
        frame_q[i] <= whole;
      end
    end
    if (rst) wait_q <= '0;
  end

  // Whole frames in order: the next one in a register, the others behind it
  logic [FRAME_W-1:0] more_data;
  logic               more_valid;
  logic               unused_ready;
  logic [FRAME_W-1:0] next_q;
  logic               next_valid_q;
  logic               next_free;
  frame_t             next;

  stream_fifo #(
    .DATA_W (FRAME_W),
    .DEPTH  (DEPTH)
  ) u_more (
    .clk, .rst,
    .s_data  (add_frame),
    .s_valid (add_en && (more_valid || !next_free)),
    .s_ready (unused_ready),
    .m_data  (more_data),
    .m_valid (more_valid),
    .m_ready (next_free),
    .count   ()
  );

  always_ff @(posedge clk) begin
    if (next_free) begin
      next_q       <= more_valid ? more_data : add_frame;
      next_valid_q <= more_valid || add_en;
    end
    if (rst) next_valid_q <= 1'b0;
  end

  // Read straight into the output register
  logic [PTR_W-1:0]   rd_q;
  logic [6:0]         left_q;   // beats of the frame that has begun
  logic               between;
  logic               stale;
  logic               skip;
  logic               fetch;
  logic [ENTRY_W-1:0] entry;
  logic [5:0]         count;

  assign next      = next_q;
  assign epoch_qpn = next.qpn;
  assign between   = left_q == '0;
  assign stale     = next.request && next.epoch != epoch;
  assign skip      = between && next_valid_q && stale;
  assign fetch     = (!between || (next_valid_q && !stale))
                  && (!m_axis_tx_tvalid || m_axis_tx_tready);
  assign next_free = !next_valid_q || (between && (skip || fetch));

  ram_1w1r #(.DATA_W(ENTRY_W), .DEPTH(DEPTH)) u_ram (
    .clk,
    .wr_en   (s_beat_en),
    .wr_addr (wr_q),
    .wr_data ({beat.last, beat.count[5:0], beat.data}),
    .rd_en   (fetch),
    .rd_addr (rd_q),
    .rd_data (entry)
  );

  always_ff @(posedge clk) begin
    if (skip)  rd_q   <= rd_q + PTR_W'(next.beats);
    if (fetch) rd_q   <= rd_q + 1'b1;
    if (fetch) left_q <= between ? next.beats - 7'd1 : left_q - 7'd1;
    if (fetch)                 m_axis_tx_tvalid <= 1'b1;
    else if (m_axis_tx_tready) m_axis_tx_tvalid <= 1'b0;
    if (rst) begin
      rd_q             <= '0;
      left_q           <= '0;
      m_axis_tx_tvalid <= 1'b0;
    end
  end

  assign {m_axis_tx_tlast, count, m_axis_tx_tdata} = entry;

  assign m_axis_tx_tkeep = count == 6'd0 ? ~64'd0 : ~(~64'd0 << count);

  // Room
  logic drop_en;
  assign drop_en = end_en && end_drop;

  // A dropped frame's beats are overwritten in order, so its room may be given away at once.
  always_ff @(posedge clk) begin
    room <= room + (PTR_W + 1)'(fetch)
                 + (skip ? (PTR_W + 1)'(next.beats) : '0)
                 + (drop_en ? (PTR_W + 1)'(end_beats) : '0)
                 - (take_en ? (PTR_W + 1)'(take_beats) : '0);
    if (rst) room <= (PTR_W + 1)'(DEPTH - 1);
  end

  assign ev_packet   = m_axis_tx_tvalid && m_axis_tx_tready && m_axis_tx_tlast;
  assign ev_bytes_en = m_axis_tx_tvalid && m_axis_tx_tready;
  assign ev_bytes    = {count == 6'd0, count};
  assign ev_stale    = skip;

  `RNIC_ASSERT(room_is_not_overdrawn, !take_en || (PTR_W + 1)'(take_beats) <= room)
  `RNIC_ASSERT(one_frame_at_a_time, !(wait_q[0] && good && long_frame))

endmodule
